"""What a rule found, whatever it judges."""

import math
from typing import Any

import msgspec

FIGURES = ("value", "low", "high", "threshold")


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule found, once or for each slice, group or column (`part`).

    `value` is the figure that was compared with `threshold`, `low` and `high` its interval.
    """

    verdict: str
    reason: str
    part: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None


def number(given: Any) -> float | None:
    """Return a finite number as a plain float, and None for anything else."""
    if given is None or isinstance(given, bool | str | bytes):
        return None
    try:
        found = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
