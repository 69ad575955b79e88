"""A CSV is read as it is written, or refused with the row in which its cells shift."""

from pathlib import Path

import pandas as pd
import pytest

from mlops.contract import Source
from mlops.data.errors import DataError
from mlops.data.sources import frames

CSV = Source(format="csv")
LATIN = Source(format="csv", encoding="latin-1")
NAMED = Source(format="csv", header=["y", "a", "b"])


def read(
    path: Path, content: str | bytes, source: Source = CSV, absent: str | None = None, rows: int = 2
) -> dict[str, list[str | None]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    parts = [part.frame for part in frames([path], source, rows, absent=absent)]
    whole = pd.concat(parts, ignore_index=True)
    return {
        name: [None if pd.isna(cell) else cell for cell in whole[name]] for name in whole.columns
    }


@pytest.mark.parametrize(
    ("content", "source"),
    [
        ("sep=;\na;b\n1;x\n2;\n", CSV),
        ("SEP=\t\r\na\tb\r\n1\tx\r\n2\t\r\n", CSV),
        ("\n  \na,b\n1,x\n\n   \n2,\n", CSV),
        ("a,b\n1,x\n2,\n".encode("utf-16"), Source(format="csv", encoding="utf-16")),
        ("a b\n1   x\n2 -\n", Source(format="csv", separator=" ")),
        ("1,x\n2,\n", Source(format="csv", header=["a", "b"])),
        ("b,a\nx,1\n,2\n", Source(format="csv", header=["a", "b"])),
    ],
)
def test_ways_in_which_one_table_is_written(
    tmp_path: Path, content: str | bytes, source: Source
) -> None:
    assert read(tmp_path / "t.csv", content, source) == {"a": ["1", "2"], "b": ["x", None]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b,c\n1,2,3\n\n4,5\n", "row 2 has 2 cells and there are 3 columns"),
        ("a,b,c\n1,2,3\n4,5,6\n7\n", "row 3 has 1 cell and"),
        ("a,b\n1,2\n1,2,3\n", "row 2 has 3 cells and there are 2 columns"),
        ("a,b\n1,2,\n3,4,\n", "row 1 has 3 cells"),
        ('a,b,c\n1,"x,y",3\n4,"5,6\n7,8",9\n1,2\n', "row 3 has 2 cells"),
        ('a,b,c\n1,"x,2\n3,y",4,5\n6,7,8\n', "row 1 has 4 cells"),
        ('a,b\n1,"x\n2,y\n', "quote that does not close in the row that begins at line 2"),
        ('a,b,c\n1,"x,2"3,4\n', "quote that does not close in the row that begins at line 2"),
        ("a b\n1 x\n2\n", "row 2 has 1 cell"),
        ("a,a\n1,2\n", "more than one column named 'a'"),
        ("a,b\n1,x\n2,x\nA,b\n", "has its header again in row 3: delete it"),
        ("\n\n", "is empty: it needs a header and rows"),
    ],
)
def test_shifted_cells_are_refused_by_row(tmp_path: Path, content: str, said: str) -> None:
    source = Source(format="csv", separator=" ") if content.startswith("a b") else CSV
    with pytest.raises(DataError, match=said):
        read(tmp_path / "t.csv", content, source)


def test_cells_that_are_empty_or_hold_line_ends_are_no_shift(tmp_path: Path) -> None:
    content = 'a,b\n1,\n"x\ny",\n,\n"say ""no""","5, 6"\n'
    assert read(tmp_path / "t.csv", content) == {
        "a": ["1", "x\ny", None, 'say "no"'],
        "b": [None, None, None, "5, 6"],
    }


def test_a_file_without_header_may_lack_the_target_alone(tmp_path: Path) -> None:
    assert read(tmp_path / "t.csv", "1,2\n3,4\n", NAMED, "y") == {"a": ["1", "3"], "b": ["2", "4"]}
    assert list(read(tmp_path / "t.csv", "0,1,2\n", NAMED, "y")) == ["y", "a", "b"]
    for content in ("1\n", "1,2,3,4\n"):
        with pytest.raises(DataError, match="names 3 columns, or 2 without y"):
            read(tmp_path / "t.csv", content, NAMED, "y")
    with pytest.raises(DataError, match=r"2 cells in its first row, where .* names 3 columns:"):
        read(tmp_path / "t.csv", "1,2\n", NAMED)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_utf8_is_known_where_a_contract_declares_one_byte_a_character(
    tmp_path: Path, encoding: str
) -> None:
    content = "a,ü\n1,Zürich\n2,Genève\n".encode(encoding)
    assert read(tmp_path / "t.csv", content, LATIN)["ü"] == ["Zürich", "Genève"]


def test_another_encoding_than_the_declared_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not utf-8-sig text .*: save it again in utf-8-sig"):
        read(tmp_path / "t.csv", "a,b\n1,Zürich\n".encode("latin-1"))
    with pytest.raises(DataError, match="not gb18030 text"):
        read(tmp_path / "t.csv", b"a,b\n1,\xff\n", Source(format="csv", encoding="gb18030"))
    with pytest.raises(DataError, match=r"not latin-1 text \(byte 0x80 would be a control"):
        read(tmp_path / "t.csv", "a,b\n1,5 €\n".encode("cp1252"), LATIN)
    with pytest.raises(DataError, match="has the encoding utf-88, which Python does not know"):
        read(tmp_path / "t.csv", "a,b\n1,2\n", Source(format="csv", encoding="utf-88"))
