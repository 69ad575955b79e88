"""A table of outcomes is recorded as POST /feedback records them, or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops.cli import main
from mlops.contract import Contract
from mlops.data.sources import DataError
from mlops.monitoring.outcomes import joined, unmatched
from mlops.serving.batch import predict
from mlops.serving.loading import load
from mlops.serving.recording.tables import batches
from mlops.serving.reported import report

AT = datetime(2026, 11, 27, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def contract(trained: Path) -> Contract:
    return load(trained / "candidate").loaded.contract


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "outcomes.csv"
    path.write_text('request_id,row,outcome\na,0,Yes\na,1,false\nb,0,\n"c;d",7,1\n')
    return path


def recorded(log: Path) -> list[dict[str, Any]]:
    files = sorted((log / "feedback").rglob("*.parquet"))
    return [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]


def test_a_table_is_read_by_the_targets_own_spellings(
    table: Path, contract: Contract, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    done = report(table, log, contract, AT)
    found = [(one["request_id"], one["row"], one["outcome"]) for one in recorded(log)]
    assert found == [("a", 0, "true"), ("a", 1, "false"), ("c;d", 7, "true")]
    assert {one["time"] for one in recorded(log)} == {AT.replace(tzinfo=None)}
    assert done.rows == 3
    assert done.notes == ("rows that say nothing yet were left out: 1",)
    (file,) = (log / "feedback/date=2026-11-27").iterdir()
    assert file.name.startswith("part-table-")


def test_it_is_what_the_server_would_have_written(
    table: Path, contract: Contract, tmp_path: Path
) -> None:
    from mlops.serving.endpoints.feedback import decode, outcomes

    report(table, tmp_path / "log", contract, AT)
    told = [("a", 0, True), ("a", 1, False), ("c;d", 7, True)]
    body = json.dumps([{"request_id": i, "row": r, "outcome": o} for i, r, o in told])
    ((_, batch),) = batches(outcomes(decode(body.encode()), contract, AT.timestamp()), {})
    (file,) = (tmp_path / "log").rglob("*.parquet")
    assert pq.ParquetFile(file).read().to_pylist() == batch.to_pylist()
    assert pq.ParquetFile(file).schema_arrow.equals(batch.schema)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_labels_and_numbers(task: str, tmp_path: Path) -> None:
    told = {"multiclass": ["z", "x"], "regression": [-3.5, 1e9]}[task]
    target = {"multiclass": {"type": "category", "categories": ["x", "y", "z"]}}
    target = {"role": "target", **target.get(task, {"type": "number", "max": 5})}
    columns = {"size": {"type": "number"}, "y": target}
    declared = msgspec.convert({"name": "bills", "task": task, "columns": columns}, Contract)
    given = pd.DataFrame({"request_id": "a", "row": [0, 1], "y": told})
    given.to_parquet(tmp_path / "a.parquet")
    report(tmp_path / "a.parquet", tmp_path / "log", declared, AT)
    assert [one["outcome"] for one in recorded(tmp_path / "log")] == told


def test_a_table_is_recorded_once(table: Path, contract: Contract, tmp_path: Path) -> None:
    log = tmp_path / "log"
    report(table, log, contract, AT)
    again = report(table, log, contract, AT.replace(day=28))
    assert (again.rows, len(recorded(log))) == (0, 3)
    assert "already" in again.notes[0]
    table.write_text("request_id,row,outcome\na,0,No\n")
    report(table, log, contract, AT.replace(day=28))
    assert len(recorded(log)) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request_id,row,outcome\na,0,maybe\n", "row 1: outcome is not true or false"),
        ("request_id,row,outcome\na,0,true\na,-1,true\n", "row 2: row is refused"),
        ("request_id,row,outcome\na,0,true\na,0.5,true\n", "row 2: row is not a whole number"),
        ("request_id,row,outcome\n,0,true\nb,0,true\n", "row 1 has no request_id"),
        ("request_id,row,outcome\na,,true\nb,0,true\n", "row 1 has no row"),
        ("request_id,row,outcome\na,0,\nb,99999999999,true\n", "row 2: row is refused"),
        (f"request_id,row,outcome\n{'a' * 201},0,true\n", "row 1: request_id is refused"),
        ("request_id,outcome\na,true\n", "lacks row"),
        ("request_id,row,result\na,0,true\n", "lacks outcome"),
        ("request_id,row,outcome\na,0,\n", "has no outcomes"),
        ("customer_id,outcome\na,true\n", "lacks request_id, row"),
        ("", "is empty"),
    ],
)
def test_what_is_no_outcome_is_refused_by_row_and_nothing_recorded(
    text: str, said: str, contract: Contract, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        report(tmp_path / "a.csv", tmp_path / "log", contract, AT)
    assert not [path for path in (tmp_path / "log").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def answered(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, its answers in both forms, and a log."""
    folder = tmp_path_factory.mktemp("answered")
    rows = pd.read_parquet(trained / "data/raw/2025-02.parquet").head(40)
    rows.to_parquet(folder / "rows.parquet")
    bundle = trained / "candidate"
    for name in ("scores.parquet", "scores.csv"):
        log = folder / "log"
        predict(folder / "rows.parquet", folder / name, bundle, log=log, ids=True, at=AT)
    rows[["customer_id", "churned"]].to_csv(folder / "churned.csv", sep=";", index=False)
    return folder


@pytest.mark.parametrize("form", ["scores.parquet", "scores.csv"])
def test_outcomes_are_told_by_the_ids_of_the_table(
    form: str, answered: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = pd.read_csv(answered / "churned.csv", sep=";").iloc[::-1]
    given.loc[len(given)] = ["C9999999999", True]
    given.to_csv(tmp_path / "late.csv", index=False)
    log = tmp_path / "log"
    (log / "predictions").parent.mkdir()
    (log / "predictions").symlink_to(answered / "log/predictions")
    told = [tmp_path / "late.csv", "--log", log, "--bundle", trained / "candidate"]
    told += ["--scored", answered / form, "--at", "2026-12-27"]
    assert main(["feedback", *map(str, told)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"40 outcomes recorded in {log}",
        "check: rows whose ids were not scored were left out: 1",
    ]
    table = joined(log)
    truth = pd.read_parquet(answered / "rows.parquet")["churned"]
    assert table["outcome"].to_pylist() == [str(one).lower() for one in truth]
    assert unmatched(log) == 0


def test_answers_are_found_in_the_folder_that_predict_wrote(
    answered: Path, contract: Contract, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    predict(answered / "rows.parquet", out / "x.parquet", trained / "candidate", ids=True, at=AT)
    assert (out / "x.parquet.lineage.json").exists()
    assert report(answered / "churned.csv", tmp_path / "log", contract, AT, [out]).rows == 40
    (out / "x.parquet").unlink()
    with pytest.raises(DataError, match="holds no table"):
        report(answered / "churned.csv", tmp_path / "other", contract, AT, [out])
    with pytest.raises(DataError):
        lineage = out / "x.parquet.lineage.json"
        report(answered / "churned.csv", tmp_path / "other", contract, AT, [lineage])


def test_ids_that_name_no_row_or_two_are_refused(
    answered: Path, contract: Contract, trained: Path, tmp_path: Path
) -> None:
    scores, log = answered / "scores.parquet", tmp_path / "log"
    with pytest.raises(DataError, match="was scored more than once"):
        report(answered / "churned.csv", log, contract, AT, [scores, answered / "scores.csv"])
    predict(answered / "rows.parquet", tmp_path / "plain.csv", trained / "candidate", at=AT)
    with pytest.raises(DataError, match="score with `mlops predict --ids`"):
        report(answered / "churned.csv", log, contract, AT, [tmp_path / "plain.csv"])
    (tmp_path / "a.csv").write_text("name,churned\nx,true\n")
    with pytest.raises(DataError, match="lacks customer_id"):
        report(tmp_path / "a.csv", log, contract, AT, [scores])
    (tmp_path / "a.csv").write_text("customer_id,churned\nx,true\n")
    with pytest.raises(DataError, match="has no outcomes of ids that were scored"):
        report(tmp_path / "a.csv", log, contract, AT, [scores])
    assert not log.exists() or not list(log.rglob("*.parquet"))
