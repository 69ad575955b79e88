"""How a server's log folder is laid out: what writes it and what reads it both ask here."""

from pathlib import Path
from typing import TypedDict

PREDICTIONS = "predictions"
FEEDBACK = "feedback"
COUNTS = "counts"  # of each day, by what reads the log
SPOOL = "spool"
OPEN, CLOSED = ".open", ".segment"  # segments of the spool: written to, waiting
BEFORE = ("request_id", "row", "time", "digest", "role", "unit", "arm", "propensity")
FEATURES = ("features_as_of", "features_of")  # by view, where features are looked up
AFTER = ("prediction", "probabilities")
REPORTED = ("outcome", "outcome_time", "value", "currency", "action")  # beside them when joined
TAKEN = (
    *BEFORE,
    *FEATURES,
    *AFTER,
    *REPORTED,
    "date",
    "model",
)  # `date` and `model` are read from the path
# Of a file of predictions, in its metadata. One that says none was written when an input might
# have one of the names that were taken since.
FORMAT = "2"
TAKEN_SINCE = ("unit", "arm", "propensity", *FEATURES, *REPORTED)


def stored(name: str) -> str:
    """Return the name of an input's column, which is another where the log has one of that name."""
    return f"input_{name}" if name in TAKEN else name


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
