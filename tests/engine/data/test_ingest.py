"""Rows that a function of the project reads or fetches."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops.contract import Source
from mlops.data.sources import DataError, ingest, table

SOURCES = """
import pandas as pd

def joined(folder):
    one, other = (pd.read_csv(path) for path in sorted(folder.glob("*.csv")))
    yield one.merge(other, on="id")

def orders():
    yield pd.DataFrame({"id": [1, 2], "note": ["a", None]})
    yield pd.DataFrame({"id": [3], "note": ["b"]})

def none():
    return []

def broken():
    yield pd.DataFrame({"id": [1]})
    raise ConnectionError("the database is away")

def rows():
    yield [1, 2]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A project whose owner wrote these sources."""
    (tmp_path / "src/project").mkdir(parents=True)
    (tmp_path / "src/project/__init__.py").touch()
    (tmp_path / "src/project/sources.py").write_text(SOURCES)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
            del sys.modules[name]

    forget()
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    yield
    forget()


def test_several_files_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,2\n2,3\n")
    (tmp_path / "b.csv").write_text("id,y\n2,NA\n1,u\n")
    (frame,) = table(tmp_path, sorted(tmp_path.glob("*.csv")), Source(reader="joined"))
    assert frame.frame["x"].tolist() == [2, 3]
    assert frame.frame["y"].isna().tolist() == [False, True]


def test_what_is_fetched_is_written_whole_and_alike(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    assert ingest(Source(ingest="orders"), raw) == 3
    first = (raw / "ingested.parquet").read_bytes()
    assert pd.read_parquet(raw / "ingested.parquet")["id"].tolist() == [1, 2, 3]
    ingest(Source(ingest="orders"), raw)
    assert (raw / "ingested.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(), "nothing says where the data come from"),
        (Source(ingest="gone"), "src/project/sources.py has no such function"),
        (Source(ingest="none"), "gave no rows"),
        (Source(ingest="broken"), "ConnectionError: the database is away.: mend it there"),
        (Source(ingest="rows"), "it gave list, and no DataFrame"),
    ],
)
def test_a_source_that_fails_leaves_what_was_there(
    tmp_path: Path, source: Source, said: str
) -> None:
    raw = tmp_path / "raw"
    ingest(Source(ingest="orders"), raw)
    before = (raw / "ingested.parquet").read_bytes()
    with pytest.raises(DataError, match=said):
        ingest(source, raw)
    assert [path.name for path in raw.iterdir()] == ["ingested.parquet"]
    assert (raw / "ingested.parquet").read_bytes() == before


def test_files_of_somebody_else_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/mine.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"holds mine\.csv"):
        ingest(Source(ingest="orders"), tmp_path / "raw")
