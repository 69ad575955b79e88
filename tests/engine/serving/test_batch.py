"""A table is scored as the holdout was, in any form, or not at all."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops.bundle import manifest
from mlops.bundle.reading import load
from mlops.cli import main
from mlops.data.sources import DataError
from mlops.serving.batch import predict


@pytest.fixture(scope="module")
def table(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    pd.read_parquet(trained / "data/raw/2025-02.parquet").head(300).to_parquet(path)
    return path


def scored(table: Path, out: Path, trained: Path, rows: int = 50_000) -> pd.DataFrame:
    predict(table, out, trained / "candidate", rows)
    return pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out)


def test_chunks_do_not_show(table: Path, trained: Path, tmp_path: Path) -> None:
    whole = scored(table, tmp_path / "a.parquet", trained)
    parts = scored(table, tmp_path / "b.parquet", trained, rows=7)
    pd.testing.assert_frame_equal(whole, parts)
    assert len(whole) == 300


def test_ids_decision_and_probability(table: Path, trained: Path, tmp_path: Path) -> None:
    contract = load(trained / "candidate").contract
    result = scored(table, tmp_path / "a.parquet", trained)
    probability = result[f"probability_{contract.labels[1]}"]
    assert list(result.columns)[: len(contract.names("id"))] == list(contract.names("id"))
    assert probability.between(0, 1).all()
    assert ((result["prediction"] == contract.labels[1]) == (probability > 0.5)).all()


def test_decision_is_made_at_the_threshold_of_the_bundle(
    table: Path, trained: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained / "candidate", bundle)
    resolved = (bundle / "resolved.yaml").read_text()
    (bundle / "resolved.yaml").write_text(resolved.replace("threshold: 0.5", "threshold: 0.1"))
    content = manifest.read(bundle)
    del content["files"]
    manifest.write(bundle, content)
    predict(table, tmp_path / "out.parquet", bundle)
    result = pd.read_parquet(tmp_path / "out.parquet")
    labels = load(bundle).contract.labels
    probability = result[f"probability_{labels[1]}"]
    assert probability.between(0.1, 0.5).any()
    assert ((result["prediction"] == labels[1]) == (probability > 0.1)).all()


def test_csv_is_scored_as_parquet_is(table: Path, trained: Path, tmp_path: Path) -> None:
    pd.read_parquet(table).to_csv(tmp_path / "rows.csv", index=False, sep=";")
    one = scored(table, tmp_path / "a.csv", trained)
    two = scored(tmp_path / "rows.csv", tmp_path / "b.csv", trained)
    np.testing.assert_allclose(one.iloc[:, -1], two.iloc[:, -1], atol=1e-6)


def test_target_may_be_absent_and_more_columns_there(
    table: Path, trained: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(table)
    contract = load(trained / "candidate").contract
    rows.drop(columns=contract.target).assign(more=1).to_parquet(tmp_path / "rows.parquet")
    one = scored(table, tmp_path / "a.parquet", trained)
    pd.testing.assert_frame_equal(
        one, scored(tmp_path / "rows.parquet", tmp_path / "b.parquet", trained)
    )


@pytest.fixture(scope="module")
def rewritten(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what makes a bundle of another contract, of the same inputs."""

    def rewrite(**columns: dict[str, object]) -> Path:
        bundle = tmp_path_factory.mktemp("rewritten") / "bundle"
        shutil.copytree(trained / "candidate", bundle)
        contract = json.loads((bundle / "contract.json").read_text())
        for name, column in columns.items():
            contract["columns"].setdefault(name, {}).update(column)
        (bundle / "contract.json").write_text(json.dumps(contract))
        content = manifest.read(bundle)
        del content["files"]
        manifest.write(bundle, content)
        return bundle

    return rewrite


def test_labels_and_numbers_that_the_contract_does_not_declare_are_scored_and_said(
    table: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pd.read_parquet(table).astype({"plan": "str"})
    rows.loc[99:108, "plan"] = "platinum"
    rows.loc[[7, 250], "monthly_fee"] = [101.0, 4000.0]
    rows.to_parquet(tmp_path / "rows.parquet")
    done = predict(tmp_path / "rows.parquet", tmp_path / "a.csv", trained / "candidate", rows=50)
    assert done.rows == 300
    out = tmp_path / "b.csv"
    told = [tmp_path / "rows.parquet", "--out", out, "--bundle", trained / "candidate"]
    assert main(["predict", *map(str, told)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"300 rows scored: {out}",
        *(f"check: {note}" for note in done.notes),
    ]
    assert done.notes == (
        "plan: 10 of 300 cells are no label of the contract, like 'platinum' in row 100",
        "monthly_fee: 2 of 300 cells are below 0 or above 100, like '101.0' in row 8",
    )


def test_a_table_that_fits_has_nothing_to_say(table: Path, trained: Path, tmp_path: Path) -> None:
    assert predict(table, tmp_path / "a.csv", trained / "candidate").notes == ()


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("plan", "platinum", "plan: 300 of 300 cells are no label of the contract"),
        ("monthly_fee", 2200.0, "monthly_fee: 300 of 300 cells are below 0 or above 100"),
        ("plan", None, "plan: 300 of 300 cells are missing, which the contract does not allow"),
    ],
)
def test_a_column_that_the_model_does_not_know_is_refused(
    column: str, values: object, said: str, table: Path, trained: Path, tmp_path: Path
) -> None:
    pd.read_parquet(table).assign(**{column: values}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=said):
        predict(tmp_path / "rows.parquet", tmp_path / "a.csv", trained / "candidate", rows=70)
    assert not (tmp_path / "a.csv").exists()
    # Of a few rows nothing can be said.
    pd.read_parquet(tmp_path / "rows.parquet").head(5).to_parquet(tmp_path / "few.parquet")
    assert predict(tmp_path / "few.parquet", tmp_path / "a.csv", trained / "candidate").rows == 5


@pytest.mark.parametrize("rows", [3, 1000])
def test_a_row_that_the_server_refuses_for_what_it_lacks_has_no_prediction(
    rows: int, table: Path, trained: Path, tmp_path: Path
) -> None:
    given = pd.read_parquet(table).head(12)
    lacking = given.astype({"tenure_months": "float64"})
    lacking.loc[3:5, "plan"] = None  # a whole frame of three rows
    lacking.loc[10, "tenure_months"] = None
    lacking.to_parquet(tmp_path / "rows.parquet")
    whole = scored(table, tmp_path / "whole.parquet", trained).head(12)
    done = predict(tmp_path / "rows.parquet", tmp_path / "a.parquet", trained / "candidate", rows)
    found = pd.read_parquet(tmp_path / "a.parquet")
    assert found.index[found["prediction"].isna()].tolist() == [3, 4, 5, 10]
    kept = found["prediction"].notna()
    pd.testing.assert_frame_equal(found[kept], whole[kept])
    assert found["customer_id"].tolist() == whole["customer_id"].tolist()
    assert [note.split(":")[0] for note in done.notes] == ["plan", "tenure_months"]
    assert "the first in row 4: these rows have no prediction" in done.notes[0]


def test_an_id_leaves_as_it_came(
    table: Path, rewritten: Callable[..., Path], tmp_path: Path
) -> None:
    bundle = rewritten(customer_id={"type": "integer"})
    ids = [4006381333931 + i for i in range(299)] + [2**63 - 1]
    pd.read_parquet(table).assign(customer_id=ids).to_parquet(tmp_path / "rows.parquet")
    predict(tmp_path / "rows.parquet", tmp_path / "a.csv", bundle)
    assert [int(line.split(",")[0]) for line in (tmp_path / "a.csv").read_text().split()[1:]] == ids
    predict(tmp_path / "rows.parquet", tmp_path / "a.parquet", bundle, rows=7)
    assert pq.read_table(tmp_path / "a.parquet")["customer_id"].type == "int64"
    rows = pd.read_parquet(tmp_path / "rows.parquet").astype({"customer_id": str})
    rows.loc[1, "customer_id"] = "007"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(
        DataError, match="row 2, column customer_id: the cell is not a whole number"
    ):
        predict(tmp_path / "rows.csv", tmp_path / "b.csv", bundle)


def test_an_id_called_as_an_answer_is_kept_under_another_name(
    table: Path, rewritten: Callable[..., Path], tmp_path: Path
) -> None:
    ids = {n: {"type": "text", "role": "id"} for n in ("prediction", "input_prediction")}
    bundle = rewritten(**ids)
    rows = pd.read_parquet(table).assign(prediction="P1", input_prediction="P2")
    rows.to_parquet(tmp_path / "rows.parquet")
    done = predict(tmp_path / "rows.parquet", tmp_path / "a.csv", bundle)
    found = pd.read_csv(tmp_path / "a.csv", dtype=str)
    assert set(found["prediction"]) == set(load(bundle).contract.labels)
    assert set(found["input_prediction"]) == {"P2"}
    assert set(found["input_input_prediction"]) == {"P1"}
    assert done.notes == (
        "the id prediction is input_input_prediction in the answer, which has a prediction",
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent.csv", None, "does not exist"),
        ("empty.csv", "", "cannot be read|is empty"),
        ("few.csv", "plan,gender\nbasic,female\n", "lacks"),
    ],
)
def test_unusable_table_is_refused_and_nothing_written(
    name: str, text: str | None, said: str, trained: Path, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        predict(tmp_path / name, tmp_path / "out.csv", trained / "candidate")
    assert not (tmp_path / "out.csv").exists()


def test_unreadable_cell_is_named_and_nothing_written(
    table: Path, trained: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(table).astype({"monthly_fee": object})
    rows.loc[120, "monthly_fee"] = "much"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"row 121, column monthly_fee: 'much' is not a number"):
        predict(tmp_path / "rows.csv", tmp_path / "out.csv", trained / "candidate", rows=50)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_output_of_another_kind_is_refused(table: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.csv or \.parquet"):
        predict(table, tmp_path / "out.xlsx", trained / "candidate")
