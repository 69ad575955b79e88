"""What a server took back stays so: a file beside its log for each experiment that it stopped."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..files import sha256_of, write_text
from ..log_layout import STOPPED
from .declaration import Experiment, Sha256

LARGEST = 1 << 16  # bytes: what is larger is none


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which experiment a server stopped, why, and when."""

    format: Literal[1]
    champion: Sha256
    challenger: Sha256
    salt: str
    reason: str
    at: datetime


def key(declared: Experiment) -> str:
    """Return by what a stop is known: a step that follows is the same experiment, another salt not.

    Whoever changes the guardrails has thought about it again.
    """
    rules = msgspec.to_builtins(declared.guardrails)
    if rules["drift"] is None:  # so that a stop from before there was one is still known
        del rules["drift"]
    asked = [declared.champion, declared.challenger, declared.salt, rules]
    return sha256_of(json.dumps(asked, sort_keys=True))


def place(log_folder: Path, known_by: str) -> Path:
    """Return where the stop of an experiment is kept."""
    return log_folder / STOPPED / f"{known_by}.json"


def keep(log_folder: Path, declared: Experiment, reason: str) -> None:
    """Write that an experiment is stopped, in one step; raises OSError."""
    at = datetime.now(UTC).replace(microsecond=0)
    stop = Stop(1, declared.champion, declared.challenger, declared.salt, reason, at)
    text = msgspec.json.format(msgspec.json.encode(stop)).decode()
    write_text(place(log_folder, key(declared)), text + "\n")


def kept(log_folder: Path, known_by: str) -> str:
    """Return why an experiment is stopped, as a server on this log said; empty where none did.

    A file that cannot be read has stopped it all the same.
    """
    path = place(log_folder, known_by)
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=Stop).reason
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, msgspec.DecodeError):
        return f"{path} says that the challenger was stopped, and cannot be read"
