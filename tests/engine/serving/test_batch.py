"""A table is scored as the holdout was, in any form, or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.bundle import manifest
from mlops.bundle.reading import load
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


def test_unseen_category_is_scored(table: Path, trained: Path, tmp_path: Path) -> None:
    rows = pd.read_parquet(table)
    rows["plan"] = "platinum"
    rows.to_parquet(tmp_path / "rows.parquet")
    assert len(scored(tmp_path / "rows.parquet", tmp_path / "a.parquet", trained)) == 300


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
