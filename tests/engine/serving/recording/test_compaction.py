"""Segments become Parquet that anything reads, once, whatever was killed when."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.data.prepared import ARROW
from mlops.serving.predictor import Predictor
from mlops.serving.recording.compaction import Compacted, compact
from mlops.serving.recording.segment import Answers, Declaration, Outcomes, blocks, encode
from mlops.serving.recording.selection import declared
from mlops.serving.recording.tables import batches

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log" / "spool" / "20260301T000000-test"
    made.mkdir(parents=True)
    return made


def answered(
    predictor: Predictor, rows: list[dict[str, Any]], times: list[float] | None = None
) -> tuple[bytes, np.ndarray]:
    """Return a segment with one request for each row, and the predictions."""
    decoded = predictor.decode(msgspec.json.encode(rows))
    predictions = predictor.predict(predictor.matrix(decoded))
    declaration, take = declared(predictor)
    block = Answers(
        predictor.bundle_digest,
        "champion",
        [f"r{i}" for i in range(len(rows))],
        [1] * len(rows),
        times or [NOON] * len(rows),
        [take(one) for one in decoded],
        predictions.tobytes(),
    )
    return declaration + encode(block, len(rows)), predictions


class OldAnswers(msgspec.Struct, array_like=True, tag="answers"):
    """What a server wrote before it recorded how a request was drawn."""

    bundle_digest: str
    role: str
    ids: list[str]
    counts: list[int]
    times: list[float]
    rows: list[tuple[Any, ...]]
    predictions: bytes


class OldOutcomes(msgspec.Struct, array_like=True, tag="outcomes"):
    """What a server wrote before it recorded values and actions."""

    ids: list[str]
    rows: list[int]
    times: list[float]
    outcomes: list[str | float]


def test_a_segment_of_an_older_server_is_read(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(1), bill(2)])
    declaration, block = blocks(segment)
    assert isinstance(block, Answers)
    known = {name: getattr(block, name) for name in OldAnswers.__struct_fields__}
    old = [OldAnswers(**known), OldOutcomes(["r0"], [0], [NOON], ["true"])]
    (folder / "000001.segment").write_bytes(
        b"".join(encode(each, 1) for each in (declaration, *old))  # type: ignore[arg-type]
    )
    assert compact(folder) == Compacted(segments=1, rows=3)
    (path,) = parts(folder)
    with pq.ParquetFile(path) as file:
        rows = file.read(["role", "unit", "arm", "propensity"]).to_pylist()
    assert rows == [{"role": "champion", "unit": None, "arm": None, "propensity": None}] * 2
    (path,) = (folder.parent.parent / "feedback").rglob("*.parquet")
    with pq.ParquetFile(path) as file:
        (row,) = file.read(["outcome", "value", "currency", "action"]).to_pylist()
    assert row == {"outcome": "true", "value": None, "currency": None, "action": None}


def parts(folder: Path) -> list[Path]:
    return sorted((folder.parent.parent / "predictions").rglob("*.parquet"))


def test_columns_are_typed_as_prepared_data(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(8)])
    (folder / "000001.segment").write_bytes(segment)
    assert compact(folder) == Compacted(segments=1, rows=8)
    assert list(folder.iterdir()) == []
    (path,) = parts(folder)
    day = path.parent.parent.name, path.parent.name
    assert day == ("date=2026-03-01", f"model={binary.bundle_digest[:12]}")
    with pq.ParquetFile(path) as file:
        table = file.read()
    inputs = {"input_model" if n == "model" else n: c for n, c in binary.schema.columns.items()}
    assert table.column_names == [
        *("request_id", "row", "time", "digest", "role", "unit", "arm", "propensity"),
        *inputs,
        *("prediction", "probabilities"),
    ]
    for name, column in inputs.items():
        assert table.schema.field(name).type == ARROW[column.type]
    assert table["plan"].to_pylist()[:3] == ["basic", "plus", None]
    assert table["calls"].to_pylist()[:3] == [None, 1.0, 2.0]
    assert table["renews"].to_pylist()[:2] == [True, False]
    assert table["paid"].to_pylist()[:2] == [None, datetime(2026, 1, 3, 12)]
    assert table["time"].to_pylist()[0] == datetime(2026, 3, 1, 12)
    assert table["digest"].to_pylist()[0] == binary.bundle_digest


def test_any_reader_of_partitioned_folders_reads_it(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(3)], [NOON, NOON + DAY, NOON + DAY])
    (folder / "000001.segment").write_bytes(segment)
    compact(folder)
    frame = pd.read_parquet(folder.parent.parent / "predictions")
    assert frame["request_id"].tolist() == ["r0", "r1", "r2"]
    assert frame["date"].astype(str).tolist() == ["2026-03-01", "2026-03-02", "2026-03-02"]
    assert set(frame["model"]) == {binary.bundle_digest[:12]}
    assert set(frame["input_model"]) == {"a"}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_prediction_is_the_decision_of_the_task(
    task: str,
    folder: Path,
    make: Callable[..., Predictor],
    bill: Callable[..., dict[str, Any]],
) -> None:
    predictor = make(task)
    segment, predictions = answered(predictor, [bill(i) for i in range(9)])
    (folder / "000001.segment").write_bytes(segment)
    compact(folder)
    with pq.ParquetFile(parts(folder)[0]) as file:
        table = file.read()
    told = json.loads(predictor.answer(predictions, "r"))["predictions"]
    assert table["prediction"].to_pylist() == [one["prediction"] for one in told]
    labels = json.loads(table.schema.metadata[b"labels"])
    assert labels == list(predictor.loaded.contract.labels)
    for recorded, one in zip(table["probabilities"].to_pylist(), told, strict=True):
        if task == "regression":
            assert recorded is None
        else:
            assert dict(zip(labels, recorded, strict=True)) == pytest.approx(one["probabilities"])


def test_text_that_means_missing_is_missing_and_an_unseen_label_is_kept(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    rows = [bill(plan=plan) for plan in ("?", " plus ", "platinum")]
    (folder / "000001.segment").write_bytes(answered(binary, rows)[0])
    compact(folder)
    with pq.ParquetFile(parts(folder)[0]) as file:
        assert file.read()["plan"].to_pylist() == [None, "plus", "platinum"]


def test_personal_data_is_in_no_file(
    folder: Path, make: Callable[..., Predictor], bill: Callable[..., dict[str, Any]]
) -> None:
    predictor = make(plan={"pii": True}, billed={"pii": True}, fee={"pii": True})
    rows = [bill(fee=123456.75, plan="secret-plan", billed="1999-09-09T09:09:09")]
    segment, _ = answered(predictor, rows)
    for secret in (b"secret-plan", b"1999-09-09", np.float64(123456.75).tobytes()[::-1]):
        assert secret not in segment
    (folder / "000001.segment").write_bytes(segment)
    compact(folder)
    with pq.ParquetFile(parts(folder)[0]) as file:
        table = file.read()
    for name in ("plan", "billed", "fee"):
        assert table[name].null_count == 1
        assert table.schema.field(name).type == ARROW[predictor.schema.columns[name].type]
    assert table["renews"].to_pylist() == [True]


def test_a_segment_that_was_not_removed_changes_nothing(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(5)])
    (folder / "000001.segment").write_bytes(segment)
    compact(folder)
    before = [path.read_bytes() for path in parts(folder)]
    (folder / "000001.segment").write_bytes(segment)
    compact(folder)
    assert [path.read_bytes() for path in parts(folder)] == before


def test_what_is_torn_is_counted_and_the_rest_kept(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(5)])
    tail = encode(Outcomes(["a", "b"], [0, 0], [NOON, NOON], ["yes", "no"]), 2)[:-3]
    (folder / "000001.segment").write_bytes(segment + tail)
    (folder / "000002.segment").write_bytes(b"")
    assert compact(folder) == Compacted(segments=2, rows=5, torn=1, lost=2)


def test_answers_of_an_undeclared_model_are_lost_and_stop_nothing(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(5)])
    declaration, _ = declared(binary)
    (folder / "000001.segment").write_bytes(segment[len(declaration) :] + segment)
    assert compact(folder) == Compacted(segments=1, rows=5, torn=1, lost=5)


def test_a_failure_leaves_the_segment_and_no_part(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(0)])
    (folder / "000001.segment").write_bytes(segment)
    (folder.parent.parent / "predictions").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="predictions"):
        compact(folder)
    assert (folder / "000001.segment").read_bytes() == segment


def test_outcomes_of_labels_and_of_numbers_get_files_of_their_own(folder: Path) -> None:
    blocks = (
        Outcomes(["a"], [0], [NOON], ["yes"]),
        Outcomes(["b"], [1], [NOON], [2.5]),
    )
    (folder / "000001.segment").write_bytes(b"".join(encode(block, 1) for block in blocks))
    compact(folder)
    files = sorted((folder.parent.parent / "feedback" / "date=2026-03-01").iterdir())
    types = {pq.read_schema(path).field("outcome").type for path in files}
    assert types == {pa.string(), pa.float64()}


def test_the_process_says_what_it_did(
    folder: Path, binary: Predictor, bill: Callable[..., dict[str, Any]]
) -> None:
    segment, _ = answered(binary, [bill(i) for i in range(5)])
    (folder / "000001.segment").write_bytes(segment)
    command = [sys.executable, "-P", "-m", "mlops.serving.recording", str(folder)]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    assert json.loads(said) == {"segments": 1, "rows": 5, "torn": 0, "lost": 0}
    assert len(parts(folder)) == 1


def test_the_process_leaves_the_processor_to_the_server(folder: Path) -> None:
    pipe = folder / "000001.segment"  # opening it waits for the other end
    os.mkfifo(pipe)
    command = [sys.executable, "-P", "-m", "mlops.serving.recording", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        with pipe.open("wb"):
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == 19
            assert os.getsid(child.pid) == os.getsid(0)
            assert os.getpgid(child.pid) == child.pid  # an interrupt is not for it
        assert json.loads(child.communicate()[0])["segments"] == 1


def test_texts_are_recorded_as_prepared_data_has_them() -> None:
    columns = [("note", "text", True), ("hidden", "text", False)]
    about = Declaration("d" * 64, "regression", [], 0.5, columns, ["?"])
    rows = [(" late ",), ("?",), (None,), ("",)]
    predictions = np.zeros(4).tobytes()
    block = Answers("d" * 64, "champion", ["r"], [4], [NOON], rows, predictions)
    ((_, batch),) = batches(block, {"d" * 64: about})
    assert batch.column("note").to_pylist() == ["late", None, None, ""]
    assert {batch.schema.field(name).type for name in ("note", "hidden")} == {ARROW["text"]}


def test_a_label_is_recorded_as_declared_however_it_was_sent() -> None:
    columns = [("branch", "category", True)]
    labels = {"branch": ["1001", "1077"]}
    about = Declaration("d" * 64, "regression", [], 0.5, columns, ["?"], labels)
    rows = [("1001.0",), (" 1077",), ("7.0",), ("?",)]
    block = Answers("d" * 64, "champion", ["r"], [4], [NOON], rows, np.zeros(4).tobytes())
    ((_, batch),) = batches(block, {"d" * 64: about})
    assert batch.column("branch").to_pylist() == ["1001", "1077", "7.0", None]
