"""A spool folder belongs to one process, never outgrows its bound, and never holds half a block."""

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.serving.recording import spool as spools
from mlops.serving.recording.spool import FullError, RecordingError, Spool, leftovers, release

MIB = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path, 64 * MIB)
    opened.open()
    yield opened
    opened.close()


def contents(spool: Spool, ending: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(spool.folder.glob(f"*{ending}"))]


def test_a_model_is_declared_once_a_segment(spool: Spool) -> None:
    for block in (b"1", b"2"):
        spool.append(block, "m", b"declared;")
    spool.rotate()
    spool.append(b"3", "m", b"declared;")
    assert contents(spool, spools.CLOSED) == [b"declared;12"]
    assert contents(spool, spools.OPEN) == [b"declared;3"]


def test_segments_close_by_size_and_by_age(spool: Spool) -> None:
    spool.segment_bytes = 10
    spool.append(b"x" * 9)
    spool.rotate(older=3600)
    assert spool.closed() == []
    spool.append(b"x")
    assert len(spool.closed()) == 1
    spool.append(b"y")
    spool.rotate(older=0)
    assert len(spool.closed()) == 2


def test_nothing_is_written_beyond_the_bound(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 8 * MIB)
    spool.open()
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "part-old.parquet").write_bytes(b"x" * (6 * MIB))
    assert spool.measure() >= 6 * MIB
    with pytest.raises(FullError):
        for _ in range(3):
            spool.append(b"x" * MIB)
    assert spool.measure() + spool.segment_bytes <= 8 * MIB
    (tmp_path / "predictions" / "part-old.parquet").unlink()
    spool.measure()
    spool.append(b"x")


def test_half_a_block_is_taken_back(spool: Spool) -> None:
    spool.append(b"whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        with pytest.raises(OSError, match=r"bytes were written|too large"):
            spool.append(b"does not fit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.append(b", too")
    assert contents(spool, spools.OPEN) == [b"whole, too"]


def test_only_folders_of_processes_that_are_gone_are_left_over(
    spool: Spool, tmp_path: Path
) -> None:
    gone = tmp_path / "spool" / "20200101T000000-dead"
    gone.mkdir()
    (gone / f"000001{spools.OPEN}").write_bytes(b"left")
    found = list(leftovers(tmp_path))
    assert [folder for folder, _ in found] == [gone]
    assert (gone / f"000001{spools.CLOSED}").read_bytes() == b"left"
    assert list(leftovers(tmp_path)) == []  # locked by the one that found it
    for folder, lock in found:
        release(folder, lock)
    assert gone.exists()


def test_an_empty_folder_goes_with_its_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 64 * MIB)
    spool.open()
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    spool.release()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="MLOPS_LOG_FOLDER"):
        Spool(tmp_path / "file" / "log", MIB).open()


TAKEN: dict[str, Callable[[Spool], Any]] = {
    "the log": lambda spool: shutil.rmtree(spool.log_folder),
    "the spool": lambda spool: shutil.rmtree(spool.folder.parent),
    "the folder": lambda spool: shutil.rmtree(spool.folder),
    "the segment": lambda spool: next(spool.folder.glob(f"*{spools.OPEN}")).unlink(),
    "all but its name": lambda spool: spool.log_folder.rename(f"{spool.log_folder}-elsewhere"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken_away_is_counted_and_made_again(what: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "log", 64 * MIB)
    spool.open()
    spool.append(b"gone", rows=3)
    assert not spool.mend()
    TAKEN[what](spool)
    spool.append(b"gone, too", rows=2)
    assert spool.mend()
    assert spool.lost == 5
    assert not spool.mend()
    spool.append(b"kept", "m", b"declared;", rows=1)
    assert contents(spool, spools.OPEN) == [b"declared;kept"]
    assert list(leftovers(tmp_path / "log")) == [] or what == "the segment"
    spool.close()
    assert contents(spool, spools.CLOSED) == [b"declared;kept"]
    spool.release()


def test_a_segment_that_cannot_be_closed_is_lost(spool: Spool) -> None:
    spool.append(b"x", rows=3)
    shutil.rmtree(spool.folder)
    with pytest.raises(FileNotFoundError):
        spool.rotate()
    assert spool.mend()
    assert spool.lost == 3


def test_without_its_lock_a_folder_is_left_to_others(spool: Spool) -> None:
    """Another server would take it for that of a process that is gone."""
    spool.append(b"kept", rows=3)
    left = spool.folder
    (left / spools.LOCK).unlink()
    assert spool.mend()
    assert spool.lost == 0
    assert [path.read_bytes() for path in left.glob(f"*{spools.CLOSED}")] == [b"kept"]
    assert spool.folder != left


def test_where_nothing_can_be_made_again_it_is_tried_until_it_can(
    spool: Spool, tmp_path: Path
) -> None:
    spool.append(b"gone", rows=3)
    shutil.rmtree(tmp_path / "spool")
    (tmp_path / "spool").write_text("")
    for _ in range(2):
        with pytest.raises(RecordingError, match="MLOPS_LOG_FOLDER"):
            spool.mend()
        with pytest.raises(OSError, match="spool"):
            spool.append(b"x", rows=1)
    assert spool.lost == 3
    assert spool.measure() == 0
    spool.release()
    (tmp_path / "spool").unlink()
    assert spool.mend()
    spool.append(b"kept")
    assert contents(spool, spools.OPEN) == [b"kept"]


def test_workers_never_write_more_together_than_the_folder_may_hold(tmp_path: Path) -> None:
    spools = [Spool(tmp_path, 8 * MIB, workers=3) for _ in range(3)]
    for one in spools:
        one.open()
    block, kept, refused = b"x" * (MIB // 4), 0, set()
    for turn in range(120):
        place = turn % 3
        try:
            spools[place].append(block)
            kept += 1
        except FullError:
            refused.add(place)
    assert refused == {0, 1, 2}
    assert kept > 12  # more than half of what it may hold
    assert spools[0].measure() <= 8 * MIB
    for one in spools:
        one.close()
        one.release()
