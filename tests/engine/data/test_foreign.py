import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from mlops.data.foreign import check
from mlops.data.sniffing import sniff
from mlops.data.sources import DataError

TABLE = pd.DataFrame({"a": [1, 2], "y": [0, 1]})


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name in names:
            opened.writestr(name, "x")
    return stream.getvalue()


# Without the time of day, by which workers would call the test otherwise.
GZIPPED = gzip.compress(b"a,y\n1,0\n", mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "t.xlsx",
            archive("[Content_Types].xml", "xl/workbook.xml"),
            "a spreadsheet: convert it with `libreoffice",
        ),
        ("t.zip", archive("t.csv"), "a zip archive: convert it with `unzip "),
        ("t.csv", GZIPPED, "gzip-compressed: convert it with `gunzip -k"),
        ("t.xls", b"<html><table><tr><td>1</td></tr></table>", "HTML or XML"),
        ("t.dta", b"<stata_dta><header>", "Stata"),
    ],
)
def test_another_kind_of_file_is_refused_with_what_converts_it(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        sniff(tmp_path / name, "y")


@pytest.mark.parametrize("lines", [False, True])
def test_the_command_for_json_writes_the_table(tmp_path: Path, lines: bool) -> None:
    path = tmp_path / "t.json"
    path.write_text(TABLE.to_json(orient="records", lines=lines))
    with pytest.raises(DataError) as refused:
        check(path, path.read_bytes())
    command = str(refused.value).split("`")[1]
    python = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(command, shell=True, cwd=tmp_path, env=python, check=True)
    assert pd.read_csv(tmp_path / "t.csv").equals(TABLE)


def test_a_table_is_let_through(tmp_path: Path) -> None:
    check(tmp_path / "t.csv", b"a,y\n1,0\n")
    check(tmp_path / "t.csv", json.dumps([1, 2]).encode())
