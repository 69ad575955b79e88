"""Outcomes find their predictions by request and row; the latest of each kind counts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.log_layout import REPORTED
from mlops.monitoring import outcomes as joining
from mlops.monitoring.outcomes import (
    OutcomesError,
    feedback_files,
    joined,
    outcomes,
    prediction_files,
    unmatched,
)
from mlops.serving.recording.compaction import compact
from mlops.serving.recording.segment import Answers, Block, Declaration, Outcomes, encode

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
MODEL, OTHER = "a" * 64, "b" * 64
COLUMNS = [("fee", "number", True), ("value", "number", True), ("model", "category", True)]
ROW = (3.5, 1.5, "x")
AWKWARD = "a 'b' \"c\" 50% [d] é*? date=2026-01-01"


def write(folder: Path, name: str, *blocks: Block) -> None:
    """Write blocks as a server of that name would."""
    spool = folder / "spool" / name
    spool.mkdir(parents=True)
    (spool / "000001.segment").write_bytes(b"".join(encode(block, 1) for block in blocks))
    done = compact(spool)
    assert not done.torn, done


def declare(model: str, task: str = "binary") -> Declaration:
    labels = [] if task == "regression" else ["false", "true"]
    return Declaration(model, task, labels, 0.5, COLUMNS, [])


def predict(
    folder: Path,
    *ids: str,
    name: str = "server",
    times: Sequence[float] = (),
    model: str = MODEL,
    role: str = "champion",
    task: str = "binary",
    rows: int = 1,
) -> None:
    """Record requests of so many rows each."""
    number = len(ids) * rows
    answers = Answers(
        *(model, role, list(ids), [rows] * len(ids), list(times or [NOON] * len(ids))),
        *([ROW] * number, np.linspace(0, 1, number).tobytes()),
        *([None] * len(ids), "champion", 1.0),
    )
    write(folder, name, declare(model, task), answers)


def report(folder: Path, name: str, *told: tuple[Any, ...]) -> None:
    """Record reports (request, row, time, outcome, value and currency, action)."""
    whole = [(*one, *[None] * (7 - len(one))) for one in told]
    write(folder, name, Outcomes(*map(list, zip(*whole, strict=True))))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    predict(folder, "a", name="first", rows=2)
    predict(folder, "b", name="second")
    return folder


def found(folder: Path, column: str = "outcome") -> dict[tuple[str, int], Any]:
    table = joined(folder)
    keys = zip(table["request_id"].to_pylist(), table["row"].to_pylist(), strict=True)
    return dict(zip(keys, table[column].to_pylist(), strict=True))


def test_the_latest_outcome_wins_whichever_file_it_is_in(log: Path) -> None:
    report(log, "one", ("a", 0, NOON + 2, "true"), ("a", 1, NOON, "false"))
    report(log, "two", ("a", 0, NOON + 1, "false"), ("a", 1, NOON + DAY, "true"))
    assert found(log) == {("a", 0): "true", ("a", 1): "true", ("b", 0): None}
    assert found(log, "outcome_time")["a", 1] == datetime(2026, 3, 2, 12)
    assert unmatched(log) == 0


def test_of_two_at_the_same_moment_the_last_wins(log: Path) -> None:
    report(log, "one", ("b", 0, NOON, "true"), ("b", 0, NOON, "false"))
    assert found(log)["b", 0] == "false"
    report(log, "two", ("b", 0, NOON, "true"))  # of two files that of the later name
    assert found(log)["b", 0] == "true"
    report(log, "three", ("b", 0, NOON, "false"))
    assert found(log)["b", 0] == "true"


def test_of_each_field_the_latest_that_was_reported_counts(log: Path) -> None:
    report(log, "one", ("a", 0, NOON + 1, "true", 5.0, "EUR", None))
    report(log, "two", ("a", 0, NOON + 2, None, None, None, "called"))
    report(
        log, "three", ("a", 0, NOON + 3, None, -2.0, "CHF", None), ("a", 1, NOON, None, 1, "USD")
    )
    rows = joined(log).select(["outcome", "outcome_time", "value", "currency", "action"])
    first, second, third = (list(row.values()) for row in rows.to_pylist())
    assert first == ["true", datetime(2026, 3, 1, 12, 0, 1), -2.0, "CHF", "called"]
    assert second == [None, None, 1.0, "USD", None]
    assert third == [None] * 5


def test_what_belongs_to_no_prediction_is_counted(log: Path) -> None:
    report(log, "one", ("a", 2, NOON, "true"), ("z", 0, NOON, "true"), ("z", 0, NOON, "false"))
    table = joined(log)
    assert table["outcome"].null_count == table.num_rows == 3
    assert unmatched(log) == 2


def test_an_input_that_is_called_as_a_report_stands_beside_it(log: Path) -> None:
    report(log, "one", ("b", 0, NOON, "true", 7.0, "EUR"))
    (there,) = [row for row in joined(log).to_pylist() if row["request_id"] == "b"]
    assert (there["fee"], there["input_value"], there["value"]) == (3.5, 1.5, 7.0)
    assert (there["input_model"], there["prediction"], there["arm"]) == ("x", "false", "champion")
    assert there["probabilities"] == [1.0, 0.0]


def test_files_of_an_older_server_are_read(log: Path) -> None:
    """Which had neither arms nor values, and an input that is called so under its own name."""
    (path,) = (log / "predictions").rglob("*first*.parquet")
    with pq.ParquetFile(path) as file:
        table = file.read()
    old = table.drop_columns(["unit", "arm", "propensity"]).rename_columns({"input_value": "value"})
    metadata = {k: v for k, v in table.schema.metadata.items() if k != b"format"}
    pq.write_table(old.replace_schema_metadata(metadata), path)
    report(log, "one", ("a", 0, NOON, "true"))
    (path,) = (log / "feedback").rglob("*.parquet")
    with pq.ParquetFile(path) as file:
        told = file.read(["request_id", "row", "time", "outcome"])
    pq.write_table(told, path)
    report(log, "two", ("b", 0, NOON, None, 7.0, "EUR"))
    rows = joined(log).select(["input_value", "arm", "outcome", "value"]).to_pylist()
    assert [list(row.values()) for row in rows] == [
        [1.5, None, "true", None],
        [1.5, None, None, None],
        [1.5, "champion", None, 7.0],
    ]


def test_an_input_that_was_called_as_a_draw_is_one(log: Path) -> None:
    """In a file of the server before, which drew no actions."""
    (path,) = (log / "predictions").rglob("*first*.parquet")
    with pq.ParquetFile(path) as file:
        table = file.read()
    before = table.rename_columns({"input_value": "assigned"})
    metadata = {**table.schema.metadata, b"format": b"2"}
    pq.write_table(before.replace_schema_metadata(metadata), path)
    read = joined(log)
    assert "assigned" not in read.column_names
    assert read["input_assigned"].to_pylist()[:2] == [1.5, 1.5]
    assert read["arm"].to_pylist()[0] == "champion"


def test_predictions_without_any_outcome(log: Path) -> None:
    assert set(found(log).values()) == {None}
    assert joined(log).schema.field("outcome").type == pa.string()
    assert unmatched(log) == 0


def test_a_shadow_gets_the_same_outcome(log: Path) -> None:
    predict(log, "b", name="third", model=OTHER, role="shadow")
    report(log, "one", ("b", 0, NOON, "true"))
    rows = joined(log).select(["request_id", "role", "outcome"]).to_pylist()
    assert [tuple(row.values()) for row in rows if row["request_id"] == "b"] == [
        ("b", "champion", "true"),
        ("b", "shadow", "true"),
    ]


def test_numbers_of_a_regression(tmp_path: Path) -> None:
    predict(tmp_path, "a", task="regression")
    report(tmp_path, "one", ("a", 0, NOON, 2.5), ("a", 0, NOON + 1, None, None, None, "sold"))
    assert found(tmp_path) == {("a", 0): 2.5}
    assert found(tmp_path, "action") == {("a", 0): "sold"}


def test_models_of_other_columns_stand_in_one_table(log: Path) -> None:
    about = Declaration(OTHER, "binary", ["false", "true"], 0.5, [("age", "integer", True)], [])
    other = Answers(OTHER, "champion", ["c"], [1], [NOON], [(40,)], np.zeros(1).tobytes())
    write(log, "third", about, other)
    table = joined(log)
    assert table["age"].to_pylist() == [None, None, None, 40]
    assert table["fee"].null_count == 1


@pytest.mark.parametrize("outcome", ["true", 2.5])
def test_outcomes_of_another_task_are_refused(outcome: Any, tmp_path: Path) -> None:
    predict(tmp_path, "a", task="regression" if outcome == "true" else "binary")
    report(tmp_path, "one", ("a", 0, NOON, outcome))
    with pytest.raises(OutcomesError, match="log folder of its own"):
        joined(tmp_path)


def test_models_of_another_task_do_not(log: Path) -> None:
    predict(log, "c", name="third", model=OTHER, task="regression")
    with pytest.raises(OutcomesError, match="log folder of its own"):
        joined(log)


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Three days of two models, each reported upon on the next day."""
    folder = tmp_path / "log"
    for day in range(3):
        for model in (MODEL, OTHER):
            names = [f"{model[0]}{day}{n}" for n in range(2)]
            times = [NOON + day * DAY] * 2
            predict(folder, *names, name=f"{model[0]}{day}", times=times, model=model)
            later = NOON + (day + 1) * DAY
            report(folder, f"r{model[0]}{day}", *((one, 0, later, "true") for one in names))
    return folder


def told(batches: Any) -> dict[str, Any]:
    rows = [row for batch in batches for row in batch.to_pylist()]
    return {row["request_id"]: row["outcome"] for row in rows}


def test_days_and_a_model_are_read_alone(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = date(2026, 3, 2)
    assert len(prediction_files(days, second, second)) == 2
    assert len(feedback_files(days, last_day=second)) == 2
    for path in set(prediction_files(days)) - set(prediction_files(days, second, second)):
        path.write_bytes(b"not to be read")
    assert told(outcomes(days, second, second, "a" * 12)) == dict.fromkeys(["a10", "a11"], "true")
    with pytest.raises(OutcomesError, match=r"part-a0-.* cannot be read as Parquet: bring it back"):
        list(outcomes(days))


def test_reports_count_up_to_a_day(days: Path) -> None:
    known = told(outcomes(days, model12="a" * 12, at=date(2026, 3, 3)))
    assert [known[f"a{day}0"] for day in range(3)] == ["true", "true", None]


def test_only_mature_predictions_are_asked_for(days: Path) -> None:
    assert {one[1] for one in told(outcomes(days, maturity_days=2))} == {"0", "1"}
    assert {one[1] for one in told(outcomes(days, maturity_days=2, at=date(2026, 3, 3)))} == {"0"}
    assert told(outcomes(days, maturity_days=9)) == {}


def test_columns_and_roles_are_chosen(days: Path) -> None:
    predict(days, "a00", name="shadowing", model=OTHER, role="shadow")
    (batch,) = outcomes(days, columns=["request_id", "fee"], roles=["shadow"])
    assert batch.schema.names == ["request_id", "fee", *REPORTED]
    assert batch.to_pylist()[0]["outcome"] == "true"
    assert list(outcomes(days, roles=["challenger"])) == []


def test_the_order_is_that_of_the_log_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    ids = [f"r{n}" for n in range(300)]
    for part in range(3):
        predict(tmp_path, *ids[part * 100 : part * 100 + 100], name=f"p{part}")
    for part in range(4):
        chosen = generator.choice(ids, 150)
        reports = [
            (str(one), 0, NOON + int(generator.integers(5)), "true", part, "EUR") for one in chosen
        ]
        report(tmp_path, f"f{part}", *reports)
    whole = joined(tmp_path)
    assert whole["request_id"].to_pylist() == ids
    for size, chunk in ((1, 1), (7, 150), (2048, 100)):
        monkeypatch.setattr(joining, "BATCH", size)
        monkeypatch.setattr(joining, "CHUNK", chunk)
        assert joined(tmp_path).equals(whole)
    latest = {one: (0.0, -1) for one in ids}
    for number, path in enumerate(feedback_files(tmp_path)):
        with pq.ParquetFile(path) as file:
            for row in file.read().to_pylist():
                when = row["time"].timestamp()
                latest[row["request_id"]] = max(latest[row["request_id"]], (when, number))
    expected = [latest[one][1] if latest[one][1] >= 0 else None for one in ids]
    assert whole["value"].to_pylist() == expected


def test_a_folder_may_be_called_anything(log: Path) -> None:
    report(log, "one", ("a", 0, NOON, "true"))
    moved = log.rename(log.with_name(AWKWARD))
    assert list(found(moved).values()) == ["true", None, None]
    assert unmatched(moved) == 0


def test_what_is_no_part_of_the_log_is_left_alone(log: Path) -> None:
    for name in ("date=soon", "date=2026-03-01/.part-x.parquet.1.tmp", "notes"):
        (log / "predictions" / name).mkdir(parents=True)
    assert len(prediction_files(log)) == 2


def test_a_folder_without_predictions_is_named(tmp_path: Path) -> None:
    for reading in (joined, lambda folder: list(outcomes(folder, maturity_days=1))):
        with pytest.raises(OutcomesError, match="no predictions yet"):
            reading(tmp_path)


def test_damaged_feedback_is_named(log: Path) -> None:
    report(log, "one", ("a", 0, NOON, "true"))
    (path,) = feedback_files(log)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(OutcomesError, match=r"feedback.* cannot be read as Parquet"):
        joined(log)
