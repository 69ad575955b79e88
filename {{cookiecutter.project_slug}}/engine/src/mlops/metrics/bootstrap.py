"""The bootstrap: the same rows drawn again with replacement, as weights, many draws at once.

Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.backend import backend
from .arrays import Array, Index

CHUNK = 1 << 17  # weights in one chunk of draws: 1 MB, which stays in the processor's cache
BLOCK = 1 << 16  # units counted at a time: more would scatter over memory
UNDEFINED = 0.1  # share of undefined draws above which an interval would mislead
LUMPS = 4  # parts of the draws for each worker elsewhere
ENOUGH = 300  # units from which on Student's t is the normal distribution, to half a percent


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
    groups: Index | Sequence[Index] | None = None,
    threads: int = 1,
    parts: Sequence[Index | None] = (None,),
) -> Array:
    """Return `statistic`, which maps weights (draws, rows) to (draws, figures), for every draw.

    Two calls with the same seed, rows and groups weigh the rows alike: subtract their results
    to get paired differences. Memory is bounded by one chunk of draws per thread. Rows that
    depend on one another in several ways have several `groups`, whose deviations add up.

    `parts` are the rows that each equal share of the figures rests on, None for all. Where these
    are few units, what a draw deviates by is spread as Student's t is, so that percentiles of the
    draws hold; of one unit, it is undefined.
    """
    ways: list[Index | None] = [None]
    if groups is not None:
        ways = [groups] if isinstance(groups, np.ndarray) else [*groups] or ways
    drawn = [_drawn(statistic, rows, resamples, seed, way, threads) for way in ways]
    spread = [_spread(way, rows, resamples, seed, parts, drawn[0].shape[1]) for way in ways]
    if len(ways) == 1 and spread[0] is None:
        return drawn[0]
    center = statistic(np.ones((1, rows)))
    deviations = [
        (one - center) * (1.0 if wider is None else wider)
        for one, wider in zip(drawn, spread, strict=True)
    ]
    # Rows that depend in no way would be counted once for each: the interval is on the safe side.
    found: Array = center + np.sum(deviations, axis=0)
    return found


def _drawn(
    statistic: Callable[[Array], Array],
    rows: int,
    resamples: int,
    seed: int,
    groups: Index | None,
    threads: int,
) -> Array:
    size = max(1, CHUNK // max(rows, 1))
    chunks = [range(at, min(at + size, resamples)) for at in range(0, resamples, size)]

    def drawn(several: Sequence[range]) -> Array:
        return np.vstack([statistic(weights(rows, seed, draws, groups)) for draws in several])

    # Where one thread is enough, no other process pays; and the products are too small for threads
    # of their own, which stall where the machine is busy.
    with backend(alone=threads == 1) as pool:
        each = 1 if pool.is_local else math.ceil(len(chunks) / (LUMPS * pool.workers(threads)))
        lumps = [chunks[at : at + each] for at in range(0, len(chunks), each)]
        return np.vstack(list(pool.map(drawn, lumps, at_once=threads, title="bootstrap")))


def _spread(
    groups: Index | None,
    rows: int,
    resamples: int,
    seed: int,
    parts: Sequence[Index | None],
    figures: int,
) -> Array | None:
    """Return what widens each deviation (draws, figures); None where there are enough units.

    A normal deviate over the root of chi-square / degrees of freedom is Student's t; n / (n - 1) is
    what the variance of so few units lacks: Cameron, Gelbach and Miller, "Bootstrap-based
    improvements for inference with clustered errors", Review of Economics and Statistics 90, 2008.
    """
    units = [_units(groups, rows, part) for part in parts]
    if min(units) >= ENOUGH:
        return None
    known: dict[float, Array] = {}
    for place, count in enumerate(dict.fromkeys(units)):
        if count >= ENOUGH:
            known[count] = np.ones(resamples)
        elif count <= 1:
            known[count] = np.full(resamples, np.nan)
        else:
            freedom = max(count - 1, 1.0)
            stream = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(resamples, place)))
            chi = np.random.Generator(stream).chisquare(freedom, resamples) / freedom
            known[count] = np.sqrt(count / (count - 1) / chi)
    shares = np.column_stack([known[count] for count in units])
    return np.repeat(shares, figures // len(units), axis=1)


def _units(groups: Index | None, rows: int, part: Index | None) -> float:
    """Return how many units of equal size would tell as much.

    Carter, Schnepel and Steigerwald, "Asymptotic behavior of a t-test robust to cluster
    heterogeneity", Review of Economics and Statistics 99, 2017.
    """
    if groups is None:
        return rows if part is None else len(part)
    sizes = np.bincount(groups if part is None else groups[part]).astype(np.float64)
    return float(np.square(sizes.sum()) / np.square(sizes).sum()) if sizes.any() else 0.0


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
