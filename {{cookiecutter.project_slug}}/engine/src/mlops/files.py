"""Files that are either whole or absent, their digests, and YAML."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

BLOCK = 1 << 20
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML was built with it


def _staging(path: Path) -> Path:
    """Return a hidden sibling of `path` to write to; what a killed run left there is cleared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    return path.parent / f".{path.name}.{os.getpid()}.tmp"


def sweep(folder: Path, name: str = "*") -> list[Path]:
    """Remove what killed processes were writing in `folder`, and return it."""
    left = [path for path in folder.glob(f".{name}.*.tmp") if not _is_running(path)]
    for path in left:
        _remove(path)
    return left


def _is_running(staging: Path) -> bool:
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
    staging = _staging(path)
    staging.mkdir()
    try:
        yield staging
        _remove(path)
        os.replace(staging, path)
    except BaseException:
        _remove(staging)
        raise


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


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises yaml.YAMLError or UnicodeDecodeError for a file that is none.
    """
    return yaml.load(path.read_text(encoding="utf-8"), LOADER)
