"""The tables that are scored: which files they are, to the byte, and how they are read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..contract import Contract, Source
from ..data.sources import DataError
from ..files import sha256
from .delivery import LINEAGE

ASIDE = (".", "_")  # what hidden files, and those that a writer leaves beside its parts, begin with
SHOWN = 32


class Input(NamedTuple):
    """A file by what it holds; `name` is its path in the folder that was given, else its own.

    `state` is the file as the system knew it before it was digested.
    """

    path: Path
    name: str
    sha256: str
    state: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, name: str) -> "Input":
        """Return a file as it is now."""
        state = _state(path)  # before the digest, so that a change beneath it is found
        return cls(path, name, sha256(path), state)

    @property
    def request_id(self) -> str:
        """The id by which its rows are known: the same bytes have the same one, always."""
        return f"batch-{self.sha256[:SHOWN]}"


def digested(given: Sequence[Path], outside: Sequence[Path] = ()) -> list[Input]:
    """Return the files of `given`, folders looked through.

    Raises DataError for a file that is there twice, and where what is to be written lies within.
    """
    for path in given:
        for written in outside:
            if path.exists() and written.resolve().is_relative_to(path.resolve()):
                raise DataError(
                    f"{written} is to be written where {path} is read, and would be scored by the "
                    "next run: name a place outside of it"
                )
    found = [pair for path in given for pair in _files(path)]
    try:
        inputs = [Input.of(path, name) for path, name in found]
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} does not exist: check the name") from error
    known: dict[str, Input] = {}
    for one in inputs:
        if (other := known.setdefault(one.sha256, one)) is not one:
            raise DataError(f"{other.path} and {one.path} are the same table: give it once")
    return inputs


def check_unchanged(inputs: Sequence[Input]) -> None:
    """Raise DataError for a file that is not as it was when it was digested."""
    for one in inputs:
        if not one.path.exists() or _state(one.path) != one.state:
            raise DataError(
                f"{one.path} changed while it was scored: score it when it is written whole"
            )


def source_of(file: Path, contract: Contract) -> Source:
    """Return how to read `file`: as the contract says, or as it is found to be written."""
    if contract.source.format == "csv":
        return contract.source
    from ..data.sniffing import sniff

    return sniff(file, contract.names("feature")[0])


def called(paths: Sequence[Path]) -> str:
    """Return what messages call the tables."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def is_aside(name: str) -> bool:
    """Say whether a file below a folder is none of its tables, but was left beside them."""
    return any(part.startswith(ASIDE) for part in name.split("/")) or name.endswith(LINEAGE)


def _files(given: Path) -> Iterator[tuple[Path, str]]:
    """Yield a file, or those below a folder in the order of their names, each with its name."""
    if not given.is_dir():
        yield given, given.name
        return
    below = [
        path
        for path in sorted(given.rglob("*"))
        if path.is_file() and not is_aside(path.relative_to(given).as_posix())
    ]
    if not below:
        raise DataError(f"{given} holds no table: put CSV or Parquet files into it")
    yield from ((path, path.relative_to(given).as_posix()) for path in below)


def _state(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
