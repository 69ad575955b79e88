"""A person's rows leave every file, and what had seen them, and holds them still, is named."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlops.cli import main
from mlops.config.settings import Split
from mlops.contract import Column, Contract, Source
from mlops.data.prepare import prepare
from mlops.data.sources import DataError
from mlops.ingestion import forgetting
from mlops.ingestion.forgetting import Wanted, files, forget

CONTRACT = Contract(
    name="t",
    task="binary",
    source=Source(format="csv"),
    columns={
        "id": Column("text", role="id"),
        "n": Column("number"),
        "y": Column("boolean", role="target"),
    },
)


def forgotten(root: Path, contract: Contract, *keys: str, column: str | None = None) -> int:
    """Forget, and return how many rows of how many files that were."""
    wanted = Wanted(contract, keys, column)
    found = wanted.search(files(root))
    forget(root, wanted, found.held)
    assert not wanted.search(files(root)).held
    return sum(len(one.rows) for one in found.held)


WRITTEN = {
    "plain": ("id,n,y\n", ["a,1,1\n", "b,2,0\n", "a,3,1\n", "c,4,0\n"], "utf-8", {}),
    "no newline at the end": ("id,n,y\n", ["b,2,0\n", "a,3,1"], "utf-8", {}),
    "CRLF and blank lines": ("id,n,y\r\n", ["a,1,1\r\n", "\r\n", "b,2,0\r\n"], "utf-8", {}),
    "quotes over lines": ("id,n,y\n", ['"b",2,0\n', '"a","1",1\n', '"c\nd\ne",4,0\n'], "utf-8", {}),
    "spaces": ("id, n, y\n", [" a , 1,1\n", "b,2 ,0\n"], "utf-8", {}),
    "a mark before": ("\ufeffid,n,y\n", ["a,1,1\n", "ü,2,0\n"], "utf-8", {}),
    "another encoding": ("id;n;y\n", ["a;1;1\n", "ü;2;0\n"], "cp1252", {"separator": ";"}),
    "two bytes": ("id,n,y\n", ["a,1,1\n", "ü,2,0\n"], "utf-16", {}),
    "no header": ("", ["a,1,1\n", "b,2,0\n"], "utf-8", {"header": ["id", "n", "y"]}),
    "as Excel says": ("sep=;\nid;n;y\n", ["a;1;1\n", "b;2;0\n"], "utf-8", {}),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_other_rows_of_a_csv_keep_their_bytes(tmp_path: Path, form: str) -> None:
    above, lines, encoding, how = WRITTEN[form]
    path = tmp_path / "data/raw/a.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes("".join([above, *lines]).encode(encoding))
    declared = "utf-8-sig" if encoding == "utf-8" else encoding
    source = Source(format="csv", encoding=declared, **how)
    contract = msgspec.structs.replace(CONTRACT, source=source)
    mine = [line for line in lines if line.strip(' "').startswith("a")]
    assert forgotten(tmp_path, contract, "a") == len(mine)
    kept = [line for line in lines if line not in mine]
    assert path.read_bytes() == "".join([above, *kept]).encode(encoding)


def test_a_csv_that_cannot_keep_its_bytes_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    contract = msgspec.structs.replace(CONTRACT, source=Source(format="csv", encoding="utf-16"))
    (tmp_path / "data/raw").mkdir(parents=True)
    text = "id,n,y\na,1,1\nb,2,0\n"
    (tmp_path / "data/raw/a.csv").write_text(text, encoding="utf-16")
    (tmp_path / "data/raw/b.csv").write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    before = {path: path.read_bytes() for path in files(tmp_path)}
    with pytest.raises(DataError, match="other rows would change: save it again in UTF-8"):
        forgotten(tmp_path, contract, "a")
    assert {path: path.read_bytes() for path in files(tmp_path)} == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]
    for path in before:  # the remedy
        path.write_text(text, encoding="utf-8")
    assert forgotten(tmp_path, CONTRACT, "a") == 2


def test_parquet_keeps_schema_groups_and_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "data/tables/visits/date=2026-01-01/part.parquet"
    path.parent.mkdir(parents=True)
    ids = pa.array([f"p{n % 7}" for n in range(100)]).dictionary_encode()
    table = pa.table({"id": ids, "at": pa.array(range(100), pa.timestamp("us"))})
    table = table.replace_schema_metadata({"mlops.lineage": "x"})
    pq.write_table(table, path, row_group_size=30, compression="gzip")
    assert forgotten(tmp_path, CONTRACT, "p3", "p5") == 28
    found = pq.ParquetFile(path)
    assert found.schema_arrow.equals(table.schema, check_metadata=True)
    assert found.metadata.num_row_groups == 4
    assert found.metadata.row_group(0).column(0).compression == "GZIP"
    expected = [(at, f"p{at % 7}") for at in range(100) if at % 7 not in (3, 5)]
    rows = found.read().to_pydict()
    assert [*zip((at.microsecond for at in rows["at"]), rows["id"], strict=True)] == expected


@pytest.mark.parametrize("key", ["7", " 7 ", "7.0"])
def test_a_key_is_read_as_its_column_is(tmp_path: Path, key: str) -> None:
    columns = {**CONTRACT.columns, "id": Column("integer", role="id")}
    contract = msgspec.structs.replace(CONTRACT, columns=columns)
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    frame = pd.DataFrame({"id": [7, 77, 7, 2**62 + 1], "n": 1.0, "y": [0, 1, 0, 1]})
    frame.to_csv(raw / "a.csv", index=False)
    frame.to_parquet(raw / "b.parquet", index=False)
    assert forgotten(tmp_path, contract, key) == 4
    assert forgotten(tmp_path, contract, str(2**62 + 1)) == 2
    assert forgotten(tmp_path, contract, str(2**62)) == 0


def test_rooms_change_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("raw", "tables"):
        (tmp_path / "data" / room).mkdir(parents=True)
        (tmp_path / "data" / room / "t.csv").write_text("id,n,y\na,1,1\nb,2,0\n")
        (tmp_path / "data" / room / "other.csv").write_text("id,n,y\nc,1,1\n")
    same = (tmp_path / "data/raw/other.csv").stat().st_ino
    exchanged: list[Path] = []
    exchange = forgetting.exchange

    def failing(one: Path, other: Path) -> None:
        exchanged.append(other)
        if len(exchanged) == 2:
            raise OSError("full")
        exchange(one, other)

    monkeypatch.setattr(forgetting, "exchange", failing)
    before = {path: path.read_bytes() for path in files(tmp_path)}
    with pytest.raises(OSError, match="full"):
        forgotten(tmp_path, CONTRACT, "a")
    assert {path: path.read_bytes() for path in files(tmp_path)} == before
    monkeypatch.setattr(forgetting, "exchange", exchange)
    assert forgotten(tmp_path, CONTRACT, "a") == 2
    assert (tmp_path / "data/raw/other.csv").stat().st_ino == same
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["raw", "tables"]


def test_a_file_of_one_person_is_left_with_no_row_and_is_prepared(tmp_path: Path) -> None:
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    lines = [f"p{n},{n},{n % 2}\n" for n in range(60)]
    (raw / "a.csv").write_text("".join(["id,n,y\n", *lines]))
    (raw / "b.csv").write_text("id,n,y\nme,1,1\n")
    pd.DataFrame({"id": ["me"], "n": [1.5], "y": [True]}).to_parquet(raw / "c.parquet")
    prepare(CONTRACT, Split("hash"), raw, tmp_path / "out")
    assert forgotten(tmp_path, CONTRACT, "me") == 2
    assert "2 of 3 parts" in prepare(CONTRACT, Split("hash"), raw, tmp_path / "out")


def test_the_column_has_to_be_told_where_the_contract_does_not(tmp_path: Path) -> None:
    columns = {**CONTRACT.columns, "id": Column("text", role="ignored")}
    nobody = msgspec.structs.replace(CONTRACT, columns=columns)
    with pytest.raises(DataError, match=r"has no column of role id: say by `--column`"):
        Wanted(nobody, ["a"])
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/a.csv").write_text("id,n,y\na,1,1\nb,2,0\n")
    assert forgotten(tmp_path, nobody, "a", column="id") == 1


def run(root: Path, command: str) -> None:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=root,
        env={**os.environ, "PATH": beside},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)


REMOTE = """\
[core]
    remote = storage
['remote "storage"']
    url = ../../storage
"""


@pytest.fixture(scope="module")
def versioned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a remote, a table, a bundle in production, and history of all of them."""
    root = tmp_path_factory.mktemp("forgetting") / "project"
    shutil.copytree(trained, root)
    stage = {
        "cmd": f"{sys.executable} -P -m mlops.cli prepare",
        "deps": ["data/raw"],
        "params": [{"resolved.yaml": ["split"]}],
        "outs": [{"data/prepared": {"persist": True}}],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"prepare": stage}}))
    shutil.rmtree(root / "data/prepared")
    visits = pd.DataFrame({"customer_id": sorted(persons(root)), "pages": 1})
    (root / "data/tables/visits/date=2025-01-01").mkdir(parents=True)
    visits.to_parquet(root / "data/tables/visits/date=2025-01-01/part.parquet", index=False)
    shutil.copytree(root / "candidate", root / "deploy/production/champion")
    (root / ".gitignore").write_text("/candidate\n/model\n/reports\n/.mlops\n__pycache__\n")
    run(root, "git init -q && dvc init -q")
    (root / ".dvc/config").write_text(REMOTE)
    run(root, "dvc add -q data/raw data/tables/visits deploy/production/champion")
    run(root, "dvc repro -q && git add -A && git commit -qm 'As it was'")
    # Of these rows, only history has the first version.
    first = sorted((root / "data/raw").iterdir())[0]
    pq.write_table(pq.read_table(first).slice(1), first)
    run(root, "dvc add -q data/raw && git commit -qam 'A row less'")
    run(root, "dvc push -q --all-commits")
    return root


def persons(root: Path) -> set[str]:
    """Return the customers of every month."""
    months = [set(pd.read_parquet(p)["customer_id"]) for p in (root / "data/raw").iterdir()]
    return set.intersection(*months)


def holders(folder: Path, value: str) -> list[Path]:
    """Return the files below a folder that hold a text, Parquet read."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if content.startswith(b"PAR1"):
            frame = pq.read_table(io.BytesIO(content)).to_pandas()
            mine = frame.select_dtypes(["object", "str", "category"]).astype(str) == value
            found += [path] * bool(np.asarray(mine).any())
        else:
            found += [path] * (value.encode() in content)
    return found


def commands(said: str) -> Iterator[str]:
    return (line.strip() for line in said.splitlines() if line.startswith("    "))


def test_what_is_named_purges_every_object(
    versioned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.concat(pd.read_parquet(p) for p in (versioned / "data/raw").iterdir())
    key, *others = sorted(persons(versioned))
    email = rows.loc[rows["customer_id"] == key, "email"].iloc[0]
    stores = [versioned / ".dvc/cache", versioned.parent / "storage"]
    assert all(holders(store, value) for store in stores for value in (key, email))
    with chdir(versioned):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n\nnobody\n"))
        before = holders(versioned / "data", key)
        assert main(["forget", "--keys", "-"]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert "1 of 2 keys are in no customer_id of data/raw, data/tables" in told.err
        assert holders(versioned / "data", key) == before
        assert main(["forget", key]) == 0
    said = capsys.readouterr().out
    assert not any(value in said for value in (key, email, *others))
    assert f"removed: {(rows['customer_id'] == key).sum() + 1} rows of 4 files" in said
    assert "data/tables/visits/date=2025-01-01/part.parquet: 1 rows" in said
    assert "had seen them: 2 bundles" in said
    assert "  candidate: " in said
    assert "reports reports/report.html" in said
    assert "deploy/production: " in said
    assert "deploy/production/gate.json" in said
    assert f"data/raw/{min(p.name for p in (versioned / 'data/raw').iterdir())}: " in said
    assert "data/prepared/train/" in said
    for place in ("raw", "tables"):
        assert not holders(versioned / "data" / place, key)
    named = [*commands(said)]
    assert named[:2] == ["dvc add data/raw", "dvc add data/tables/visits"]
    assert named[-1] == "dvc gc --workspace --cloud --force"
    for command in named:
        run(versioned, command)
    for store in stores:
        assert not [*holders(store, key), *holders(store, email)]
        assert holders(store, others[0])
    run(versioned, "dvc status --cloud --quiet")
    with chdir(versioned):
        assert main(["forget", key]) == 1
    assert "nothing was changed" in capsys.readouterr().err


def test_a_key_is_asked_for(versioned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chdir(versioned):
        assert main(["forget"]) == 2
    assert "no key is given: name one, or a file by `--keys`" in capsys.readouterr().err
