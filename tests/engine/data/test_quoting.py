from pathlib import Path

import pytest

from mlops.data.quoting import check
from mlops.data.sources import DataError


def put(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b,y\n0,"x0,0\n1,"x1,1\n', 2),  # pandas makes one row of two
        ('a,b,y\n0,x,0\n1,"say \\"hi\\"",1\n', 3),  # backslashes, as MySQL writes them
        ('a,b,y\n0,x,0\n1,"x1,1\n', 3),  # never closed
        ('a,b,y\n0,"x" or "z",0\n', 2),
    ],
)
def test_a_quote_that_does_not_close_is_refused_by_its_line(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(DataError, match=f"row that begins at line {line} "):
        check(put(tmp_path, text), ",", "utf-8")


@pytest.mark.parametrize(
    "text",
    [
        'a,b,y\n0,"one,\n""two""\nthree" ,0\n1, "x",1\n',
        'a,b\r\n"x","y"\r\n',
        'size,y\n5" pipe,0\n',
        "a,y\n1,2\n",
    ],
)
def test_quotes_that_close_are_fine(tmp_path: Path, text: str) -> None:
    check(put(tmp_path, text), ",", "utf-8")
    check(put(tmp_path, text, "utf-16"), ",", "utf-16")
