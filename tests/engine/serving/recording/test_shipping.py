"""What is shipped is there before it is gone here, and nothing is collected twice or half."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bucket import KEY, NAME, REGION, SECRET, bucket

from mlops.cli import main
from mlops.errors import ProjectError
from mlops.files import claimed
from mlops.serving.recording import shipping, spool
from mlops.serving.recording.segment import Outcomes, encode
from mlops.serving.recording.shipping import collect, ship
from mlops.serving.recording.spool import Spool
from mlops.serving.recording.store import Folder, Shipped, ShippingError, store

ADDRESS = "http://127.0.0.1:9"  # where nothing listens


def block(*ids: str) -> bytes:
    number = len(ids)
    return encode(Outcomes(list(ids), [0] * number, [1e9] * number, ["yes"] * number), number)


def left(log: Path, *ids: str) -> Path:
    """Leave a spool as a server that was killed does, with an open segment; return its folder."""
    one = Spool(log, 1 << 30)
    one.open()
    one.append(block(*ids))
    os.close(one._lock)
    return one.folder


def known(log: Path) -> list[str]:
    found = []
    for path in (log / "feedback").rglob("part-*.parquet"):
        with pq.ParquetFile(path) as file:
            found += file.read()["request_id"].to_pylist()
    return sorted(found)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    left(tmp_path / "log", "a", "b")
    return tmp_path / "log"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with bucket() as listening:
        yield listening


@pytest.fixture
def cloud(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    told = {"ENDPOINT_URL": address, "DEFAULT_REGION": REGION}
    told |= {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "MAX_ATTEMPTS": "1"}
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return address


@pytest.mark.parametrize("kind", ["a folder", "file", "s3"])
def test_a_log_arrives_once(kind: str, log: Path, tmp_path: Path, cloud: str) -> None:
    folder = tmp_path / "to 50% [x] é"
    url = {"file": folder.as_uri(), "s3": f"s3://{NAME}/{tmp_path.name}"}.get(kind, str(folder))
    folder.mkdir()
    assert ship(log, url) == 1
    assert ship(log, url) == 0
    assert list((log / "spool").iterdir()) == []
    there = tmp_path / "there"
    assert (collect(url, there).segments, known(there)) == (1, ["a", "b"])
    assert (collect(url, there).segments, known(there)) == (0, ["a", "b"])
    left(log, "c")
    assert (ship(log, url), collect(url, there).rows, known(there)) == (1, 1, ["a", "b", "c"])
    assert list((there / "spool").iterdir()) == []


def test_of_a_server_that_runs_closed_segments_are_shipped_alone(tmp_path: Path) -> None:
    running = Spool(tmp_path / "log", 1 << 30)
    running.open()
    running.append(block("a"))
    running.rotate()
    running.append(block("b"))
    assert ship(tmp_path / "log", str(tmp_path / "to")) == 1
    assert [path.suffix for path in sorted(running.folder.iterdir())] == [".open", ""]
    running.close()
    running.release()
    assert ship(tmp_path / "log", str(tmp_path / "to")) == 1
    assert not running.folder.exists()


def test_killed_after_the_upload_nothing_is_there_twice(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        gone = Path.unlink
        killed.setattr(
            *(Path, "unlink"),
            lambda path, **told: (
                _interrupt() if path.suffix == spool.CLOSED else gone(path, **told)
            ),
        )
        with pytest.raises(KeyboardInterrupt):
            ship(log, str(tmp_path / "to"))
    assert ship(log, str(tmp_path / "to")) == 1
    assert collect(str(tmp_path / "to"), tmp_path / "there").rows == 2


@pytest.mark.parametrize("when", ["_remember", "_brought"])
def test_a_collection_that_is_killed_is_repeated(
    when: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(log, str(tmp_path / "to"))
    with monkeypatch.context() as killed:
        if when == "_remember":
            killed.setattr(shipping, when, _interrupt)
        else:
            killed.setattr("mlops.serving.recording.compaction.compact", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            collect(str(tmp_path / "to"), tmp_path / "there")
    collect(str(tmp_path / "to"), tmp_path / "there")
    assert known(tmp_path / "there") == ["a", "b"]
    assert collect(str(tmp_path / "to"), tmp_path / "there").segments == 0


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("change", ["cut", "altered", "empty", "another of the same number"])
def test_what_is_not_what_its_name_says_is_never_read(
    change: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ship(log, str(tmp_path / "to"))
    (path,) = (tmp_path / "to/spool").rglob("*.segment")
    whole = path.read_bytes()
    there = ["--from", str(tmp_path / "to"), "--log", str(tmp_path / "there")]
    bad = path
    if change.startswith("another"):
        assert main(["collect", *there]) == 0
        bad = tmp_path / "to/spool" / Shipped.of(path.parent.name, "000001", block("z")).name
        bad.write_bytes(block("z"))
    else:
        changed = {"cut": whole[:-1], "altered": b"x" + whole[1:], "empty": b""}[change]
        path.write_bytes(changed)
    assert main(["collect", *there]) == 2
    assert f"{bad.name} is not what its name says" in capsys.readouterr().out
    assert "z" not in known(tmp_path / "there")
    bad.unlink()
    path.write_bytes(whole)
    assert main(["collect", *there]) == 0
    assert known(tmp_path / "there") == ["a", "b"]


@pytest.mark.parametrize(
    "name", ["../../evil", "x/000001.segment", "x/.000001.tmp", f"../x/000001.{'a' * 64}.segment"]
)
def test_other_names_are_no_segments(name: str) -> None:
    assert Shipped.read(name) is None


@pytest.mark.parametrize("wrong", ["key", "bucket", "server", "package", "scheme", "rights"])
def test_what_is_wrong_there_is_said_and_nothing_is_lost(
    wrong: str,
    log: Path,
    cloud: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, said = f"s3://{NAME}/log", ""
    match wrong:
        case "key":
            monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
            said = "access is refused): correct the credentials"
        case "bucket":
            url, said = "s3://absent/log", "there is none): make the bucket"
        case "server":
            monkeypatch.setenv("AWS_ENDPOINT_URL", ADDRESS)
            said = "look at its address and at the network"
        case "package":
            monkeypatch.setitem(sys.modules, "fsspec", None)
            said = "install requirements/ship.txt"
        case "scheme":
            url, said = "s4://bucket/log", "cannot be used"
        case "rights":
            (tmp_path / "file").write_text("")
            url, said = str(tmp_path / "file"), "correct the folder"
    verbs = [["ship", "--log", str(log), "--to", url]]
    verbs += [["collect", "--from", url, "--log", str(tmp_path / "there")]]
    for verb in verbs:
        assert main(verb) == 2
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
        assert SECRET not in told
    monkeypatch.undo()
    assert ship(log, str(tmp_path / "to")) == 1


def test_half_an_upload_is_not_taken_for_one(
    log: Path, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: Any = store(f"s3://{NAME}/half")
    put = type(place._files).pipe_file
    monkeypatch.setattr(type(place._files), "pipe_file", lambda s, p, c: put(s, p, c[:-1]))
    with pytest.raises(ShippingError, match=r"holds \d+ of the \d+ bytes"):
        ship(log, f"s3://{NAME}/half")
    assert len(list(log.rglob("*.segment"))) == 1


def test_another_kind_of_place_is_written_by_renaming(log: Path, tmp_path: Path) -> None:
    assert ship(log, "memory://log") == 1
    place: Any = store("memory://log")
    assert [Shipped.read(name) is not None for name in place.names()] == [True]


def test_two_do_not_ship_at_once(log: Path, tmp_path: Path) -> None:
    with claimed(log / shipping.SHIPPING), pytest.raises(ProjectError, match="ships"):
        ship(log, str(tmp_path / "to"))
    with pytest.raises(ShippingError, match="no folder"):
        ship(tmp_path / "absent", str(tmp_path / "to"))


BARE = """
import sys
for name in ("pyarrow", "numpy", "fsspec", "msgspec", "pydantic"):
    sys.modules[name] = None
from mlops.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_it_goes_on_until_told_to_stop_with_the_standard_library_alone(
    log: Path, tmp_path: Path
) -> None:
    told = ["ship", "--log", str(log), "--to", str(tmp_path / "to"), "--every", "60"]
    command = [sys.executable, "-c", BARE, *told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shipping_on:
        assert shipping_on.stdout is not None
        assert shipping_on.stdout.readline() == "1 segments shipped\n"
        left(log, "last")
        time.sleep(0.05)
        shipping_on.send_signal(signal.SIGTERM)
        assert shipping_on.stdout.readline() == "1 segments shipped\n"
    assert shipping_on.returncode == 0
    assert len(Folder(tmp_path / "to/spool", "").names()) == 2


def test_a_lock_that_is_held_is_respected(log: Path, tmp_path: Path) -> None:
    (folder,) = (log / "spool").iterdir()
    lock = spool.locked(folder)
    assert lock is not None
    assert ship(log, str(tmp_path / "to")) == 0
    os.close(lock)
    assert ship(log, str(tmp_path / "to")) == 1
