"""The bootstrap: the same rows drawn again with replacement, as weights, many draws at once.

Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..progress import progress
from .arrays import Array, Index

CHUNK = 1 << 17  # weights in one chunk of draws: 1 MB, which stays in the processor's cache
BLOCK = 1 << 16  # units counted at a time: more would scatter over memory
UNDEFINED = 0.1  # share of undefined draws above which an interval would mislead


class Estimate(NamedTuple):
    """A value with its bootstrap interval, and how many draws left it undefined."""

    value: float
    low: float
    high: float
    undefined: int = 0


def weights(rows: int, seed: int, draws: range, groups: Index | None = None) -> Array:
    """Return how often each row is drawn, (draws, rows): the same for the same seed and rows.

    Every draw has a stream of its own, so that neither chunks nor threads change it. With
    `groups` (a code from 0 per row) whole groups are drawn, and their rows share a weight.
    """
    units = rows if groups is None else int(groups.max(initial=-1)) + 1
    counts = np.empty((len(draws), units))
    for place, draw in enumerate(draws):
        stream = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(draw,)))
        _draw(np.random.Generator(stream), counts[place])
    return counts if groups is None else np.take(counts, groups, axis=1)


def _draw(generator: np.random.Generator, counts: Array) -> None:
    """Fill `counts` with how often each unit comes up in as many draws as there are units.

    Where they are many, first how many draws fall to each block of units, then to the units of
    a block: the same multinomial distribution, at a third of the time.
    """
    units = len(counts)
    if units <= BLOCK:
        counts[:] = np.bincount(generator.integers(0, units, units), minlength=units)
        return
    starts = range(0, units, BLOCK)
    sizes = [min(BLOCK, units - start) for start in starts]
    shares = generator.multinomial(units, np.array(sizes) / units)
    for start, size, share in zip(starts, sizes, shares.tolist(), strict=True):
        drawn = generator.integers(0, size, share, dtype=np.uint16)
        counts[start : start + size] = np.bincount(drawn, minlength=size)


def resample(
    statistic: Callable[[Array], Array],
    rows: int,
    resamples: int,
    seed: int,
    groups: Index | None = None,
    threads: int = 1,
) -> Array:
    """Return `statistic`, which maps weights (draws, rows) to (draws, figures), for every draw.

    Two calls with the same seed, rows and groups weigh the rows alike: subtract their results
    to get paired differences. Memory is bounded by one chunk of draws per thread.
    """
    size = max(1, CHUNK // max(rows, 1))
    chunks = [range(at, min(at + size, resamples)) for at in range(0, resamples, size)]

    def one(draws: range) -> Array:
        return statistic(weights(rows, seed, draws, groups))

    # The products are too small for threads of their own, which stall where the machine is busy.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        return np.vstack(list(_shown(pool.map(one, chunks), len(chunks))))


def estimate(value: float, draws: Array, confidence: float) -> Estimate:
    """Return the percentile interval of `draws`, NaN where too many of them are undefined."""
    defined = draws[~np.isnan(draws)]
    undefined = len(draws) - len(defined)
    if not len(defined) or undefined > UNDEFINED * len(draws):
        return Estimate(value, np.nan, np.nan, undefined)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), undefined)


def group_codes(column: NDArray[Any]) -> Index:
    """Return a code from 0 for each distinct value of a column; missing values are one group."""
    if column.dtype == object:
        known = {value: code for code, value in enumerate(dict.fromkeys(column.tolist()))}
        return np.array([known[value] for value in column.tolist()], dtype=np.intp)
    return np.unique(column, return_inverse=True)[1].astype(np.intp)


def _shown(chunks: Iterator[Array], total: int) -> Iterator[Array]:
    """Show progress on stderr once it takes longer than a few seconds."""
    return iter(progress(chunks, "bootstrap", total=total, unit="chunk"))
