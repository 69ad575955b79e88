"""So many rows of a period get the second action: exactly, the best ones, and in any chunks."""

import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from valued import TABLE

from mlops.bundle.manifest import read as manifest_of
from mlops.bundle.manifest import write as seal
from mlops.bundle.reading import CONFIG
from mlops.runtime.decision import DECISION
from mlops.serving import capacity
from mlops.serving.batch import predict
from mlops.serving.capacity import Best

ACTIONS = ("nothing", "call")


def searched(p: np.ndarray, days: np.ndarray, most: int, least: float) -> list[int]:
    """Return the best rows of each day by looking at all of them."""
    found: list[int] = []
    for day in set(days.tolist()):
        rows = [row for row in range(len(p)) if days[row] == day and p[row] > least]
        found += sorted(rows, key=lambda row: (-p[row], row))[:most]
    return sorted(found)


@pytest.mark.parametrize("most", [0, 1, 7, 1000])
def test_they_are_those_of_a_search_in_whatever_chunks_and_parts(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    monkeypatch.setattr(capacity, "WAITING", 50)
    p = random.integers(0, 12, 600) / 12  # with many ties
    moments = np.datetime64("2026-03-01", "us") + random.integers(0, 5 * 24, 600).astype("m8[h]")
    days = moments.astype("datetime64[D]").astype(int)
    whole, first, second = (Best(most, "day", 0.3, ACTIONS) for _ in range(3))
    for start in range(0, 600, 60):
        rows = slice(start, start + 60)
        whole.add(start, np.arange(60), p[rows], moments[rows])
        part, at = (first, start) if start < 240 else (second, start - 240)
        part.add(at, np.arange(60), p[rows], moments[rows])
    first.join(second, 240)
    expected = searched(p, days, most, 0.3)
    assert whole.chosen().tolist() == first.chosen().tolist() == expected
    assert first.notes() == whole.notes()
    assert f"{len(expected):,} of the {(p > 0.3).sum():,} rows" in whole.notes()[0]
    assert ("of equally probable ones the earlier rows" in whole.notes()[0]) == (most in (1, 7))


def test_a_week_begins_on_monday_and_a_table_is_one() -> None:
    moments = np.array(["2026-03-01", "2026-03-02", "2026-03-08", "2026-03-09", "NaT"], "M8[us]")
    p = np.array([0.5, 0.6, 0.7, 0.8, 0.9])  # Sunday, Monday, Sunday, Monday

    def chosen(per: str) -> list[int]:
        best = Best(1, per, 0.0, ACTIONS)
        best.add(0, np.arange(5), p, moments)
        return best.chosen().tolist()

    assert chosen("week") == [0, 2, 3, 4]
    assert chosen("month") == [3, 4]
    assert chosen("day") == [0, 1, 2, 3, 4]
    assert chosen("table") == [4]


@pytest.fixture
def limited(valued: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return what makes a bundle with a capacity."""

    def make(limit: dict[str, Any], break_even: float | None = 0.05) -> Path:
        bundle = Path(shutil.copytree(valued / "candidate", tmp_path / "limited"))
        asked = yaml.safe_load((bundle / CONFIG).read_text())
        asked["evaluation"]["value"]["capacity"] = limit
        (bundle / CONFIG).write_text(yaml.safe_dump(asked, sort_keys=False))
        decision = json.loads((bundle / DECISION).read_text())
        (bundle / DECISION).write_text(json.dumps(decision | {"break_even": break_even}))
        content = manifest_of(bundle)
        del content["files"]
        seal(bundle, content)
        return bundle

    return make


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_gets_so_many_a_day_in_any_chunks(
    suffix: str, limited: Callable[..., Path], valued: Path, tmp_path: Path
) -> None:
    bundle = limited({"most": 7, "per": "day"})
    table, out = valued / "data/raw/customers.csv", tmp_path / f"scored{suffix}"
    done = predict(table, out, bundle, rows=170)
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    scored, rows = read(out), pd.read_csv(table)
    assert scored["id"].tolist() == rows["id"].tolist()
    days = pd.factorize(rows["day"])[0]
    expected = searched(scored["probability_true"].to_numpy(), days, 7, 0.05)
    assert np.flatnonzero(scored["action"] == "call").tolist() == expected
    assert len(expected) == 7 * 30
    assert "get call: the best 7 of each day" in done.notes[-1]
    # What the threshold decides is what it was.
    threshold = json.loads((bundle / DECISION).read_text())["threshold"]
    is_true = scored["prediction"].astype(str).str.lower() == "true"
    assert (is_true == (scored["probability_true"] > threshold)).all()


def test_without_the_time_and_without_what_breaks_even(
    limited: Callable[..., Path], valued: Path, tmp_path: Path
) -> None:
    """As a champion from before there was such a figure; and rows that lack a cell get nothing."""
    bundle = limited({"spend": 52, "per": "day"}, break_even=None)  # a call costs 5
    rows = pd.read_csv(valued / "data/raw/customers.csv").drop(columns=["day"])
    rows.loc[:20, "risk"] = None
    rows.to_csv(tmp_path / "rows.csv", index=False)
    done = predict(tmp_path / "rows.csv", tmp_path / "scored.csv", bundle)
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert (scored["action"] == "call").sum() == 10
    assert scored["action"].isna().sum() == 21
    best = scored["probability_true"].nlargest(10).index
    assert (scored.loc[best, "action"] == "call").all()
    assert any("has no day: its rows are taken for those of one day" in one for one in done.notes)


def test_several_files_are_one_table_and_a_failure_leaves_nothing(
    limited: Callable[..., Path], valued: Path, tmp_path: Path
) -> None:
    bundle = limited({"most": 5, "per": "table"})
    rows = pd.read_csv(valued / "data/raw/customers.csv")
    paths = [tmp_path / f"{at}.csv" for at in range(3)]
    for at, path in enumerate(paths):
        rows.iloc[at::3].to_csv(path, index=False)
    (tmp_path / "out").mkdir()
    predict(paths, tmp_path / "out/scored.csv", bundle)
    scored = pd.read_csv(tmp_path / "out/scored.csv")
    assert (scored["action"] == "call").sum() == 5
    assert set(scored["id"][scored["action"] == "call"]) == set(
        scored.nlargest(5, "probability_true")["id"]
    )
    before = sorted(one.name for one in (tmp_path / "out").iterdir())
    paths[2].write_text(paths[2].read_text().replace("\n", "\nx,x,x,x,x,x\n", 1))
    with chdir(tmp_path), pytest.raises(Exception, match="contract"):
        predict(paths, tmp_path / "out/scored.csv", bundle)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == before


def test_a_capacity_of_a_table_needs_no_time(valued: Path) -> None:
    import msgspec

    from mlops.config.settings import load as settings_of
    from mlops.config.value import Value

    with chdir(valued):
        contract = settings_of().data
    columns = {name: one for name, one in contract.columns.items() if name != "day"}
    timeless = msgspec.structs.replace(contract, columns=columns)
    value = msgspec.convert(TABLE | {"capacity": {"most": 5, "per": "table"}}, Value)
    value.check(timeless, 3)
    daily = msgspec.convert(TABLE | {"capacity": {"most": 5, "per": "day"}}, Value)
    with pytest.raises(ValueError, match="or so many per `table`"):
        daily.check(timeless, 3)
