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


def state(root: Path) -> State:
    """Return what the engine of a project is; one without its VERSION or DIGEST was edited."""
    folder = root / ENGINE
    version, stated = (_stated(folder / name) for name in (VERSION, DIGEST))
    return State(version or "unknown", bool(version) and stated == digest(folder))


def version() -> str:
    """Return the version of the engine that runs."""
    return _stated(Path(__file__).parents[2] / VERSION) or "unknown"


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


def _stated(path: Path) -> str:
    """Return the line that a file states; nothing where it does not."""
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
