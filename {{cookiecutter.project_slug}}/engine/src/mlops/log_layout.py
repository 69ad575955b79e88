"""How a server's log folder is laid out: what writes it and what reads it both ask here."""

import re
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import TypedDict

PREDICTIONS = "predictions"
FEEDBACK = "feedback"
COUNTS = "counts"  # of each day, by what reads the log
SPOOL = "spool"
STOPPED = "stopped"  # experiments that a server stopped
STOP = re.compile(rf"{STOPPED}/([0-9a-f]{{64}})\.json")  # one of them, below the folder
OPEN, CLOSED = ".open", ".segment"  # segments of the spool: written to, waiting
KEY, KEY_BYTES = "unit.key", 32  # by which all servers on a folder know a routing key
BEFORE = ("request_id", "row", "time", "digest", "role", "unit", "arm", "propensity")
ASSIGNED = "assigned"  # in an experiment of actions
FEATURES = ("features_as_of", "features_of")  # by view, where features are looked up
AFTER = ("prediction", "probabilities")
REPORTED = ("outcome", "outcome_time", "value", "currency", "action")  # beside them when joined
TAKEN = (
    *BEFORE,
    ASSIGNED,
    *FEATURES,
    *AFTER,
    *REPORTED,
    "date",
    "model",
)  # `date` and `model` are read from the path
# Of a file of predictions, in its metadata. One that says none was written when an input might
# have one of the names that were taken since.
FORMAT = "3"
TAKEN_SINCE = {
    "": ("unit", "arm", "propensity", ASSIGNED, *FEATURES, *REPORTED),
    "2": (ASSIGNED,),
}


def stored(name: str) -> str:
    """Return the name of an input's column, which is another where the log has one of that name."""
    return f"input_{name}" if name in TAKEN else name


def unit(key: bytes, secret: bytes) -> str:
    """Return by what a routing key is known in the log: whoever lacks the secret cannot guess it.

    The secret has at most 64 bytes.
    """
    return blake2b(key, digest_size=8, key=secret, person=b"mlops-unit").hexdigest()


def key_of(secret: bytes) -> bytes:
    """Return the key that servers make of the secret that they are given."""
    return blake2b(secret, digest_size=KEY_BYTES).digest()


def hashing(log_folder: Path, secret: bytes | None = None) -> Callable[[bytes], str] | None:
    """Return by what the servers on a folder know a key; None where nobody here can tell.

    `secret` is what they were given, if anything.
    """
    path = log_folder / KEY
    if secret is None and not path.is_file():
        return None
    known = path.read_bytes() if secret is None else key_of(secret)
    return lambda key: unit(key, known)


class Counted(TypedDict, total=False):
    """Which files of a day were counted, with their sizes, and by which settings its outcomes."""

    files: dict[str, int]
    settled: str


def counts_path(log_folder: Path, day: str, model: str) -> Path:
    """Return where the counts of a day of a model are."""
    return log_folder / COUNTS / f"date={day}" / f"{model}.json"


def counted(content: bytes) -> Counted:
    """Return what was counted: nothing, of counts that are unreadable, which the monitor says."""
    import msgspec

    try:
        return msgspec.json.decode(content, type=Counted)
    except msgspec.DecodeError:
        return {}
