"""The days, weeks and months that a capacity is of."""

import numpy as np

MONDAY = 3  # days from 1970-01-01, a Thursday, back to the week's beginning


def numbered(moments: np.ndarray, per: str) -> np.ndarray:
    """Return the number of each moment's day, week (from Monday on) or month; one for missing.

    `moments` are datetime64 of any unit, `per` is `day`, `week` or `month`.
    """
    if per == "month":
        return moments.astype("datetime64[M]").astype(np.int64)
    days = moments.astype("datetime64[D]").astype(np.int64)
    return days if per == "day" else np.floor_divide(days + MONDAY, 7)
