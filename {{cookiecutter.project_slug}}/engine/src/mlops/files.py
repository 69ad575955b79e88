"""Files that are either whole or absent, their digests, and YAML."""

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

BLOCK = 1 << 20
LARGEST = 1 << 24  # characters of a YAML text, its aliases written out
DEEPEST = 100  # collections in collections: the loader in C would end the process at some 20,000
PLAIN = re.compile(r"[\w.+-]{1,40}", re.ASCII)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML was built with it


def _staging(path: Path) -> Path:
    """Return a hidden sibling of `path` to write to; what a killed run left there is cleared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    return path.parent / f".{path.name}.{os.getpid()}.tmp"


def sweep(folder: Path, name: str = "*") -> list[Path]:
    """Remove what killed processes were writing in `folder`, and return it."""
    left = [path for path in folder.glob(f".{name}.*.tmp") if not is_running(path)]
    for path in left:
        _remove(path)
    return left


def is_running(staging: Path) -> bool:
    """Say whether another process is still writing there."""
    number = staging.name.split(".")[-2]
    if not number.isdecimal() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` at the end of the block, or vanishes."""
    staging = _staging(path)
    try:
        yield staging
        os.replace(staging, path)
    except BaseException:
        _remove(staging)
        raise


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces the folder `path` when the block ends."""
    with scratch(path) as staging:
        yield staging
        if not os.path.lexists(path):
            os.replace(staging, path)
        else:
            exchange(staging, path)


def exchange(one: Path, other: Path) -> None:
    """Let two paths change places: in one step where the system can, as Linux does."""
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename and rename(here, os.fsencode(one), here, os.fsencode(other), both) == 0:
        return
    aside = one.parent / f".{one.name.strip('.')}.{os.getpid()}.tmp"
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path`, gone at the end of the block, to make it in."""
    folder = _staging(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        _remove(folder)


@contextmanager
def locked(file: Path, wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock that no other process has for as long as the block lasts.

    Where one has it, `wait` is called before waiting. The file stays, since it says nothing.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def claimed(file: Path, wait: bool = False) -> Iterator[bool]:
    """Yield whether this caller alone has the lock `file`, which is gone at the end of the block.

    Whoever else has it, in this process or in another, keeps it until its block or its process
    ends; `wait` does so.
    """
    lock = _claim(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            file.unlink(missing_ok=True)  # before it is free: whoever waited for it sees that
            os.close(lock)


def _claim(file: Path, how: int) -> int | None:
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, how)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), file.stat()):
                    return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # of a file that is no longer there


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    with atomic_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file `path`, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def tree_sha256(root: Path) -> str:
    """Return one SHA-256 over the names and contents of every file below `root`, bytecode aside."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root).as_posix()}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


class BoundlessError(yaml.YAMLError):
    """A YAML text stands for more than anybody wrote."""


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises yaml.YAMLError or UnicodeDecodeError for a file that is none.
    """
    return parse_yaml(path.read_text(encoding="utf-8"))


def parse_yaml(text: str | bytes) -> Any:
    """Return what a YAML text holds; raises yaml.YAMLError, also for one without bounds."""
    check_yaml(text)
    return yaml.load(text, LOADER)


def misread(texts: Iterable[str]) -> dict[str, str]:
    """Return those texts that YAML takes for something else without quotes, and for what.

    YAML 1.1, which PyYAML and OmegaConf read, has yes and on for true, and 012 for ten.
    """
    read = {text: yaml.load(text, LOADER) for text in texts if PLAIN.fullmatch(text)}
    named = {
        text: str(value).lower() if isinstance(value, bool) else str(value)
        for text, value in read.items()
        if not isinstance(value, str)
    }
    return {text: value for text, value in named.items() if value != text}


def in_quotes(texts: Iterable[str]) -> str:
    """Say which texts belong in quotes, as an end of a sentence; empty where none does."""
    if not (odd := misread(texts)):
        return ""
    named = " and ".join(f'"{text}"' for text in odd)
    read = " and ".join(f"{text} as {value}" for text, value in odd.items())
    return f"write {named} in quotes, since YAML reads {read}"


def check_yaml(text: str | bytes) -> None:
    """Raise BoundlessError where a short text stands for more than a loader can hold.

    Aliases of aliases grow exponentially, and one inside what it names grows without end; neither
    is written out to find that.
    """
    if len(text) > LARGEST:
        raise BoundlessError(f"it is longer than {LARGEST:,} characters: keep such data elsewhere")
    sizes: dict[str | None, float] = {}
    opened: list[str | None] = [None]
    held = [0.0]  # in each that is open
    for event in yaml.parse(text, LOADER):
        match event:
            case yaml.CollectionStartEvent():
                sizes[event.anchor] = float("inf")
                opened.append(event.anchor)
                held.append(1.0)
            case yaml.CollectionEndEvent():
                size = sizes[opened.pop()] = held.pop()
                held[-1] += size
            case yaml.ScalarEvent():
                size = sizes[event.anchor] = 1.0 + len(event.value)
                held[-1] += size
            case yaml.AliasEvent():
                held[-1] += sizes.get(event.anchor, 1.0)
        if len(opened) > DEEPEST:
            raise BoundlessError(f"it nests deeper than {DEEPEST} levels: write it flatter")
    if held[0] > LARGEST:
        raise BoundlessError(
            f"its aliases stand for more than {LARGEST:,} characters: write out what they mean"
        )
