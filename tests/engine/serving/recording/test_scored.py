"""A table is recorded as a server records its requests, and once."""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.bundle import manifest
from mlops.bundle.manifest import bundle_digest
from mlops.bundle.reading import load
from mlops.data.sources import DataError
from mlops.files import sha256
from mlops.monitoring.outcomes import joined
from mlops.serving.batch import predict
from mlops.serving.predictor import Predictor
from mlops.serving.recording.segment import Answers, Outcomes, blocks, encode
from mlops.serving.recording.selection import declared
from mlops.serving.recording.spool import RecordingError
from mlops.serving.recording.tables import batches

AT = datetime(2026, 11, 27, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def bundle(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a contract with personal data among its inputs."""
    made = tmp_path_factory.mktemp("personal") / "bundle"
    shutil.copytree(trained / "candidate", made)
    contract = json.loads((made / "contract.json").read_text())
    contract["columns"]["plan"]["pii"] = True
    (made / "contract.json").write_text(json.dumps(contract))
    content = manifest.read(made)
    del content["files"]
    manifest.write(made, content)
    return made


@pytest.fixture(scope="module")
def golden(bundle: Path) -> list[dict[str, Any]]:
    """Rows as a client sends them, some with what the contract does not declare."""
    rows = [one["row"] for one in json.loads((bundle / "golden.json").read_text())]
    return [*rows, {**rows[0], "monthly_fee": 4000.5}, {**rows[1], "contract": " never "}]


def served(bundle: Path, rows: Sequence[Any], request_id: str) -> pa.Table:
    """Return what a server records of rows."""
    predictor = Predictor(load(bundle), bundle_digest(bundle))
    decoded = predictor.decode(msgspec.json.encode(rows))
    predictions = predictor.predict(predictor.matrix(decoded))
    declaration, take = declared(predictor)
    (told,) = blocks(declaration)
    answers = Answers(
        predictor.bundle_digest,
        "champion",
        [request_id],
        [len(rows)],
        [AT.timestamp()],
        [take(row) for row in decoded],
        predictions.astype("<f8").tobytes(),
    )
    (segment,) = blocks(encode(answers))  # in which datetimes are texts
    ((_, batch),) = batches(segment, {predictor.bundle_digest: told})
    file = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([batch]), file)
    return pq.read_table(pa.BufferReader(file.getvalue()))


def parts(log: Path, kind: str = "predictions") -> list[Path]:
    return sorted((log / kind).rglob("part-*.parquet"))


def test_rows_are_those_that_a_server_records(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    table, log = tmp_path / "rows.parquet", tmp_path / "log"
    pd.DataFrame(golden).to_parquet(table)
    predict(table, tmp_path / "a.parquet", bundle, log=log, ids=True, at=AT)
    request_id = f"batch-{sha256(table)[:32]}"
    (file,) = parts(log)
    folder = f"predictions/date=2026-11-27/model={bundle_digest(bundle)[:12]}"
    assert file == log / folder / f"part-{request_id}.parquet"
    found = pq.ParquetFile(file).read()
    expected = served(bundle, golden, request_id)
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert set(found["role"].to_pylist()) == {"batch"}
    assert found["plan"].null_count == len(golden)
    for name in expected.column_names:
        if name != "role":
            assert found[name].to_pylist() == expected[name].to_pylist(), name
    answer = pq.read_table(tmp_path / "a.parquet")
    for name in ("request_id", "row", "prediction"):
        assert answer[name].to_pylist() == found[name].to_pylist()
    assert [one[1] for one in found["probabilities"].to_pylist()] == pytest.approx(
        answer[f"probability_{answer_label(bundle)}"].to_pylist()
    )


def answer_label(bundle: Path) -> str:
    return load(bundle).contract.labels[1]


def test_a_row_without_an_answer_is_not_recorded_and_the_others_keep_their_index(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows = pd.DataFrame([golden[0]] * 50)
    rows.loc[[3, 20, 21], "plan"] = None
    rows.to_parquet(tmp_path / "rows.parquet")
    given = tmp_path / "rows.parquet"
    predict(given, tmp_path / "a.csv", bundle, 20, log=tmp_path / "log", ids=True, at=AT)
    (file,) = parts(tmp_path / "log")
    kept = [row for row in range(50) if row not in (3, 20, 21)]
    assert pq.ParquetFile(file).read()["row"].to_pylist() == kept
    answer = pd.read_csv(tmp_path / "a.csv")
    assert list(answer["row"]) == list(range(50))
    assert list(answer.index[answer["prediction"].isna()]) == [3, 20, 21]


def test_the_same_table_is_recorded_once_and_each_table_by_itself(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder, log = tmp_path / "in", tmp_path / "log"
    folder.mkdir()
    pd.DataFrame(golden).to_parquet(folder / "a.parquet")
    predict(folder, tmp_path / "a.csv", bundle, log=log, at=AT)
    (first,) = parts(log)
    before = first.read_bytes()
    pd.DataFrame(golden[:3]).to_parquet(folder / "b.parquet")
    done = predict(folder, tmp_path / "a.csv", bundle, log=log, at=AT.replace(day=28))
    assert done.notes[-1] == f"1 table in {log} already, from an earlier run: recorded once"
    first_again, second = parts(log)
    assert (first_again, first.read_bytes()) == (first, before)
    assert second.parent.parent.name == "date=2026-11-28"
    assert pq.ParquetFile(second).metadata.num_rows == 3
    first.unlink()
    predict(folder, tmp_path / "a.csv", bundle, log=log, at=AT)
    assert first.read_bytes() == before


@pytest.mark.parametrize("what", ["counted", "of another model", "another file", "damaged"])
def test_a_table_that_was_counted_is_not_recorded_again(
    what: str, bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    given, log = tmp_path / "rows.parquet", tmp_path / "log"
    pd.DataFrame(golden).to_parquet(given)
    predict(given, tmp_path / "a.csv", bundle, log=log, at=AT)
    (part,) = parts(log)
    model = "0" * 12 if what == "of another model" else bundle_digest(bundle)[:12]
    name = "part-x-000001.parquet" if what == "another file" else part.name
    counts = log / f"counts/date=2026-11-27/{model}.json"
    counts.parent.mkdir(parents=True)
    counts.write_text(json.dumps({"files": {name: 1}})[: 9 if what == "damaged" else None])
    shutil.rmtree(log / "predictions")
    later = datetime(2026, 12, 24, tzinfo=UTC)
    done = predict(given, tmp_path / "a.csv", bundle, log=log, at=later)
    assert len(parts(log)) == (0 if what == "counted" else 1)
    assert any("already" in note for note in done.notes) == (what == "counted")


def test_another_model_records_the_same_rows_for_itself(
    bundle: Path, trained: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    given, log = tmp_path / "rows.parquet", tmp_path / "log"
    pd.DataFrame(golden).to_parquet(given)
    for one in (bundle, trained / "candidate"):
        predict(given, tmp_path / "a.csv", one, log=log, at=AT)
    one, other = (pq.ParquetFile(path).read() for path in parts(log))
    assert one["request_id"].to_pylist() == other["request_id"].to_pylist()


def test_a_failed_run_records_nothing(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows = pd.DataFrame([golden[0]] * 50)
    tenures = [*map(str, rows["tenure_months"][:49]), "many"]
    given, log = tmp_path / "rows.parquet", tmp_path / "log"
    rows.assign(tenure_months=tenures).to_parquet(given)
    with pytest.raises(DataError, match="many"):
        predict(given, tmp_path / "a.csv", bundle, 20, log=log, at=AT)
    assert not [path for path in (tmp_path / "log").rglob("*") if path.is_file()]
    assert not list(tmp_path.glob("a.csv*"))


def test_without_a_time_nothing_is_recorded(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    pd.DataFrame(golden).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(RecordingError, match="give --at"):
        predict(tmp_path / "rows.parquet", tmp_path / "a.csv", bundle, log=tmp_path / "log")
    assert not (tmp_path / "a.csv").exists()


def test_outcomes_are_joined_as_those_of_a_server(
    bundle: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    given, log = tmp_path / "rows.parquet", tmp_path / "log"
    pd.DataFrame(golden).to_parquet(given)
    predict(given, tmp_path / "a.parquet", bundle, log=log, ids=True, at=AT)
    request_id = pq.read_table(tmp_path / "a.parquet")["request_id"][0].as_py()
    label = answer_label(bundle)
    ((part, batch),) = batches(Outcomes([request_id], [2], [AT.timestamp()], [label]), {})
    (log / part.folder).mkdir(parents=True)
    pq.write_table(pa.Table.from_batches([batch]), log / part.folder / "part-x.parquet")
    outcomes = joined(log)["outcome"].to_pylist()
    assert outcomes[2] == label
    assert outcomes.count(None) == len(golden) - 1
