from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.contract import Source
from mlops.data.sniffing import sniff
from mlops.data.sources import DataError, frames

TABLE = "age,city,y\n31,Rome,0\n42,Oslo,1\n27,Rome,0\n"


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TABLE, {}),
        (TABLE.replace(",", ";"), {"separator": ";"}),
        (TABLE.replace(",", "\t"), {"separator": "\t"}),
        (TABLE.replace(",", "|"), {"separator": "|"}),
        (TABLE.replace(",", ", "), {}),
        (TABLE.replace("\n", "\r\n"), {}),
        (TABLE.replace("Rome", '"Rome; the\n""city"", big"'), {}),
        (b"\xef\xbb\xbf" + TABLE.encode(), {}),
        (TABLE.replace("Rome", "Köln").encode("latin-1"), {"encoding": "latin-1"}),
        (TABLE.replace("Rome", "5 €").encode("cp1252"), {"encoding": "cp1252"}),
        (TABLE.encode("utf-16"), {"encoding": "utf-16"}),
        ("a;y\n1,5;0\n2,25;1\n", {"separator": ";", "decimal": ","}),
        ("a;y\n1.234,5;0\n2,25;1\n", {"separator": ";", "decimal": ","}),
        ("a;b;y\n1,234;1.5;0\n12,345;2.5;1\n", {"separator": ";"}),
        ('a,y\n"1,234",0\n"12,345",1\n', {}),
        ("id,2019,2020,y\nx,1.5,2,0\nz,3,4.5,1\n", {}),
        ("0,1,2\n0.5,3,7\n0.1,2,9\n", {}),
        ("a,,y\n1,2,3\n4,5,6\n", {}),
        ("cap,odor,y\nx,s,p\nb,s,e\nx,n,p\n", {}),
    ],
)
def test_says_how_a_table_is_written(
    tmp_path: Path, content: str | bytes, expected: dict[str, str]
) -> None:
    source = sniff(written(tmp_path, content), "y")
    assert source == Source(format="csv", **expected)  # type: ignore[arg-type]


def test_names_the_columns_of_a_file_without_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "5.1,a\n4.9,b\n4.7,a\n")
    assert sniff(path, "y", ["x ", "y"]).header == ["x", "y"]


def test_columns_tell_separators_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "1,5;2,5;a\n3,5;4,5;b\n")
    source = sniff(path, "y", ["u", "v", "y"])
    assert (source.separator, source.decimal) == (";", ",")


def test_a_target_in_the_first_row_makes_it_a_header(tmp_path: Path) -> None:
    assert sniff(written(tmp_path, "2019,2020\n1,2\n3,4\n"), "2020").header == []


def test_takes_parquet_whatever_it_is_called(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "y": [0, 1]}), tmp_path / "table.csv")
    assert sniff(tmp_path / "table.csv", "y") == Source(format="parquet")


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("", None, "is empty"),
        ("\n  \n", None, "is empty"),
        ("a,b,y\n", None, "no rows"),
        ("a\n1\n2\n", None, "only one column"),
        ("a b y\n1 2 3\n4 5\n", None, "only one column"),
        ("# by tool\nu,y\n1,0\n2,1\n", None, r"a line above its header .*`tail -n \+2 "),
        ("sep=;\nu;v;y\n1;2;0\n2;3;1\n", None, r"a line above its header .*`tail -n \+2 "),
        ("Report\n\nu,v,y\n1,2,0\n2,3,1\n" + "3,4,0\n" * 30, None, r"2 lines .*`tail -n \+3 "),
        ('u,v,y\n1,"x,0\n2,"x,1\n', None, "quote that does not close"),
        ("a,y,a\n1,2,3\n", None, "more than one column named 'a'"),
        ("a, a ,y\n1,2,3\n", None, "more than one column named 'a'"),
        ("5.1,3.5,a\n4.9,3.0,a\n4.7,3.2,b\n", None, r"no header .*5\.1, 3\.5, a.*3 columns"),
        ("p,x,s\ne,x,y\np,b,s\n", None, "no header"),
        ("5.1,3.5,a\n4.9,3.0,a\n", ["u", "v"], "has 3 columns and --columns names 2"),
        ("5.1;3.5\n4.9;3.0\n", ["u", "v", "w"], "has 2 columns and --columns names 3"),
        ("5.1,3.5\n4.9,3.0\n", ["u", "u"], "more than one column named 'u'"),
        (TABLE, ["age", "city", "y"], "starts with a header"),
        (TABLE, ["u", "v", "w"], "starts with a header"),
        (b"a,y\n1,\x00\n", None, "binary"),
        (b"a,y\nK\xf6ln,1\n\x81,0\n", None, "neither UTF-8 nor Windows-1252"),
        (b"PK\x03\x04whatever", None, "zip archive: convert it with `unzip"),
        (b"\x1f\x8bwhatever", None, "gzip"),
        (b"PAR1 and then nothing", None, "damaged Parquet"),
    ],
)
def test_refuses_what_is_no_table(
    tmp_path: Path, content: str | bytes, columns: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        sniff(written(tmp_path, content), "target", columns)


def test_refuses_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        sniff(tmp_path, "y")
    with pytest.raises(DataError, match="does not exist"):
        sniff(tmp_path / "absent.csv", "y")


def test_refuses_empty_parquet_and_names_for_parquet(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"a": [1], "y": [0]}), path)
    with pytest.raises(DataError, match="drop --columns"):
        sniff(path, "y", ["u", "v"])
    pq.write_table(pa.table({"a": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}), path)
    with pytest.raises(DataError, match="no rows"):
        sniff(path, "y")


@pytest.mark.parametrize(
    "text", ["a b y\n1 2 0\n3 4 1\n", "  a   b y \n\n 1  2   0 \n3 4 1\n", '"a" b y\n1 "x z" 0\n']
)
def test_blanks_separate_where_nothing_else_does(tmp_path: Path, text: str) -> None:
    source = sniff(written(tmp_path, text), "y")
    assert source.separator == " "
    (part,) = frames([tmp_path / "table.csv"], source)
    assert list(part.frame) == ["a", "b", "y"]
    assert part.frame.y.iloc[0] == "0"


def test_a_header_that_begins_with_a_number_sign_is_one(tmp_path: Path) -> None:
    assert sniff(written(tmp_path, "#,name,y\n1,a,0\n2,b,1\n3,a,0\n"), "y").separator == ","


def test_a_named_encoding_is_taken_where_the_file_is_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, "city,y\n上海,0\n北京,1\n".encode("gb18030"))
    assert sniff(path, "y", encoding="gb18030").encoding == "gb18030"
    assert sniff(path, "y").encoding == "latin-1"
    for wrong, said in (("utf-8", "is no utf-8 text"), ("hex", "none that"), ("no", "none that")):
        with pytest.raises(DataError, match=said):
            sniff(path, "y", encoding=wrong)


def test_utf8_that_is_cut_off_is_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    whole = ("city,y\n" + "Köln,1\nUlm,0\n" * 50 + "Köln,ü").encode()
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"UTF-8 text that ends within a character: fetch or write"):
        sniff(path, "y")
    path.write_bytes(whole)
    assert sniff(path, "y").encoding == "utf-8-sig"
    path.write_bytes("city,y\nUlm,0\nBonn,é".encode("latin-1"))  # of which the last begins one
    assert sniff(path, "y").encoding == "latin-1"
