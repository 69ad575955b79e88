"""Rows of the past of some entities in their order, and which of them were known at a moment."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Places: TypeAlias = NDArray[np.int64]

PAIRS = 1 << 20  # of a moment and a row known at it, in memory at once
NONE = -1
STEPS = 8


class Pairs(NamedTuple):
    """For the moments `chosen`, in their order, the rows known at each, one group behind the other.

    Group g is `places[offsets[g]:offsets[g + 1]]`, and never empty.
    """

    chosen: Places
    places: Places
    offsets: Places


class History:
    """The rows of the entities `first` to `last`: by entity, event time and what breaks ties.

    `events` and `known` are in microseconds. A row is known at the earliest when it happens.
    """

    def __init__(
        self, rows: pa.Table, entities: Places, events: Places, known: Places, first: int, last: int
    ) -> None:
        self.rows, self.events, self.known = rows, events, known
        self.first = first
        self.starts = np.searchsorted(entities, np.arange(first, last + 2))

    def latest(self, entities: Places, moments: Places, window: int) -> Places:
        """Return the place of the newest row known at each moment; NONE where there is none.

        Newest is the last in order. It happened less than `window` microseconds before the moment.
        """
        start, stop = self._bounds(entities)
        places = _after(self.events, start, stop, moments) - 1
        late = np.flatnonzero(places >= start)
        for _ in range(STEPS):  # back from rows that were not known yet, which are few as a rule
            late = late[self.known[places[late]] > moments[late]]
            places[late] -= 1
            late = late[places[late] >= start[late]]
        if len(late):
            times, newest = self._by_knowledge()
            at = _after(times, start[late], stop[late], moments[late]) - 1
            places[late] = np.where(at >= start[late], newest[at], NONE)
        found = places >= start
        found[found] = self.events[places[found]] > moments[found] - window
        return np.where(found, places, NONE)

    def pairs(self, entities: Places, moments: Places, window: int) -> Iterator[Pairs]:
        """Yield the rows known at each moment that happened in the `window` before it, in batches.

        Moments without such a row are in none.
        """
        start, stop = self._bounds(entities)
        low = _after(self.events, start, stop, moments - window)
        high = _after(self.events, low, stop, moments)
        counts = high - low
        ends = np.cumsum(counts)
        done = 0
        while done < len(counts):
            before = ends[done - 1] if done else 0
            upto = max(done + 1, int(np.searchsorted(ends, before + PAIRS, side="right")))
            part = slice(done, upto)
            done = upto
            group = np.repeat(np.arange(part.start, part.stop), counts[part])
            shift = low[part] - (ends[part] - counts[part] - before)
            places = np.arange(len(group)) + np.repeat(shift, counts[part])
            seen = self.known[places] <= moments[group]
            group, places = group[seen], places[seen]
            if len(group):
                begins = np.flatnonzero(np.diff(group, prepend=-1))
                yield Pairs(group[begins], places, np.append(begins, len(group)))

    def _bounds(self, entities: Places) -> tuple[Places, Places]:
        return self.starts[entities - self.first], self.starts[entities - self.first + 1]

    def _by_knowledge(self) -> tuple[Places, Places]:
        """Return when rows became known, in that order, and the place of the newest known by each.

        Within an entity; places of a later one are higher, so that the maximum never goes back.
        """
        groups = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        order = np.lexsort((self.known, groups))
        return self.known[order], np.maximum.accumulate(order)


def _after(values: Places, start: Places, stop: Places, limits: Places) -> Places:
    """Return the first place from `start` to before `stop` whose value is above the limit.

    Values rise between them; `stop` where there is none. A binary search of all at once.
    """
    low, high = start.copy(), stop.copy()
    while (left := low < high).any():
        middle = (low + high) // 2
        below = left & (values[np.minimum(middle, len(values) - 1)] <= limits)
        low = np.where(below, middle + 1, low)
        high = np.where(left & ~below, middle, high)
    return low
