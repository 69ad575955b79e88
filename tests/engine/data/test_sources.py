"""Files are read as text, cleaned of blanks, or refused with the remedy."""

from pathlib import Path

import pandas as pd
import pytest

from mlops.contract import Source
from mlops.data.sources import DataError, frames, raw_files

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
        (b"", CSV, "cannot be read as csv"),
        (b"a,b\n1,2,3\n", CSV, "cannot be read as csv"),
        (b"a,b\n1,2\n1,2,3\n", CSV, "cannot be read as csv"),
        (b"a\n\xff\xfe\n", CSV, "not utf-8-sig text"),
        (b"a,b\n1,2\n", Source(), "cannot be read as parquet"),
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
