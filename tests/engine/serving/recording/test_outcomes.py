"""Outcomes find their predictions by request and row; the latest one counts."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.serving.predictor import Predictor
from mlops.serving.recording.compaction import compact
from mlops.serving.recording.outcomes import OutcomesError, joined, unmatched
from mlops.serving.recording.segment import Outcomes, encode
from mlops.serving.telemetry.metrics import Metrics

Record = Callable[..., Metrics]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def report(folder: Path, name: str, *outcomes: tuple[str, int, float, Any]) -> None:
    """Write outcomes (request, row, time, outcome) as a server of that name would."""
    spool = folder / "spool" / name
    spool.mkdir(parents=True)
    ids, rows, times, values = map(list, zip(*outcomes, strict=True))
    (spool / "000001.segment").write_bytes(encode(Outcomes(ids, rows, times, values), len(ids)))
    compact(spool)


@pytest.fixture
def log(record: Record, binary: Predictor, serving: Any, bill: Any, tmp_path: Path) -> Path:
    def work(desk: Any) -> None:
        desk.answer([bill(1), bill(2)], "a")
        desk.answer([bill(3)], "b")

    record(work, serving(binary))
    return tmp_path / "log"


def found(folder: Path) -> dict[tuple[str, int], Any]:
    table = joined(folder)
    keys = zip(table["request_id"].to_pylist(), table["row"].to_pylist(), strict=True)
    return dict(zip(keys, table["outcome"].to_pylist(), strict=True))


def test_the_latest_outcome_wins_whichever_file_it_is_in(log: Path) -> None:
    report(log, "one", ("a", 0, NOON + 2, "true"), ("a", 1, NOON, "false"))
    report(log, "two", ("a", 0, NOON + 1, "false"), ("a", 1, NOON + 86_400, "true"))
    assert found(log) == {("a", 0): "true", ("a", 1): "true", ("b", 0): None}
    assert unmatched(joined(log)) == 0


def test_of_two_at_the_same_moment_the_last_wins(log: Path) -> None:
    report(log, "one", ("b", 0, NOON, "true"), ("b", 0, NOON, "false"))
    assert found(log)["b", 0] == "false"


def test_what_belongs_to_no_prediction_is_counted(log: Path) -> None:
    report(log, "one", ("a", 2, NOON, "true"), ("z", 0, NOON, "true"), ("z", 0, NOON, "false"))
    table = joined(log)
    assert table["outcome"].null_count == table.num_rows == 3
    assert unmatched(table) == 2


def test_every_column_of_the_predictions_is_there(log: Path) -> None:
    report(log, "one", ("b", 0, NOON, "true"))
    table = joined(log)
    assert {"fee", "plan", "input_model", "prediction", "probabilities"} <= set(table.column_names)
    (there,) = [one for one in table.to_pylist() if one["request_id"] == "b"]
    assert there["fee"] == 3.5
    assert there["outcome_time"] == datetime(2026, 3, 1, 12)


def test_predictions_without_any_outcome(log: Path) -> None:
    assert set(found(log).values()) == {None}
    assert unmatched(joined(log)) == 0


def test_a_shadow_gets_the_same_outcome(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Any, tmp_path: Path
) -> None:
    champion, shadow = make(), make(derived=False)

    async def work(desk: Any) -> None:
        desk.answer([bill(1)], "a")
        desk.recorder.drain()
        await desk.recorder.feedback(Outcomes(["a"], [0], [NOON], ["true"]))
        await asyncio.sleep(0)

    record(work, serving(champion, shadow, shadow))
    table = joined(tmp_path / "log")
    told = dict(zip(table["role"].to_pylist(), table["outcome"].to_pylist(), strict=True))
    assert told == {"champion": "true", "shadow": "true"}


def test_numbers_of_a_regression(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Any, tmp_path: Path
) -> None:
    record(lambda desk: desk.answer([bill(1)], "a"), serving(make("regression")))
    report(tmp_path / "log", "one", ("a", 0, NOON, 2.5))
    assert found(tmp_path / "log") == {("a", 0): 2.5}


def test_models_of_other_columns_stand_in_one_table(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Any, tmp_path: Path
) -> None:
    record(lambda desk: desk.answer([bill(1)], "a"), serving(make()))
    record(lambda desk: desk.answer([bill(1)], "b"), serving(make(derived=False)))
    table = joined(tmp_path / "log")
    assert table["billed"].null_count == 1
    assert table.num_rows == 2


def test_models_of_another_task_do_not(
    record: Record, make: Callable[..., Predictor], serving: Any, bill: Any, tmp_path: Path
) -> None:
    for task in ("binary", "regression"):
        record(lambda desk: desk.answer([bill(1)], "a"), serving(make(task)))
    with pytest.raises(OutcomesError, match="log folder of its own"):
        joined(tmp_path / "log")


def test_a_folder_without_predictions_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="no predictions yet"):
        joined(tmp_path)
