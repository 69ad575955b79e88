"""Files of this machine or of a store of objects, by a glob."""

import glob
import re
from collections.abc import Generator
from pathlib import Path

import pandas as pd

from ...data import sources
from ...data.errors import DataError
from ...origins import DAY, Bucket, Files
from ..reading import ROWS, Reading
from ..window import Window


def frames(origin: Files, reading: Reading) -> Generator[pd.DataFrame]:
    """Yield the rows of every file, in the order of their names."""
    reading.told |= {"kind": "files", "glob": origin.glob}
    found = glob.glob(origin.glob.replace(DAY, "*"), recursive=True)
    for name in chosen(found, origin, reading):
        for frame in sources.frames([Path(name)], reading.source, ROWS):
            yield frame.frame


def chosen(names: list[str], origin: Files | Bucket, reading: Reading) -> list[str]:
    """Return the names of the window's days; raises DataError where the glob finds none at all."""
    if not names:
        raise DataError(
            f"nothing is at {origin.glob}: correct `source.origin.glob` in {reading.dataset.file}, "
            "or see that the files are there"
        )
    if not origin.is_bounded:
        return sorted(names)
    return sorted(name for name in names if _is_in(name, origin.glob, reading.window))


def _is_in(name: str, pattern: str, window: Window) -> bool:
    before, _, after = pattern.partition(DAY)
    tail = re.split(r"[*?\[/]", before)[-1]  # the literal text just before the day
    following = re.split(r"[*?\[/{]", after)[0]
    match = re.search(rf"{re.escape(tail)}(\d{{4}}-\d\d-\d\d){re.escape(following)}", name)
    try:
        return match is not None and window.has(match[1])
    except ValueError:  # like 2026-02-31
        return False
