"""What is drawn again for an interval: the units that the split keeps together, and not rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..data.splitting import keys
from ..metrics.arrays import Index
from ..metrics.bootstrap import group_codes

FEW = 30  # units, below which an interval is wide for want of them
BLOCKS = 20  # of time: long ones hold what lasts, and as many are enough for Student's t

Columns = Mapping[str, NDArray[Any]]


class Units(NamedTuple):
    """What is drawn: `codes` has a code from 0 for each row, for each way in which rows depend.

    It is empty where single rows are drawn. The first way is the one whose units are fewest for
    what is `enough` of their kind; `noun` is what a reader calls them.
    """

    codes: tuple[Index, ...]
    counts: tuple[int, ...]
    noun: str
    enough: int = FEW

    @property
    def number(self) -> int | None:
        """How many units there are of the fewest, None where single rows are drawn."""
        return self.counts[0] if self.counts else None

    @property
    def few(self) -> str | None:
        """Say that the units are few, and what would be enough; None where they are not."""
        if self.number is None or self.number >= self.enough:
            return None
        what = f"the {self.number} {self.noun}" if self.number > 1 else f"one of the {self.noun}"
        if self.number < 2:
            return (
                f"the holdout is {what} alone, and how another one differs no row can tell: there "
                f"are no intervals; hold out {self.enough} or more"
            )
        return (
            f"the holdout is {what}, few to tell others by: intervals are wider for it (Student's "
            f"t); {self.enough} or more would be enough"
        )


def units(settings: Settings, columns: Columns) -> Units:
    """Return what depends on one another in a holdout: groups, recurring ids, blocks of time.

    Of several columns by which rows belong together, those count that leave the fewest units: who
    shares an address is one, however often each of them comes. A split by time leaves its blocks,
    and beside them the ids, where they come again in other blocks: either is drawn then.
    """
    contract, split = settings.data, settings.split
    found = _recurring(settings, columns)
    if split.method != "time" or contract.time is None:
        if found is None:
            return Units((), (), "rows")
        codes, noun = found
        return Units((codes,), (_count(codes),), noun)
    moments = blocks(columns[contract.time])
    times = f"moments of {contract.time}"
    if len(np.unique(columns[contract.time])) > BLOCKS:
        times = f"blocks of {contract.time}"
    # More moments become BLOCKS blocks: nobody can hold out more of them than that.
    ways = [(moments, times, BLOCKS)]
    if found is not None and not _nested(found[0], moments):
        ways.append((*found, FEW))
    ways.sort(key=lambda way: _count(way[0]) / way[2])
    drawn = tuple(way[0] for way in ways)
    return Units(drawn, tuple(map(_count, drawn)), *ways[0][1:])


def blocks(moments: NDArray[Any]) -> Index:
    """Return the block of time of each row: each moment, or of many, blocks with as many rows.

    Few long blocks with Student's t hold for dependence of any kind that ends within a block:
    Ibragimov and Müller, "t-statistic based correlation and heterogeneity robust inference",
    Journal of Business and Economic Statistics 28, 2010.
    """
    _, moment, rows = np.unique(moments, return_inverse=True, return_counts=True)
    if len(rows) <= BLOCKS:
        return moment.astype(np.intp)
    middle = np.cumsum(rows) - rows / 2
    block = np.minimum((middle * BLOCKS / len(moments)).astype(np.intp), BLOCKS - 1)
    return group_codes(block[moment])


def combined(columns: Sequence[NDArray[Any]]) -> Index:
    """Return a code from 0 for each combination of values that occurs."""
    codes = group_codes(columns[0])
    for column in columns[1:]:
        if _count(codes) == len(codes):
            break
        more = group_codes(column)
        codes = group_codes(codes * _count(more) + more)
    return codes


def _recurring(settings: Settings, columns: Columns) -> tuple[Index, str] | None:
    """Return the fewest units that rows belong to, and what they are; None for rows alone."""
    found: tuple[Index, str] | None = None
    for names, noun in _together(settings):
        codes = combined([columns[name] for name in names])
        if _count(codes) < (len(codes) if found is None else _count(found[0])):
            found = codes, noun
    return found


def _together(settings: Settings) -> Iterator[tuple[Sequence[str], str]]:
    """Yield the columns by which rows may belong together, as the split keeps them."""
    contract, split = settings.data, settings.split
    for name in contract.names("group"):
        yield (name,), f"groups of {name}"
    ids, named = contract.names("id"), tuple(split.columns)
    for names in (ids, named):
        if names:
            yield names, f"values of {', '.join(names)}"
    if not (ids or named or contract.names("group")):
        yield keys(contract, split), "different rows"


def _count(codes: Index) -> int:
    return int(codes.max(initial=-1)) + 1


def _nested(inner: Index, outer: Index) -> bool:
    """Whether every unit of `inner` lies within one of `outer`."""
    return _count(combined([inner, outer])) == _count(inner)
