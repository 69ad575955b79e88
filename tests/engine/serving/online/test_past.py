"""A table of raw rows is scored as if it had what the views say, by what was known then."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops.config.views import View
from mlops.data.errors import DataError
from mlops.serving.batch import Scored, predict
from mlops.views.join import values_at

AT = datetime(2026, 3, 20, tzinfo=UTC)
ROWS = 60


@pytest.fixture
def score(
    past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[pd.DataFrame, Scored]]:
    """Score rows in a project whose tables have ten days of payments."""
    draw = np.random.default_rng(6)
    start = np.datetime64("2026-03-10", "us")
    payments = {
        "customer": [f"c{n}" for n in draw.integers(0, 20, 500)],
        "at": start + draw.integers(0, 14_400, 500).astype("m8[m]"),
        "number": np.arange(500),
        "sum": draw.uniform(0, 50, 500),
        "channel": draw.choice(["app", "shop"], 500),
    }
    branches = {"branch": np.arange(5), "at": start, "staff": np.arange(5) * 10}
    for name, columns in {"payments": payments, "branches": branches}.items():
        path = tmp_path / f"data/tables/{name}/all.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame(columns).to_parquet(path)
    monkeypatch.chdir(tmp_path)

    def score(rows: pd.DataFrame, at: datetime | None = AT) -> tuple[pd.DataFrame, Scored]:
        rows.to_parquet("rows.parquet")
        done = predict(Path("rows.parquet"), Path("out.parquet"), past / "candidate", 7, at=at)
        return pd.read_parquet("out.parquet"), done

    return score


@pytest.fixture
def rows() -> pd.DataFrame:
    draw = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "customer": [f"c{n}" for n in draw.integers(0, 25, ROWS)],
            "branch": draw.integers(0, 6, ROWS),
            "asked_at": np.datetime64("2026-03-12", "us")
            + draw.integers(0, 14_400, ROWS).astype("m8[m]"),
            "amount": draw.uniform(0, 10, ROWS),
        }
    )


def joined(rows: pd.DataFrame, views: Mapping[str, View], at: np.ndarray) -> pd.DataFrame:
    """Return the rows with what the views said at these moments."""
    found = [rows]
    for view in views.values():
        keys = {key: rows[column].to_numpy() for key, column in view.entity.items()}
        values = values_at(view, pa.table(keys), at).drop_columns(["known_time"])
        found.append(values.to_pandas())
    return pd.concat(found, axis=1)


def lineage() -> dict[str, object]:
    return dict(json.loads(Path("out.parquet.lineage.json").read_text()))


def test_keys_and_a_time_are_enough(
    score: Callable[..., tuple[pd.DataFrame, Scored]], rows: pd.DataFrame, views: Mapping[str, View]
) -> None:
    whole = joined(rows, views, rows["asked_at"].to_numpy().astype("M8[us]"))
    assert whole["spent"].nunique() > ROWS / 2
    answers, done = score(rows)
    assert not done.notes
    assert [one["name"] for one in lineage()["tables"]] == [  # type: ignore[attr-defined]
        "data/tables/branches/all.parquet",
        "data/tables/payments/all.parquet",
    ]
    wanted, told = score(whole)
    pd.testing.assert_frame_equal(answers, wanted, check_exact=True)
    assert "tables" not in lineage()
    assert len(told.notes) == 2
    assert "all that the model reads of the view spending" in told.notes[0]


def test_a_table_without_the_time_is_answered_as_of_one_moment(
    score: Callable[..., tuple[pd.DataFrame, Scored]], rows: pd.DataFrame, views: Mapping[str, View]
) -> None:
    timeless = rows.drop(columns="asked_at")
    wanted, _ = score(joined(rows, views, np.full(ROWS, np.datetime64("2026-03-20", "us"))))
    answers, done = score(timeless)
    pd.testing.assert_frame_equal(answers, wanted, check_exact=True)
    assert "has no column asked_at: views are as known at 2026-03-20T00:00:00Z" in done.notes[0]
    assert lineage()["views_at"] == "2026-03-20T00:00:00Z"
    with pytest.raises(DataError, match="give --at"):
        score(timeless, None)


def test_some_columns_of_a_view_are_left_aside(
    score: Callable[..., tuple[pd.DataFrame, Scored]], rows: pd.DataFrame
) -> None:
    wanted, _ = score(rows)
    answers, done = score(rows.assign(spent=1e6))
    pd.testing.assert_frame_equal(answers, wanted, check_exact=True)
    assert "rows.parquet has spent, and not all" in done.notes[0]


def test_a_row_that_nothing_was_known_of_is_answered(
    score: Callable[..., tuple[pd.DataFrame, Scored]], rows: pd.DataFrame
) -> None:
    """The keys are nullable here; a row without a moment is not."""
    answers, done = score(rows.assign(customer=None, branch=pd.NA))
    assert answers["prediction"].notna().all()
    rows.loc[3, "asked_at"] = pd.NaT
    answers, done = score(rows)
    assert answers["prediction"].isna().to_numpy().nonzero()[0].tolist() == [3]
    assert "asked_at: 1 of 60 cells are missing" in done.notes[0]


def test_neither_keys_nor_columns_is_refused(
    score: Callable[..., tuple[pd.DataFrame, Scored]], rows: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match="lacks customer, by which the view spending is looked up"):
        score(rows.drop(columns="customer"))
    assert not Path("out.parquet").exists()
