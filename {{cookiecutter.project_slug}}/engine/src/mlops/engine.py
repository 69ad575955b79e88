"""The engine itself: its version, and whether it is as the template made it."""

import hashlib
from pathlib import Path
from typing import NamedTuple

ENGINE = Path("engine")
VERSION, DIGEST = "VERSION", "DIGEST"
PASSING = ("__pycache__", ".egg-info")  # what tools leave beside the code


class State(NamedTuple):
    """The version of an engine, and whether its files are those of that version."""

    version: str
    intact: bool


def state(root: Path = Path()) -> State:
    """Return what the engine of a project is."""
    folder = root / ENGINE
    version = (folder / VERSION).read_text(encoding="utf-8").strip()
    stated = folder / DIGEST
    return State(version, stated.is_file() and stated.read_text().strip() == digest(folder))


def digest(folder: Path) -> str:
    """Return one SHA-256 over the names and contents of an engine's files, DIGEST aside."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name == DIGEST or any(part in name for part in PASSING):
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{name}\0{content}\n".encode())
    return found.hexdigest()
