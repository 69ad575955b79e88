"""The files by which the rule `skew` and the process that it starts tell each other values.

Apart from both: what judges imports nothing of what makes them.
"""

import numpy as np

from ..config.settings import Settings
from ..config.views import View

ROWS, MOMENTS = "rows.parquet", "moments.npy"
OWN = "own.parquet"  # what the join says of each row at its own time
MOMENT = np.dtype("datetime64[us]")


def joined(number: int) -> str:
    """Return the file of what the join says of every row at a moment."""
    return f"joined-{number}.parquet"


def served(number: int) -> str:
    """Return the file of what a store holds of every row's entity at a moment."""
    return f"served-{number}.parquet"


def online(settings: Settings) -> list[View]:
    """Return the views whose values a server looks up."""
    return [view for view in settings.features.views.values() if view.online]
