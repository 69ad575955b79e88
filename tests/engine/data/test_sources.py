"""Files are read as text, cleaned of blanks, or refused with the remedy."""

import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.contract import Source
from mlops.data.sources import DataError, clean, frames, raw_files

CSV = Source(format="csv")


def read(path: Path, source: Source = CSV, rows: int = 1000) -> pd.DataFrame:
    return pd.concat([part.frame for part in frames([path], source, rows)], ignore_index=True)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a,b\n1,x y\n,?\n", CSV),
        (" a , b \n 1 , x y \n NA , nan \n", CSV),
        ('a,b\r\n1,"x y"\r\n"",null\r\n', CSV),
        ("\ufeffa;b\n1;x y\n;\n", Source(format="csv", separator=";")),
        ("1\tx y\n-\t\n", Source(format="csv", separator="\t", header=["a", "b"])),
    ],
)
def test_cells_are_stripped_texts_and_blanks_are_missing(
    tmp_path: Path, text: str, source: Source
) -> None:
    (tmp_path / "t.csv").write_text(text)
    frame = read(tmp_path / "t.csv", source)
    assert list(frame.columns) == ["a", "b"]
    assert frame.iloc[0].tolist() == ["1", "x y"]
    assert frame.iloc[1].isna().all()


def test_quoted_separators_and_line_ends_stay_in_their_cell(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1, "x, y\nz"\n')
    assert read(tmp_path / "t.csv").iloc[0].tolist() == ["1", "x, y\nz"]


def test_frames_number_their_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "1\n" * 10)
    starts = [part.start for part in frames([tmp_path / "t.csv"], CSV, 4)]
    assert starts == [1, 5, 9]


def test_parquet_keeps_numbers_and_cleans_texts(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": [1.5, None], "c": pd.Categorical([" x", "?"]), "i": [1, 2]})
    table.to_parquet(tmp_path / "t.parquet")
    frame = read(tmp_path / "t.parquet", Source())
    assert frame["n"].dtype == "float64"
    assert frame["c"].tolist()[0] == "x"
    assert pd.isna(frame["c"].tolist()[1])


@pytest.mark.parametrize(
    ("content", "source", "said"),
    [
        (None, CSV, "does not exist"),
        (b"", CSV, "is empty: it needs a header and rows"),
        (b"a,b\n1,2,3\n", CSV, "row 1 has 3 cells and there are 2 columns"),
        (b"a,b\n1,2\n1,2,3\n", CSV, "row 2 has 3 cells and there are 2 columns"),
        (b"a\n\xff\xfe\n", CSV, "not utf-8-sig text"),
        (b"a,b\n1,2\n", Source(), "is no Parquet, which the contract"),
    ],
)
def test_unreadable_file_is_one_sentence(
    tmp_path: Path, content: bytes | None, source: Source, said: str
) -> None:
    if content is not None:
        (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "t", source)


def test_raw_files_are_the_visible_ones_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden", "sub/c.csv", ".git/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in raw_files(tmp_path)]
    assert found == ["a.csv", "b.csv", "sub/c.csv"]


def test_the_types_of_a_parquet_file_are_those_of_its_schema(tmp_path: Path) -> None:
    columns = {
        "flag": pa.array([True, False, None, True]),
        "id": pa.array([2**62 + 1, 3, None, 4]),
        "far": pa.array([2**63 + 3, None, 1, 2], pa.uint64()),
        "code": pa.array([7, None, 7, 8]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    parts = [part.frame for part in frames([tmp_path / "t.parquet"], Source(), 2)]
    assert [list(map(str, part.dtypes)) for part in parts] == [
        ["boolean", "Int64", "UInt64", "Int64"]
    ] * 2
    assert parts[0]["id"][0] == 2**62 + 1
    assert parts[0]["far"][0] == 2**63 + 3


def test_an_index_that_has_a_name_is_a_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))
    table.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", Source())["key"].tolist() == ["x", "y"]
    table.rename_axis(None).to_parquet(tmp_path / "t.parquet")
    assert list(read(tmp_path / "t.parquet", Source())) == ["a"]


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [([True, None], "boolean"), ([1, None], "Int64"), (["x ", None], "str"), ([2**70], "object")],
)
def test_objects_that_a_reader_gives_are_of_one_type(cells: list[object], dtype: str) -> None:
    cleaned = clean(pd.DataFrame({"a": pd.Series(cells, dtype=object)}), [])
    assert str(cleaned["a"].dtype) == dtype


def test_a_parquet_file_among_csvs_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n")
    pd.DataFrame({"a": [2], "b": ["y"]}).to_parquet(tmp_path / "b.csv")
    parts = list(frames([tmp_path / "a.csv", tmp_path / "b.csv"], CSV))
    assert [part.frame["b"][0] for part in parts] == ["x", "y"]


@pytest.mark.parametrize("source", [CSV, Source()])
def test_a_spreadsheet_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, source: Source
) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(DataError, match=r"is a spreadsheet: convert it with `libreoffice .*xlsx`"):
        read(tmp_path / "t.xlsx", source)


def test_a_column_that_stands_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "t")
    with pytest.raises(DataError, match="more than one column named 'a'"):
        read(tmp_path / "t", Source())
