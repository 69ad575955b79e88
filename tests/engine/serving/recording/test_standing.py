"""Parquet that stands in a place as a log is brought once, whole, and by its name alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bucket import KEY, NAME, REGION, SECRET, bucket, client

from mlops.cli import main
from mlops.serving.recording import standing
from mlops.serving.recording.shipping import Collection, collect, ship
from mlops.serving.recording.spool import Spool
from mlops.serving.recording.standing import Table
from mlops.serving.recording.store import Bucket, Folder, ShippingError

MODEL = "0123456789ab"
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def write(path: Path, rows: int = 3, **more: Any) -> Path:
    """Write a file of predictions or of reports."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = dict.fromkeys(("request_id", "role", "prediction"), ["a"] * rows)
    columns |= {"row": range(rows), "time": [0] * rows, **more}
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), path)
    return path


def stand(place: Path) -> list[str]:
    """Write a log of some days, and return the names of its files."""
    for day in DAYS:
        write(place / f"predictions/date={day}/model={MODEL}/part-x-000001.parquet")
        write(place / f"feedback/date={day}/part-x-000001.parquet")
    return names(place)


def names(log: Path) -> list[str]:
    return sorted(p.relative_to(log).as_posix() for p in log.rglob("*") if p.is_file())


def count(log: Path, day: str, settled: str = "30 days, silence None", **files: int) -> None:
    """Leave what the monitor does of a day; unless they are named, its files are as they are."""
    if not files:
        parts = (log / f"predictions/date={day}/model={MODEL}").iterdir()
        files = {path.name: path.stat().st_size for path in parts}
    path = log / f"counts/date={day}/{MODEL}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"date": day, "files": files, "settled": settled, "counts": {}}))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with bucket() as listening, pytest.MonkeyPatch.context() as patch:
        told = {"ENDPOINT_URL": listening, "DEFAULT_REGION": REGION}
        told |= {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "MAX_ATTEMPTS": "1"}
        for name, value in told.items():
            patch.setenv(f"AWS_{name}", value)
        yield listening


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.mark.parametrize("kind", ["a folder", "file", "s3", "the top of a bucket"])
def test_a_log_is_brought_once_and_stays_there(
    kind: str, place: Path, log: Path, address: str
) -> None:
    there = stand(place)
    url = {"a folder": str(place), "file": place.as_uri()}.get(kind, f"s3://{NAME}")
    if kind == "s3":
        url += "/some/log"
    if url.startswith("s3"):
        for name in there:
            prefix = "some/log/" if kind == "s3" else ""
            client(address).upload_file(str(place / name), NAME, f"{prefix}{name}")
    assert collect(url, log).tables == 6
    assert names(log) == there
    assert all((log / name).read_bytes() == (place / name).read_bytes() for name in there)
    assert collect(url, log).tables == 0
    assert names(place) == there


def test_segments_and_parquet_of_one_place(place: Path, log: Path, tmp_path: Path) -> None:
    from mlops.serving.recording.segment import Outcomes, encode

    stand(place)
    spool = Spool(tmp_path / "server", 1 << 30)
    spool.open()
    spool.append(encode(Outcomes(["a"], [0], [1e9], ["yes"]), 1))
    spool.close()
    spool.release()
    ship(tmp_path / "server", str(place))
    done = collect(str(place), log)
    assert (done.segments, done.rows, done.tables) == (1, 1, 6)


def test_a_file_that_was_written_again_is_brought_again(place: Path, log: Path) -> None:
    name = stand(place)[0]
    collect(str(place), log)
    write(place / name, rows=9)
    (log / name).with_name("part-own.parquet").write_bytes(b"x")
    assert collect(str(place), log).tables == 1
    assert pq.read_metadata(log / name).num_rows == 9
    assert (log / name).with_name("part-own.parquet").exists()


@pytest.mark.parametrize("at", ["first block", "rename"])
def test_a_collection_that_is_killed_goes_on(
    at: str, place: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = stand(place)
    monkeypatch.setattr("mlops.serving.recording.store.BLOCK", 100)
    real, calls = Folder.blocks, []

    def blocks(self: Folder, name: str) -> Iterator[bytes]:
        calls.append(name)
        for block in real(self, name):
            yield block
            if len(calls) == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        if at == "rename":
            killed.setattr("mlops.files.os.replace", _interrupt)
        else:
            killed.setattr(Folder, "blocks", blocks)
        with pytest.raises(KeyboardInterrupt):
            collect(str(place), log)
    here = [name for name in names(log) if name.endswith(".parquet")]
    assert len(here) == (0 if at == "rename" else 3)
    (log / f"feedback/date={DAYS[0]}").mkdir(parents=True, exist_ok=True)
    left = log / f"feedback/date={DAYS[0]}/.part-x-000001.parquet.999999999.tmp"  # as SIGKILL does
    left.write_bytes(b"half")
    assert collect(str(place), log).tables == 6 - len(here)
    assert names(log) == there


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("damage", ["cut", "empty", "a text", "magic alone", "of no log"])
def test_what_is_no_parquet_of_a_log_is_left_out_and_named(
    damage: str, place: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = place / stand(place)[0]
    whole = bad.read_bytes()
    changed = {"cut": whole[:-9], "empty": b"", "a text": b"hello", "magic alone": b"PAR1PAR1"}
    if damage in changed:
        bad.write_bytes(changed[damage])
    else:
        pq.write_table(pa.table({"x": [1]}), bad)
    told = ["collect", "--from", str(place), "--log", str(log)]
    assert main(told) == 2
    out = capsys.readouterr().out
    assert "and 5 files, collected" in out
    name = bad.relative_to(place).as_posix()
    assert f"check: {name} is no whole Parquet of a log and was left out: bring it back" in out
    assert len(names(log)) == 5
    bad.write_bytes(whole)
    assert main(told) == 0
    assert "and 1 file, collected" in capsys.readouterr().out


DAY, FOLDER = DAYS[0], f"predictions/date={DAYS[0]}/model={MODEL}"


@pytest.mark.parametrize(
    "name",
    [
        f"{FOLDER}/../../../../part-x.parquet",
        f"{FOLDER}/part-../../../x.parquet",
        f"/{FOLDER}/part-x.parquet",
        f"{FOLDER}/sub/part-x.parquet",
        f"{FOLDER}/part-x.parquet\n",
        f"{FOLDER}/part-é.parquet",
        f"{FOLDER}/part-.parquet",
        f"{FOLDER}/x.parquet",
        f"{FOLDER}/.part-x.parquet",
        f"predictions/date=2026-02-31/model={MODEL}/part-x.parquet",
        f"predictions/date=\N{ARABIC-INDIC DIGIT TWO}026-03-01/model={MODEL}/part-x.parquet",
        f"predictions/date={DAY}/model=../part-x.parquet",
        f"predictions/date={DAY}/part-x.parquet",
        f"feedback/date={DAY}/model={MODEL}/part-x.parquet",
        f"counts/date={DAY}/{MODEL}.json",
        f"other/date={DAY}/part-x.parquet",
    ],
)
def test_other_names_are_of_no_log(name: str) -> None:
    assert Table.read(name, 1) is None


def test_the_names_of_logs_are_read() -> None:
    found = Table.read(f"{FOLDER}/part-batch-3f_A.parquet", 7)
    assert found is not None
    assert (found.day, found.model, found.leaf) == (DAY, MODEL, "part-batch-3f_A.parquet")
    assert Table.read(f"feedback/date={DAY}/part-x-000001-1.parquet", 7) is not None


def test_links_and_other_names_are_not_followed(
    place: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = stand(place)
    secret = write(tmp_path / "elsewhere/part-x.parquet")
    (place / FOLDER / "part-link.parquet").symlink_to(secret)
    (place / f"feedback/date={DAY}/more").symlink_to(secret.parent)
    write(place / FOLDER / "data 1.parquet")
    write(place / FOLDER / "_temporary/part-y.parquet")
    assert main(["collect", "--from", str(place), "--log", str(log)]) == 0
    assert names(log) == there
    assert (
        f"check: 1 Parquet files were left out, since no log names one like '{FOLDER}/data 1"
        in (capsys.readouterr().out)
    )


def test_days_that_were_counted_for_good_are_not_brought_again(place: Path, log: Path) -> None:
    there = stand(place)
    collect(str(place), log)
    for day in DAYS[:2]:
        count(log, day)
    for name in there:
        (log / name).unlink()
    assert brought(place, log) == {"predictions": [DAYS[2]], "feedback": [DAYS[2]]}


@pytest.mark.parametrize("why", ["not mature", "another file", "another size", "other settings"])
def test_a_day_that_is_not_done_is_brought_whole(why: str, place: Path, log: Path) -> None:
    there = stand(place)
    more = write(place / FOLDER / "part-y-000001.parquet")
    whole = {path.name: path.stat().st_size for path in more.parent.iterdir()}
    count(log, DAY, "" if why == "not mature" else "30 days, silence None", **whole)
    assert len(there) == 6
    if why == "another file":
        write(place / FOLDER / "part-z-000001.parquet")
    if why == "another size":
        write(more, rows=9)
    settled = "60 days, silence None" if why == "other settings" else None
    done = collect(str(place), log, settled)
    assert done.tables == 8 if why == "another file" else 7
    assert names(log / FOLDER) == sorted(path.name for path in more.parent.iterdir())


def test_reports_of_the_days_that_are_kept_are_brought(place: Path, log: Path) -> None:
    """A day in the middle that is not done needs what was reported from then on."""
    stand(place)
    collect(str(place), log)
    count(log, DAYS[0])
    count(log, DAYS[1], settled="")
    count(log, DAYS[2])
    for name in names(log):
        if name.endswith("parquet"):
            (log / name).unlink()
    assert brought(place, log) == {"predictions": [DAYS[1]], "feedback": [DAYS[1], DAYS[2]]}


def brought(place: Path, log: Path) -> dict[str, list[str]]:
    collect(str(place), log)
    return {
        kind: sorted(
            path.name.removeprefix("date=")
            for path in (log / kind).iterdir()
            if any(path.rglob("*.parquet"))
        )
        for kind in ("predictions", "feedback")
    }


def test_counts_that_are_damaged_count_nothing(place: Path, log: Path) -> None:
    stand(place)
    count(log, DAY, **{"part-x-000001.parquet": 1})
    (log / f"counts/date={DAY}/{MODEL}.json").write_text('{"files": [')
    assert collect(str(place), log).tables == 6


def test_a_log_that_cannot_be_written_is_said(place: Path, log: Path) -> None:
    stand(place)
    log.mkdir()
    (log / "predictions").write_text("")
    with pytest.raises(ShippingError, match=r"cannot be written .*: give it its rights and room"):
        collect(str(place), log)


def test_a_file_is_read_in_blocks(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 100
    client(address).put_object(Bucket=NAME, Key="blocks/feedback/x.parquet", Body=content)
    monkeypatch.setattr("mlops.serving.recording.store.BLOCK", 10_000)
    found = list(Bucket(f"s3://{NAME}/blocks").blocks("feedback/x.parquet"))
    assert b"".join(found) == content
    assert max(map(len, found)) == 10_000


def test_what_was_not_said_is_not_told() -> None:
    assert Collection().notes() == []
    assert Collection().is_whole
    assert standing.NAMES.keys() == standing.COLUMNS.keys()
