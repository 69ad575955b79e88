"""Every answer is counted, a sample of them recorded, and no trouble of that reaches a client."""

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from mlops.log_layout import unit
from mlops.serving.models import Arms
from mlops.serving.predictor import Predictor
from mlops.serving.recording.recorder import Recorder
from mlops.serving.recording.segment import Outcomes
from mlops.serving.recording.spool import KEY, RecordingError
from mlops.serving.telemetry.metrics import Metrics

Record = Callable[..., Metrics]
Bill = Callable[..., dict[str, Any]]


def logged(folder: Path, kind: str = "predictions") -> pa.Table:
    """Return all rows of the log."""
    tables = []
    for path in sorted((folder / kind).rglob("part-*.parquet")):
        with pq.ParquetFile(path) as file:
            tables.append(file.read())
    return pa.concat_tables(tables, promote_options="permissive")


def test_everything_is_compacted_at_stop(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    made: list[np.ndarray] = []

    async def work(desk: Any) -> None:
        for number in range(700):
            made.append(desk.answer([bill(number)], f"r{number}"))
            if number % 100 == 0:
                await asyncio.sleep(0)
        made.append(desk.answer([bill(1), bill(2)], "many"))

    metrics = record(work, serving(binary))
    table = logged(tmp_path / "log")
    assert table["request_id"].to_pylist() == [*(f"r{n}" for n in range(700)), "many", "many"]
    assert table["row"].to_pylist()[-3:] == [0, 0, 1]
    last = [p[-1] for p in table["probabilities"].to_pylist()]
    np.testing.assert_array_equal(last, np.concatenate(made))
    assert metrics.requests["/predict", "2xx"] == 701
    assert metrics.rows == 702
    assert not metrics.drops
    assert list((tmp_path / "log" / "spool").iterdir()) == []
    assert metrics.log_bytes == sum(
        path.stat().st_size for path in (tmp_path / "log").rglob("*") if path.is_file()
    )


def test_without_a_folder_answers_are_counted_alone(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    metrics = record(lambda desk: desk.answer([bill()], "r"), serving(binary), log_folder=None)
    assert metrics.rows == 1
    assert list(tmp_path.iterdir()) == []


def test_few_requests_are_recorded_within_seconds(
    record: Record, binary: Predictor, serving: Any, bill: Bill
) -> None:
    async def work(desk: Any) -> None:
        desk.answer([bill()], "r")
        deadline = time.monotonic() + 20
        while not desk.metrics.rows and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert desk.metrics.rows == 1

    record(work, serving(binary))


def test_the_sample_is_the_same_for_the_same_ids(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    def work(desk: Any) -> None:
        for number in range(400):
            desk.answer([bill(number)] * (1 + number % 2), f"r{number}")

    found = []
    for _ in range(2):
        metrics = record(work, serving(binary), log_sample=0.25)
        table = logged(tmp_path / "log")
        columns = (table[name].to_pylist() for name in ("request_id", "row", "fee"))
        found.append(list(zip(*columns, strict=True)))
        shutil.rmtree(tmp_path / "log")
        assert metrics.rows == 600
    assert found[0] == found[1]
    numbers = {int(request_id[1:]) for request_id, _, _ in found[0]}
    assert 60 < len(numbers) < 140
    assert found[0] == [
        (f"r{n}", row, n + 0.5) for n in sorted(numbers) for row in range(1 + n % 2)
    ]


def test_rows_beyond_the_buffer_are_counted_and_dropped(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    def work(desk: Any) -> None:
        for number in range(30):  # the loop gets no turn, so that nothing can be written
            desk.answer([bill(number)] * 10, f"r{number}")
            desk.recorder.drain()

    metrics = record(work, serving(binary), log_buffer_rows=100)
    assert metrics.drops == {"memory": 200}
    assert metrics.rows == 300
    assert logged(tmp_path / "log").num_rows == 100


def test_a_full_folder_drops_new_rows_and_keeps_old_ones(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    old = tmp_path / "log" / "predictions" / "date=2020-01-01" / "part-old.parquet"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"x" * (1 << 20))

    async def work(desk: Any) -> None:
        desk.answer([bill()] * 5, "r")
        desk.recorder.drain()
        assert not await desk.recorder.feedback(Outcomes(["r"], [0], [time.time()], ["true"]))

    metrics = record(work, serving(binary), log_max_bytes=1 << 20)
    assert metrics.drops == {"disk": 6}
    assert metrics.rows == 5
    assert old.stat().st_size == 1 << 20


def test_a_folder_that_cannot_be_begun_again_is_counted_and_serving_goes_on(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    def work(desk: Any) -> None:
        shutil.rmtree(tmp_path / "log")
        (tmp_path / "log").write_text("a file where a folder should be")
        desk.answer([bill()] * 5, "r")

    metrics = record(work, serving(binary))
    assert metrics.drops == {"write_error": 5}
    assert metrics.requests["/predict", "2xx"] == 1


def test_what_breaks_while_recording_is_counted(
    record: Record, binary: Predictor, serving: Any, bill: Bill
) -> None:
    def work(desk: Any) -> None:
        predictions = desk.answer([bill()], "good")
        torn = (binary, "bad", [object()], np.zeros((1, 2)), predictions, 0.1)
        desk.recorder.add(*torn, Arms(), None, "/other")

    metrics = record(work, serving(binary))
    assert metrics.drops == {"error": 1}
    assert metrics.requests == {("/predict", "2xx"): 1, ("/other", "2xx"): 1}


@pytest.mark.parametrize("derived", [True, False])
def test_a_shadow_answers_what_the_champion_answers(
    derived: bool,
    record: Record,
    make: Callable[..., Predictor],
    serving: Any,
    bill: Bill,
    tmp_path: Path,
) -> None:
    champion = make()
    shadow = make(fee={"description": "other"}, derived=derived)
    assert shadow.bundle_digest != champion.bundle_digest
    rows = [bill(number) for number in range(20)]
    metrics = record(
        lambda desk: [desk.answer([row], f"r{i}") for i, row in enumerate(rows)],
        serving(champion, shadow, shadow),
    )
    table = logged(tmp_path / "log")
    mine = table.filter(pa.array([role == "shadow" for role in table["role"].to_pylist()]))
    assert mine["request_id"].to_pylist() == [f"r{i}" for i in range(20)]
    assert set(mine["digest"].to_pylist()) == {shadow.bundle_digest}
    decoded = [shadow.decode(_body(shadow, row))[0] for row in rows]
    expected = shadow.predict(shadow.matrix(decoded))
    np.testing.assert_allclose([p[-1] for p in mine["probabilities"].to_pylist()], expected)
    assert table.num_rows == 40
    assert set(metrics.models) == {champion.bundle_digest, shadow.bundle_digest}
    assert metrics.rows == 20


def test_a_shadow_that_cannot_read_the_rows_is_counted(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Bill, tmp_path: Path
) -> None:
    champion, shadow = make(), make(calls={"nullable": False})
    metrics = record(
        lambda desk: [desk.answer([bill(n)], f"r{n}") for n in range(8)],
        serving(champion, shadow, shadow),
    )
    assert metrics.drops == {"shadow": 2}  # those that have no calls
    roles = logged(tmp_path / "log")["role"].to_pylist()
    assert (roles.count("champion"), roles.count("shadow")) == (8, 6)


def test_a_challenger_that_answers_has_its_own_role(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Bill, tmp_path: Path
) -> None:
    champion, challenger = make(), make(derived=False)

    def work(desk: Any) -> None:
        desk.answer([bill()], "one")
        desk.answer([bill()], "two", by=challenger, arms=Arms(challenger, 0.25))

    record(work, serving(champion, challenger))
    table = logged(tmp_path / "log")
    told = dict(zip(table["request_id"].to_pylist(), table["role"].to_pylist(), strict=True))
    assert told == {"one": "champion", "two": "challenger"}


def test_it_is_recorded_how_a_request_was_drawn(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Bill, tmp_path: Path
) -> None:
    champion, challenger = make(), make(derived=False)
    arms = Arms(challenger, 0.25)

    def work(desk: Any) -> None:
        desk.answer([bill(), bill()], "one", arms=arms, key=b"customer 7")
        desk.answer([bill()], "two", by=challenger, arms=arms, key=b"")
        desk.answer([bill()], "three", by=challenger, arms=Arms(challenger, None))
        desk.answer([bill()], "four", arms=arms, key=b"customer 7")

    record(work, serving(champion, challenger), log_key=SecretStr("a secret of sixteen"))
    rows = logged(tmp_path / "log").sort_by("request_id").to_pylist()
    told = [(r["request_id"], r["role"], r["arm"], r["propensity"]) for r in rows]
    assert told == [
        ("four", "champion", "champion", 0.75),
        *[("one", "champion", "champion", 0.75)] * 2,
        ("three", "challenger", "challenger", None),
        ("two", "challenger", "challenger", 0.25),
    ]
    units = [row["unit"] for row in rows]
    secret = blake2b(b"a secret of sixteen", digest_size=32).digest()
    assert units == [unit(b"customer 7", secret)] * 3 + [None] * 2
    assert not (tmp_path / "log" / KEY).exists()


def test_a_shadow_is_of_the_arm_that_was_answered(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Bill, tmp_path: Path
) -> None:
    champion, shadow = make(), make(derived=False)
    record(lambda desk: desk.answer([bill()], "r"), serving(champion, shadow, shadow))
    rows = logged(tmp_path / "log").to_pylist()
    told = {row["role"]: (row["arm"], row["propensity"]) for row in rows}
    assert told == {"champion": ("champion", 1.0), "shadow": ("champion", 1.0)}


def test_servers_on_a_folder_know_a_routing_key_by_the_same_hash(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    async def work(desk: Any) -> None:
        desk.answer([bill()], "one", key=b"customer 7")
        other = Recorder(desk.recorder._settings, desk.served, Metrics(desk.served))
        await other.start()
        assert other._log.unit(b"customer 7") == desk.recorder._log.unit(b"customer 7")
        await other.stop()

    record(work, serving(binary))
    key = tmp_path / "log" / KEY
    assert key.stat().st_mode & 0o777 == 0o600
    record(lambda desk: desk.answer([bill()], "two", key=b"customer 7"), serving(binary))
    assert len(set(logged(tmp_path / "log")["unit"].to_pylist())) == 1
    key.unlink()
    record(lambda desk: desk.answer([bill()], "three", key=b"customer 7"), serving(binary))
    assert len(set(logged(tmp_path / "log")["unit"].to_pylist())) == 2


def test_a_folder_that_was_taken_away_keeps_its_key(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    key = tmp_path / "log" / KEY

    async def work(desk: Any) -> None:
        before = key.read_bytes()
        shutil.rmtree(tmp_path / "log")
        await desk.recorder._log.turn()
        assert key.read_bytes() == before

    record(work, serving(binary))


@pytest.mark.parametrize("content", [b"short", b"x" * 33])
def test_a_key_that_is_none_is_refused(
    content: bytes, record: Record, binary: Predictor, serving: Any, tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / KEY).write_bytes(content)
    with pytest.raises(RecordingError, match="holds no key of 32 bytes: bring it back"):
        record(lambda desk: None, serving(binary))
    (tmp_path / "log" / KEY).unlink()
    (tmp_path / "log" / KEY).mkdir()
    with pytest.raises(RecordingError, match=r"cannot be read and written.*MLOPS_LOG_KEY"):
        record(lambda desk: None, serving(binary))


def test_outcomes_are_recorded(
    record: Record, binary: Predictor, serving: Any, tmp_path: Path
) -> None:
    async def work(desk: Any) -> None:
        outcomes = Outcomes(["a", "b"], [0, 3], [time.time()] * 2, ["true", "false"])
        assert await desk.recorder.feedback(outcomes)

    record(work, serving(binary))
    table = logged(tmp_path / "log", "feedback")
    assert table["value"].null_count == table["action"].null_count == 2
    assert table.select(["request_id", "row", "outcome"]).to_pylist() == [
        {"request_id": "a", "row": 0, "outcome": "true"},
        {"request_id": "b", "row": 3, "outcome": "false"},
    ]


def test_unloaded_models_are_not_kept_in_memory(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Bill
) -> None:
    models = serving(make())

    def alive() -> int:
        gc.collect()
        return sum(isinstance(one, Predictor) for one in gc.get_objects())

    async def work(desk: Any) -> None:
        before = alive()
        for number in range(10):
            models.champion = make(fee={"description": str(number)})
            desk.answer([bill()], "r")
            desk.recorder.drain()
            await asyncio.sleep(0)
        assert alive() == before
        assert len(desk.metrics.models) == 4

    record(work, models)


KILLED = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
import conftest
from pathlib import Path

async def main():
    models = conftest.Serving(conftest.predictor())
    async with conftest.recording(conftest.Told(Path(sys.argv[2])), models) as desk:
        for number in range(600):
            desk.answer([conftest.row(number)], f"r{number}")
        desk.recorder.drain()
        while desk.recorder._log._pending:
            await asyncio.sleep(0.01)
        print("written", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_killed_server_loses_nothing_that_was_written(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "written\n"
        os.kill(killed.pid, signal.SIGKILL)
    (left,) = (tmp_path / "log" / "spool").rglob("*.open")
    with left.open("ab") as stream:  # as a write is left that the kill came between
        stream.write(left.read_bytes()[-500:-20])
    metrics = record(lambda desk: desk.answer([bill()], "after"), serving(binary))
    table = logged(tmp_path / "log")
    assert sorted(table["request_id"].to_pylist()) == sorted(
        [*(f"r{n}" for n in range(600)), "after"]
    )
    assert metrics.drops == {"torn": 1}
    assert list((tmp_path / "log" / "spool").iterdir()) == []


def test_two_servers_share_a_folder(
    record: Record, binary: Predictor, serving: Any, bill: Bill, tmp_path: Path
) -> None:
    async def work(desk: Any) -> None:
        other = Recorder(desk.recorder._settings, desk.served, Metrics(desk.served))
        await other.start()
        desk.answer([bill()], "one")
        rows = binary.decode(_body(binary, bill()))
        matrix = binary.matrix(rows)
        other.add(binary, "two", rows, matrix, binary.predict(matrix), 0.001, Arms(), None)
        await other.stop()
        assert logged(tmp_path / "log")["request_id"].to_pylist() == ["two"]

    record(work, serving(binary))
    assert sorted(logged(tmp_path / "log")["request_id"].to_pylist()) == ["one", "two"]


def _body(predictor: Predictor, row: dict[str, Any]) -> bytes:
    return msgspec.json.encode({name: row[name] for name in predictor.schema.names})
