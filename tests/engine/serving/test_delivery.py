"""Where answers go, when they are of, and what they came from."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sweeps import some

from mlops import engine
from mlops.bundle.manifest import BundleError, bundle_digest
from mlops.cli import main
from mlops.data.sources import DataError
from mlops.files import sha256
from mlops.serving.batch import predict
from mlops.serving.delivery import KEY, moment, target

AT = datetime(2026, 11, 27, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows(trained: Path) -> pd.DataFrame:
    return pd.read_parquet(trained / "data/raw/2025-02.parquet").head(120)


@pytest.fixture
def folder(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder of two tables, beside what a writer leaves there."""
    made = tmp_path / "in"
    (made / "north").mkdir(parents=True)
    rows.head(50).to_parquet(made / "north/a.parquet")
    rows.tail(70).to_parquet(made / "b.parquet")
    for name in ("_SUCCESS", ".b.parquet.crc", "north/._a.parquet"):
        (made / name).write_text("")
    return made


def lineage(out: Path) -> Any:
    return json.loads(out.with_name(f"{out.name}.lineage.json").read_text())


def test_an_answer_says_what_it_came_from(folder: Path, trained: Path, tmp_path: Path) -> None:
    bundle, out = trained / "candidate", tmp_path / "scores.parquet"
    done = predict(folder, out, bundle, at=AT)
    manifest = json.loads((bundle / "manifest.json").read_text())
    said = lineage(out)
    assert said.pop("output") == {"name": "scores.parquet", "sha256": sha256(out)}
    assert said.pop("partition") is None
    assert said == json.loads(pq.read_metadata(out).metadata[KEY.encode()])
    assert said == {
        "format": 1,
        "name": manifest["name"],
        "task": "binary",
        "model": {"sha256": bundle_digest(bundle), "commit": manifest["lineage"]["commit"]},
        "engine": engine.version(),
        "at": "2026-11-27T06:00:00Z",
        "rows": 120,
        "inputs": [
            {"name": name, "sha256": sha256(folder / name), "rows": count}
            for name, count in (("b.parquet", 70), ("north/a.parquet", 50))
        ],
    }
    assert engine.version() == (trained / "engine/VERSION").read_text().strip()
    assert done.rows == 120


def test_several_files_are_scored_as_one_table(
    folder: Path, rows: pd.DataFrame, trained: Path, tmp_path: Path
) -> None:
    rows.to_parquet(tmp_path / "whole.parquet")
    predict(tmp_path / "whole.parquet", tmp_path / "whole.csv", trained / "candidate", at=AT)
    files = [folder / "north/a.parquet", folder / "b.parquet"]
    predict(files, tmp_path / "parts.csv", trained / "candidate", at=AT)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert lineage(tmp_path / "parts.csv")["output"]["sha256"] == sha256(tmp_path / "whole.csv")


def test_the_same_run_writes_the_same_bytes(folder: Path, trained: Path, tmp_path: Path) -> None:
    def run(partition: str | None) -> list[tuple[str, bytes]]:
        out = tmp_path / "scores" if partition else tmp_path / "a.parquet"
        predict(folder, out, trained / "candidate", partition=partition, at=AT)
        found = sorted((tmp_path / "scores").rglob("*") if partition else tmp_path.glob("a.*"))
        return [(str(path), path.read_bytes()) for path in found if path.is_file()]

    for partition in (None, "date"):
        assert run(partition) == run(partition)


def test_a_partition_is_read_as_one(folder: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores"
    for day in (26, 27):
        at = AT.replace(day=day)
        done = predict(folder, out, trained / "candidate", partition="date", at=at)
    assert done.out == out / "date=2026-11-27/part.parquet"
    table = pq.read_table(out)  # which leaves the lineage aside
    assert table.num_rows == 240
    assert set(table["date"].to_pylist()) == {"2026-11-26", "2026-11-27"}
    told = json.loads((done.out.parent / "_part.parquet.lineage.json").read_text())
    assert told["partition"] == "date=2026-11-27"


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        ("date=", "write it as NAME=VALUE"),
        ("date=../../x", "write it as NAME=VALUE"),
        ("a/b=c", "write it as NAME=VALUE"),
        ("=x", "write it as NAME=VALUE"),
        ("prediction=1", "like a column of the answer"),
    ],
)
def test_no_other_partition_is_written(
    partition: str, said: str, folder: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        predict(folder, tmp_path / "scores", trained / "candidate", partition=partition, at=AT)
    assert not (tmp_path / "scores").exists()


def test_places_where_nothing_can_be_written_are_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "y.csv.lineage.json").mkdir()
    for out, partition in (
        *(("scores", None), ("none/x.csv", None), ("x.csv", None), ("y.csv", None)),
        *(("file", "date=1"), ("z.parquet", "date=1")),
    ):
        with pytest.raises(DataError):
            target(tmp_path / out, partition, AT)
    with pytest.raises(DataError, match="the day of --at"):
        target(tmp_path, "date", None)


def test_what_is_written_lies_outside_of_what_is_read(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    bundle, table = trained / "candidate", folder / "b.parquet"
    before = table.read_bytes()
    for given, out, log in (
        (folder, folder / "scores.parquet", None),
        (folder, tmp_path / "scores.parquet", folder / "log"),
        (table, table, None),
    ):
        with pytest.raises(DataError, match="a place outside of it"):
            predict(given, out, bundle, log=log, at=AT)
    assert table.read_bytes() == before
    assert not list(tmp_path.glob("*.parquet"))


def test_tables_that_are_no_parts_of_one_are_refused(
    folder: Path, rows: pd.DataFrame, trained: Path, tmp_path: Path
) -> None:
    bundle, out = trained / "candidate", tmp_path / "a.csv"
    (folder / "c.parquet").write_bytes((folder / "b.parquet").read_bytes())
    with pytest.raises(DataError, match="are the same table"):
        predict(folder, out, bundle, at=AT)
    rows.drop(columns="customer_id").to_parquet(folder / "c.parquet")
    with pytest.raises(DataError, match="customer_id is in one of them alone"):
        predict(folder, out, bundle, at=AT)
    (folder / "c.parquet").write_bytes(b"PAR1, and half a file")
    with pytest.raises(DataError, match="is damaged Parquet"):
        predict(folder, out, bundle, at=AT)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no table"):
        predict(tmp_path / "none", out, bundle, at=AT)
    assert not list(tmp_path.glob("a.csv*"))


def test_a_cell_is_named_with_its_file(
    folder: Path, rows: pd.DataFrame, trained: Path, tmp_path: Path
) -> None:
    rows.assign(monthly_fee=[4000.0] + [20.0] * 119).to_parquet(folder / "c.parquet")
    done = predict(folder, tmp_path / "a.csv", trained / "candidate", at=AT)
    assert done.notes[0].endswith(f"in row 1 of {folder / 'c.parquet'}")


def test_a_table_that_changes_beneath_is_refused(
    folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.parquet"
    predict(folder, out, trained / "candidate", at=AT)
    before = out.read_bytes(), lineage(out)

    from mlops.serving import batch

    def touching(*given: Any, **named: Any) -> Any:
        os.utime(folder / "b.parquet", (1, 1))
        yield from frames(*given, **named)

    frames = batch.frames
    monkeypatch.setattr(batch, "frames", touching)
    with pytest.raises(DataError, match="changed while it was scored"):
        predict(folder, out, trained / "candidate", log=tmp_path / "log", at=AT)
    assert (out.read_bytes(), lineage(out)) == before
    assert not list((tmp_path / "log").rglob("*.parquet"))


def test_another_bundle_than_expected_is_refused_before_anything(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="which is expected"):
        predict(folder, tmp_path / "none/x", trained / "candidate", expect="0" * 64, at=AT)
    expect = bundle_digest(trained / "candidate")
    predict(folder, tmp_path / "a.csv", trained / "candidate", expect=expect, at=AT)


@pytest.fixture
def production(trained: Path, tmp_path: Path) -> Path:
    """What is declared, with the bundle itself."""
    made = tmp_path / "deploy/production"
    made.mkdir(parents=True)
    (made / "champion").symlink_to(trained / "candidate")
    (made / "release.yaml").write_text(f"manifest: {bundle_digest(trained / 'candidate')}\n")
    return made


@pytest.mark.parametrize(
    ("declared", "said"),
    [("manifest: " + "0" * 64, "which is expected"), ("manifest: [", "does not say"), ("x: 1", "")],
)
def test_a_champion_is_the_one_that_is_declared(
    declared: str,
    said: str,
    folder: Path,
    production: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.csv"
    told = [folder, "--out", out, "--bundle", production / "champion", "--at", "2026-11-27"]
    assert main(["predict", *map(str, told)]) == 0
    assert lineage(out)["at"] == "2026-11-27T00:00:00Z"
    before = lineage(out)
    (production / "release.yaml").write_text(declared)
    assert main(["predict", *map(str, told)]) == 2
    assert said in capsys.readouterr().err
    assert lineage(out) == before


def test_the_time_is_given_or_now_or_none() -> None:
    assert moment("2026-11-27", {}) == AT.replace(hour=0)
    assert moment("2026-11-27T07:00+01:00", {"SOURCE_DATE_EPOCH": "1", "DVC_STAGE": "x"}) == AT
    assert moment(None, {"SOURCE_DATE_EPOCH": f"{AT.timestamp():.0f}"}) == AT
    assert moment(None, {"DVC_STAGE": "scores"}) is None
    now = moment(None, {})
    assert now is not None
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60
    for wrong in ("yesterday", "2026-13-01", "0001-01-01T00:00+23:00"):
        with pytest.raises(DataError, match="write a day or a time"):
            moment(wrong, {})
    with pytest.raises(DataError, match="seconds since 1970"):
        moment(None, {"SOURCE_DATE_EPOCH": "noon"})


KILLED = """
import os, shutil, signal, sys
from datetime import datetime, UTC
from pathlib import Path
import pandas, pandera.pandas
import pyarrow.parquet as pq
from mlops.serving import batch, delivery
from mlops.serving.recording import scored
left = 0
def counted(function):
    def call(*given, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call
pq.ParquetWriter.write_table = counted(pq.ParquetWriter.write_table)
pq.ParquetWriter.close = counted(pq.ParquetWriter.close)
os.replace = counted(os.replace)
given, bundle, work, kept = map(Path, sys.argv[1:5])
for left in map(int, sys.argv[5:]):
    if not (child := os.fork()):
        at = datetime(2026, 11, 27, tzinfo=UTC)
        batch.predict(given, work / "scores", bundle, 30, partition="date", log=work / "log", at=at)
        os._exit(0)
    os.waitpid(child, 0)
    shutil.copytree(work, kept / str(left))
"""


def state(folder: Path) -> dict[str, bytes]:
    """Return what others see in a folder."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_killed_at_any_moment_it_leaves_the_old_and_a_run_again_the_new(
    folder: Path, rows: pd.DataFrame, trained: Path, tmp_path: Path
) -> None:
    bundle, at = trained / "candidate", datetime(2026, 11, 27, tzinfo=UTC)

    def run(given: Path, work: Path) -> dict[str, bytes]:
        log = work / "log" if given == folder else None
        predict(given, work / "scores", bundle, 30, partition="date", log=log, at=at)
        return state(work)

    whole = run(folder, tmp_path / "whole")
    rows.head(10).to_parquet(tmp_path / "old.parquet")
    old = run(tmp_path / "old.parquet", tmp_path / "work")
    kills = some(range(25), 3)
    given = (folder, bundle, tmp_path / "work", tmp_path / "kept", *kills)
    told = [sys.executable, "-W", "ignore", "-c", KILLED, *map(str, given)]
    subprocess.run(told, cwd=trained, check=True, timeout=60)
    seen = [state(tmp_path / "kept" / str(kill)) for kill in kills]
    assert seen[0] == old
    assert seen[-1] == whole
    assert any(old != one != whole for one in seen)
    for one in seen:
        assert all(content in (old.get(name), whole.get(name)) for name, content in one.items())
    assert run(folder, tmp_path / "work") == whole
    assert not list((tmp_path / "work").rglob(".*.tmp"))
