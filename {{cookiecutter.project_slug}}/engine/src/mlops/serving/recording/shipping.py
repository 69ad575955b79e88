"""A log that is not where it is read: its segments shipped, and what stands there collected.

Here nothing is removed before it is there; there nothing is parsed that is not what its name says.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from types import FrameType

from ...errors import ProjectError
from ...files import atomic_file, claimed
from ...log_layout import CLOSED, SPOOL, STOP, STOPPED
from . import spool
from .standing import bring, standing, wanted
from .store import Shipped, ShippingError, Store, shipped, store

SHIPPING, COLLECTING = "ship.lock", "collect.lock"
COLLECTED = "collected.txt"
SENT = ".shipped"  # beside a stop that the place has


def ship(log_folder: Path, url: str) -> int:
    """Move every closed segment of a log to a place, and return how many.

    Those of a process that is gone are closed before. Raises ShippingError; what was not moved
    by then is still here.
    """
    if not log_folder.is_dir():
        raise ShippingError(f"{log_folder} is no folder: point at a server's log folder")
    with claimed(log_folder / SHIPPING) as is_alone:
        if not is_alone:
            raise ShippingError(f"another process ships {log_folder} already: leave it to that one")
        place, moved = store(url), 0
        for folder, lock in spool.leftovers(log_folder):
            try:
                moved += _ship(folder, place)
            finally:
                spool.release(folder, lock)
        for folder in sorted((log_folder / SPOOL).glob("[!.]*")):
            moved += _ship(folder, place)
        _ship_stops(log_folder, place)
        return moved


def _ship(folder: Path, place: Store) -> int:
    moved = 0
    for segment in sorted(folder.glob(f"*{CLOSED}")):
        try:
            content = segment.read_bytes()
        except FileNotFoundError:  # compacted meanwhile
            continue
        name = Shipped.of(folder.name, segment.stem, content).name
        if Shipped.read(name) is None:
            raise ShippingError(f"{segment} is of no server: move it out of the spool")
        place.put(name, content)
        segment.unlink(missing_ok=True)
        moved += 1
    return moved


def _ship_stops(log_folder: Path, place: Store) -> None:
    """Have a place know which experiments a server stopped; here they stay, for a restart."""
    for path in sorted((log_folder / STOPPED).glob("*.json")):
        name, sent = f"{STOPPED}/{path.name}", path.with_suffix(SENT)
        if STOP.fullmatch(name) and not sent.exists():
            place.put(name, path.read_bytes())
            sent.touch()


def _collect_stops(log_folder: Path, place: Store) -> None:
    for name in place.names():
        path = log_folder / name
        if STOP.fullmatch(name) and not path.exists():
            content = place.get(name)
            with atomic_file(path) as staging:
                staging.write_bytes(content)


def keep_shipping(log_folder: Path, url: str, seconds: float, tell: Callable[[str], None]) -> None:
    """Ship again and again until SIGTERM or SIGINT, and once more then.

    What fails is told and tried again; raises ShippingError where the last time fails.
    """
    told_to_stop = Event()

    def stop(_: int, __: FrameType | None) -> None:
        told_to_stop.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while True:
            try:
                if moved := ship(log_folder, url):
                    tell(f"{moved} segments shipped")
            except (ProjectError, OSError) as error:
                print(f"mlops ship: {error}", file=sys.stderr, flush=True)
            if told_to_stop.wait(seconds):
                break
        if moved := ship(log_folder, url):
            tell(f"{moved} segments shipped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Collection:
    """What `collect` did: segments and their rows, Parquet files, and names that were left out.

    Those `refused` are segments that are not what they say, those `damaged` Parquet that is none
    of a log; `others` stand among it under names that no log has.
    """

    def __init__(self) -> None:
        self.segments = self.rows = self.torn = self.tables = 0
        self.refused: list[str] = []
        self.damaged: list[str] = []
        self.others: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Say whether nothing had to be left out."""
        return not self.refused and not self.damaged

    def __str__(self) -> str:
        """Return how much was brought."""
        files = "1 file" if self.tables == 1 else f"{self.tables:,} files"
        return f"{self.segments} segments with {self.rows:,} rows, and {files}, collected"

    def notes(self) -> list[str]:
        """Return what a person should know."""
        told = [
            f"{name} is not what its name says and was left out: remove it" for name in self.refused
        ]
        told += [
            f"{name} is no whole Parquet of a log and was left out: bring it back, or remove it"
            for name in self.damaged
        ]
        if self.torn:
            told.append(f"{self.torn} damaged parts of segments were left out")
        if self.others:
            told.append(
                f"{len(self.others):,} Parquet files were left out, since no log names one like "
                f"{self.others[0]!r} (engine/docs/serving-log.md)"
            )
        return told


def collect(url: str, log_folder: Path, settled: str | None = None) -> Collection:
    """Bring what a place has of a log and was not brought yet into a log.

    Segments become Parquet and are remembered in the log; Parquet is brought as it is, where the
    log does not have it, and was not counted for good (by the settings `settled`). Everything
    stays in the place. What is not what its name says is left alone, and named. Raises
    ShippingError.
    """
    try:
        from .compaction import compact
    except ImportError as error:
        raise ShippingError(
            f"{error.name} is not installed: collect where the project's environment is "
            "(`make setup`)"
        ) from error
    done = Collection()
    log_folder.mkdir(parents=True, exist_ok=True)
    with claimed(log_folder / COLLECTING) as is_alone:
        if not is_alone:
            raise ShippingError(f"another process collects into {log_folder}: leave it to that one")
        place = store(url)
        for folder, lock in spool.leftovers(log_folder):  # as a run that was killed leaves them
            try:
                compact(folder)
            finally:
                spool.release(folder, lock)
        known = _known(log_folder)
        for one in shipped(place):
            digest = known.get((one.process, one.number))
            if digest == one.digest:
                continue
            content = place.get(one.name)
            if digest is not None or not one.is_of(content):
                done.refused.append(one.name)
                continue
            for folder in _brought(log_folder, one, content):
                compacted = compact(folder)
                done.segments += compacted.segments
                done.rows += compacted.rows
                done.torn += compacted.torn
            _remember(log_folder, one)
            known[one.process, one.number] = one.digest
        _collect_stops(log_folder, place)
        tables, done.others = standing(place)
        for table in wanted(tables, log_folder, settled):
            if bring(place, table, log_folder):
                done.tables += 1
            else:
                done.damaged.append(table.name)
    return done


def _brought(log_folder: Path, one: Shipped, content: bytes) -> Iterator[Path]:
    """Yield the spool folder that holds a segment, locked meanwhile; Parquet is named after it."""
    folder = log_folder / SPOOL / one.process
    making = folder.with_name(f".{folder.name}")  # a server's start would see it free
    making.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = spool.locked(making)
    if lock is None:
        raise ShippingError(f"{making} is in use: run again when that process has ended")
    try:
        (making / f"{one.number}{CLOSED}").write_bytes(content)
        making.rename(folder)
    except OSError as error:
        os.close(lock)
        raise ShippingError(
            f"{folder} cannot be made ({error.strerror}): compact what is there "
            f"(`python -m mlops.serving.recording {folder}`), and collect into a log of its own"
        ) from error
    try:
        yield folder
    finally:
        spool.release(folder, lock)


def _known(log_folder: Path) -> dict[tuple[str, str], str]:
    try:
        text = (log_folder / COLLECTED).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found = filter(None, map(Shipped.read, text.splitlines()))
    return {(one.process, one.number): one.digest for one in found}


def _remember(log_folder: Path, one: Shipped) -> None:
    with (log_folder / COLLECTED).open("a", encoding="utf-8") as file:
        file.write(f"\n{one.name}\n")  # a line that a kill cut is none, and ends none
        file.flush()
        os.fsync(file.fileno())
