"""The days that a run asks an origin for."""

import datetime
from typing import NamedTuple

from ..data.errors import DataError
from .dataset import Dataset

FIRST, LAST = datetime.date(1, 1, 1), datetime.date(9999, 12, 31)


class Window(NamedTuple):
    """Days from `since` to before `until`; None where that side is open."""

    since: datetime.date | None
    until: datetime.date | None

    def has(self, day: str) -> bool:
        """Say whether a day is among them."""
        known = datetime.date.fromisoformat(day)
        return (self.since or FIRST) <= known < (self.until or LAST)

    @property
    def is_open(self) -> bool:
        """Whether it holds every day."""
        return self.since is None and self.until is None

    def shown(self) -> dict[str, str | None]:
        """Return both ends as texts."""
        return {
            name: None if day is None else day.isoformat() for name, day in self._asdict().items()
        }


def asked(
    dataset: Dataset,
    since: datetime.date | None,
    until: datetime.date | None,
    days: list[str],
    bounded: bool,
) -> Window:
    """Return the window of a run, by default from the newest day that there is on.

    The newest is asked for again, as it may have been half over, with the declared
    `lookback_days` before it; an origin that cannot be asked for a part is asked for everything.
    Raises DataError for an empty window.
    """
    if since is not None and until is not None and since >= until:
        raise DataError(
            f"no day is from {since} to before {until}: give a later --until, which is the first "
            "day that is not asked for"
        )
    partition = dataset.source.partition
    if since is None and bounded and partition is not None:
        known = [day for day in days if Window(None, until).has(day)]
        if known:
            newest = datetime.date.fromisoformat(known[-1])
            since = newest - datetime.timedelta(days=partition.lookback_days)
    return Window(since, until)
