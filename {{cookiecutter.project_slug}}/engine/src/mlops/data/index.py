"""The index of data/prepared: what each part was made of, so that one that stays can be kept."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np

from ..config.settings import Split
from ..contract import Contract
from ..files import sha256, sha256_of, tree_sha256
from .errors import DataError
from .joins import Joins, Part
from .splitting import cutoff

INDEX = "index.json"
FORMAT = 1
PACKAGES = ("numpy", "pandas", "pandera", "pyarrow")
ROOM = Path(__file__).parent
# What parts are made by, with all of this room: more than the stage imports costs a computation.
CODE = ("amounts.py", "contract.py", "files.py", "spelling.py", "config/settings.py")
SUFFIX = ".parquet"
UNIQUE = "unique"  # the folder of the 64-bit hashes of unique columns, beside those of the roles


class Entry(msgspec.Struct, frozen=True):
    """One part: the `key` of all that it depends on, the digest of its `source`, its rows by role.

    `content` is the sum of the hashes of its rows, where a file may hold another's rows unseen by
    ids; `span` the earliest and latest time of its rows; `files` the digests of what it wrote, by
    the folder that is in.
    """

    key: str
    source: str
    rows: dict[str, int]
    unlabelled: int
    content: str | None
    span: tuple[str, str] | None
    files: dict[str, str]

    @property
    def read(self) -> int:
        """How many rows of the raw file were taken."""
        return sum(self.rows.values())

    def part(self, name: str) -> Part:
        """Return the part as a join sees it."""
        first, last = (np.datetime64(at, "us") for at in self.span) if self.span else (None, None)
        return Part(name, self.source, first, last)


class _Written(msgspec.Struct):
    format: int
    sha256: str  # of `parts`, so that an edited index is none
    parts: dict[str, Entry]


def part_names(raw: Iterable[str]) -> dict[str, str]:
    """Return the name of the part that each raw file becomes.

    Raises DataError where two would be written to one place.
    """
    made = {name: name if name.endswith(SUFFIX) else name + SUFFIX for name in raw}
    of = dict[str, str]()
    for name, part in made.items():
        if (other := of.setdefault(part, name)) != name:
            raise DataError(_clash(other, name, part))
    for name, part in made.items():
        for above in PurePosixPath(part).parents:
            if (other := of.get(above.as_posix(), name)) != name:
                raise DataError(_clash(other, name, part))
    return made


def _clash(one: str, other: str, part: str) -> str:
    return f"{one} and {other} would both be written to {part} of data/prepared: rename one of them"


def read(folder: Path) -> dict[str, Entry]:
    """Return the parts of a folder of prepared rows by name; none of an index that is not whole."""
    try:
        found = msgspec.json.decode((folder / INDEX).read_bytes(), type=_Written)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    whole = found.format == FORMAT and found.sha256 == _digest(found.parts)
    return found.parts if whole else {}


def write(folder: Path, parts: Mapping[str, Entry]) -> None:
    """Write the index of a folder."""
    made = _Written(FORMAT, _digest(parts), dict(parts))
    (folder / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")


def _digest(parts: Mapping[str, Entry]) -> str:
    return sha256_of(msgspec.json.encode(parts).decode())


def place(folder: Path, room: str, part: str) -> Path:
    """Return where a part's rows of a role, or its hashes, are."""
    return folder / room / (f"{part}.npy" if room == UNIQUE else part)


def is_whole(folder: Path, part: str, entry: Entry) -> bool:
    """Say whether every file of a part is, to the byte, what was written."""
    places = {place(folder, room, part): digest for room, digest in entry.files.items()}
    return all(path.is_file() and sha256(path) == digest for path, digest in places.items())


class Recipe:
    """What all parts are made by: contract, split, code, packages and joins."""

    def __init__(self, contract: Contract, split: Split, joins: Joins | None) -> None:
        self.contract, self.split, self.joins = contract, split, joins
        parts: dict[str, Any] = {
            "format": FORMAT,
            "contract": contract,
            "split": {
                name: getattr(split, name)
                for name in split.__struct_fields__
                if name not in ("cutoff", "holdout_days")
            },
            "code": [tree_sha256(ROOM), *(sha256(ROOM.parent / name) for name in CODE)],
            "packages": {name: version(name) for name in PACKAGES},
        }
        self._base = sha256_of(msgspec.json.encode(parts).decode())

    def key(self, part: Part) -> str:
        """Return the SHA-256 of all that decides the bytes of a part but its name."""
        joined = "" if self.joins is None else self.joins.key(part)
        return sha256_of(f"{self._base}\0{part.sha256}\0{self._side(part)}\0{joined}")

    def _side(self, part: Part) -> str:
        """Say what a split by time makes of a part: a cut-off that moves elsewhere changes none."""
        if self.split.method != "time":
            return ""
        cut = cutoff(self.split)
        if part.first is None or part.last is None:
            return "empty"
        return "after" if part.first >= cut else "before" if part.last < cut else str(cut)
