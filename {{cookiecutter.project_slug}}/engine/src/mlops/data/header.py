"""The names of a table's columns: each stands once, and above the rows alone."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .errors import DataError
from .parsing import is_text

SHOWN = 5  # rows


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise DataError where two columns have one name."""
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"{path} has more than one column named {', '.join(map(repr, repeated))}: rename them "
            "in the file"
        )


def check_rows(path: Path, frame: pd.DataFrame, start: int = 1) -> None:
    """Raise DataError where rows repeat the header, as exports that were joined have it.

    `start` is the number of the first row. Only a table of texts can.
    """
    again = pd.Series(True, index=frame.index)
    named = [name for name in frame.columns if not str(name).startswith("Unnamed: ")]
    for name in named:
        column = frame[name]
        if not is_text(column):
            return
        again &= column.str.strip().str.lower() == str(name).lower()
        if not again.any():
            return
    rows = [str(start + place) for place in again.to_numpy().nonzero()[0]]
    if not rows or not named:
        return
    shown = ", ".join(rows[:SHOWN]) + ", …" * (len(rows) > SHOWN)
    raise DataError(
        f"{path} has its header again in {'row' if len(rows) == 1 else 'rows'} {shown}: delete "
        f"{'it' if len(rows) == 1 else 'them'} from the file"
    )
