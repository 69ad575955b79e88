"""Rows counted in cells: all that is kept of a day, and what it is compared by.

Counts of two days add up to those of both, so that a window is a sum and rows may be deleted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np

from .cells import Layout, by_output, places

BLOCK = 1 << 18  # cells counted at a time: they stay in the cache of a processor
BUCKETS = 1024  # of a sketch of repeated rows: its error is about 4 %
HEAVY = 0.005  # share of a block from which a value is looked at
KEPT = 200  # values of a feature that are kept as its heaviest: as many can be HEAVY
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, TAOCP 3, section 6.4


class Counts(msgspec.Struct):
    """How many rows of some days fell into each cell.

    `features` and `outputs` follow a layout. `slices` holds the features' cells of the rows with
    each label of a column. `answered` is the sum of the last output in each of the features'
    cells, `moments` its sum and sum of squares over all rows. `heaviest` has the values of a
    number that most rows share. `repeats` is a sketch of how often rows come again.
    """

    rows: int
    features: list[int]
    outputs: list[int]
    slices: dict[str, list[int]] = {}
    answered: list[float] = []
    moments: tuple[float, float] = (0.0, 0.0)
    heaviest: dict[str, dict[str, int]] = {}
    repeats: list[int] = []

    @classmethod
    def none(cls, layout: Layout) -> Self:
        """Return the counts of no row."""
        cells = int(layout.starts[-1])
        outputs = sum(each.size for each in layout.outputs)
        return cls(0, [0] * cells, [0] * outputs, {}, [0.0] * cells, repeats=[0] * BUCKETS)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.rows + other.rows,
            _summed(self.features, other.features),
            _summed(self.outputs, other.outputs),
            {
                name: _summed(self.slices.get(name, ()), other.slices.get(name, ()))
                for name in sorted({*self.slices, *other.slices})
            },
            _summed(self.answered, other.answered),
            (self.moments[0] + other.moments[0], self.moments[1] + other.moments[1]),
            {
                name: _heaviest(self.heaviest.get(name, {}), other.heaviest.get(name, {}))
                for name in sorted({*self.heaviest, *other.heaviest})
            },
            _summed(self.repeats, other.repeats),
        )


def _summed(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    if not len(one) or not len(other):
        return list(one) or list(other)
    return (np.asarray(one) + np.asarray(other)).tolist()


def _heaviest(*counted: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for values in counted:
        for value, rows in values.items():
            total[value] = total.get(value, 0) + rows
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0]))[:KEPT])


class Rows(NamedTuple):
    """Some rows that are counted together."""

    values: np.ndarray
    answered: np.ndarray | None
    columns: Mapping[str, np.ndarray]
    units: np.ndarray | None

    def part(self, start: int, end: int) -> "Rows":
        """Return the rows from one on to before another."""
        within = slice(start, end)
        return Rows(
            self.values[within],
            None if self.answered is None else self.answered[within],
            {name: codes[within] for name, codes in self.columns.items()},
            None if self.units is None else self.units[within],
        )

    def alike(self, other: "Rows") -> bool:
        """Say whether the same is known of others, so that they can be counted together."""
        mine, theirs = ((r.answered is None, r.units is None) for r in (self, other))
        return mine == theirs

    @classmethod
    def together(cls, parts: Sequence["Rows"]) -> "Rows":
        """Return the rows of parts that are alike, in one."""
        if len(parts) == 1:
            return parts[0]
        values, answered, columns, units = zip(*parts, strict=True)
        return cls(
            np.concatenate(values),
            None if answered[0] is None else np.concatenate(answered),
            {name: np.concatenate([each[name] for each in columns]) for name in columns[0]},
            None if units[0] is None else np.concatenate(units),
        )


class Tally:
    """Counts rows in blocks, also of rows that come few at a time: a heavy value shows in many."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._starts = layout.starts
        self._rows = 0
        self._features = np.zeros(self._starts[-1], dtype=np.int64)
        self._answered = np.zeros(self._starts[-1])
        self._outputs = [np.zeros(cells.size, dtype=np.int64) for cells in layout.outputs]
        self._slices = {
            column: np.zeros((len(labels), self._starts[-1]), dtype=np.int64)
            for column, labels in layout.sliced.items()
        }
        self._moments = np.zeros(2)
        self._repeats = np.zeros(BUCKETS, dtype=np.int64)
        self._heaviest: list[dict[str, int]] = [{} for _ in layout.features]
        self._waiting: list[Rows] = []
        self._most = max(1, BLOCK // max(1, len(layout.features)))

    def add(
        self,
        values: np.ndarray,
        predictions: np.ndarray | None,
        columns: Mapping[str, np.ndarray],
        units: np.ndarray | None = None,
    ) -> None:
        """Count float32 values (rows, features) and what they were answered (rows[, outputs]).

        `columns` has the codes of those by which rows are counted apart, `units` a uint64 for who
        each row is of: the row itself, where nothing says so.
        """
        self._rows += len(values)
        last = None if predictions is None else self._answers(by_output(predictions))
        rows = Rows(values, last, {name: columns[name] for name in self._slices}, units)
        if self._waiting and not self._waiting[0].alike(rows):
            self._flush()
        self._waiting.append(rows)
        if sum(len(part.values) for part in self._waiting) >= self._most:
            self._flush()

    def _flush(self) -> None:
        """Count the rows that wait."""
        if not self._waiting:
            return
        rows = Rows.together(self._waiting)
        self._waiting = []
        for start in range(0, len(rows.values), self._most):
            self._block(*rows.part(start, start + self._most))

    def _answers(self, answers: np.ndarray) -> np.ndarray:
        """Count what was answered (rows, outputs), and return the last output."""
        for at, cells in enumerate(self._layout.outputs):
            found = cells.of(answers[:, at].astype(np.float32))
            self._outputs[at] += np.bincount(found, minlength=cells.size)
        last = answers[:, -1]
        self._moments += last.sum(), np.square(last).sum()
        return last

    def _block(
        self,
        values: np.ndarray,
        answered: np.ndarray | None,
        columns: Mapping[str, np.ndarray],
        units: np.ndarray | None,
    ) -> None:
        across = np.ascontiguousarray(values.T)
        found = np.empty(across.shape, dtype=np.intp)
        for at, (cells, column) in enumerate(zip(self._layout.features, across, strict=True)):
            found[at] = cells.of(column)
            if len(cells.edges):  # of what has none, no value was seen, or none may be told
                heavy = heaviest(column)
                self._heaviest[at] = _heaviest(self._heaviest[at], heavy)
        found += self._starts[:-1, None]
        size = self._starts[-1]
        flat = found.ravel()
        self._features += np.bincount(flat, minlength=size)
        if answered is not None:
            weights = np.tile(answered, len(found))
            self._answered += np.bincount(flat, weights, minlength=size)
        for name, counted in self._slices.items():
            place = places(columns[name], len(counted)) * size
            within = np.bincount((found + place).ravel(), minlength=counted.size)
            counted += within.reshape(counted.shape)
        self._repeats += sketch(hashes(across) if units is None else units)

    def counts(self) -> Counts:
        """Return what was counted."""
        self._flush()
        first = slice(0, self._layout.features[0].size)
        return Counts(
            self._rows,
            self._features.tolist(),
            [rows for counted in self._outputs for rows in counted.tolist()],
            {
                f"{column}={label}": cells.tolist()
                for column, counted in self._slices.items()
                for label, cells in zip(self._layout.sliced[column], counted, strict=True)
                if cells[first].any()
            },
            self._answered.tolist(),
            (float(self._moments[0]), float(self._moments[1])),
            {
                cells.name: heavy
                for cells, counted in zip(self._layout.features, self._heaviest, strict=True)
                if (heavy := {v: n for v, n in counted.items() if n >= HEAVY / 2 * self._rows})
            },
            self._repeats.tolist(),
        )


def heaviest(column: np.ndarray) -> dict[str, int]:
    """Return the values of a float32 column that at least HEAVY of its rows share."""
    least = max(2, int(HEAVY * len(column)))
    column = column + np.float32(0)  # -0.0 is written otherwise than 0.0, and is the same value
    bits = column.view(np.uint32)
    bucket = (bits * np.uint32(0x9E3779B1)) >> np.uint32(20)
    sizes = np.bincount(bucket, minlength=1 << 12)
    if sizes.max() < least:
        return {}
    many = (sizes >= least)[bucket]
    values, counts = np.unique(column[many & ~np.isnan(column)], return_counts=True)
    enough = np.flatnonzero(counts >= least)
    first = enough[np.argsort(-counts[enough], kind="stable")[:KEPT]]
    return {repr(float(values[at])): int(counts[at]) for at in first}


def hashes(across: np.ndarray) -> np.ndarray:
    """Return a uint64 for each row of float32 values, or of uint64 numbers (columns, rows)."""
    total = np.zeros(across.shape[1], dtype=np.uint64)
    for column in across if across.dtype == np.uint64 else across.view(np.uint32):
        total = (total ^ column) * SPREAD
        total ^= total >> np.uint64(29)
    return total


def sketch(units: np.ndarray) -> np.ndarray:
    """Return BUCKETS signed sums of units, whose squares add up to their repetitions.

    The sum of the squares estimates the sum over units of (rows of a unit)^2: Charikar, Chen and
    Farach-Colton, "Finding frequent items in data streams", ICALP 2002; Alon, Matias and Szegedy,
    "The space complexity of approximating the frequency moments", STOC 1996.
    """
    mixed = _mixed(units)
    bucket = (mixed >> np.uint64(54)).astype(np.intp)
    sign = 1.0 - 2.0 * ((mixed >> np.uint64(53)) & np.uint64(1)).astype(np.float64)
    return np.bincount(bucket, sign, minlength=BUCKETS).astype(np.int64)


def _mixed(units: np.ndarray) -> np.ndarray:
    """Return numbers of which each bit hangs on all bits of a unit: numbers in a row cancel else.

    The finalizer of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014.
    """
    mixed = (units ^ (units >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def repetition(counts: Counts) -> float:
    """Return the estimated sum over units of (rows of a unit)^2."""
    return float(np.square(np.asarray(counts.repeats, dtype=np.float64)).sum())


def equal_chance(rows: np.ndarray) -> float:
    """Return the chance that two different rows have one hash."""
    sizes = np.unique(rows, return_counts=True)[1].astype(np.float64)
    pairs = len(rows) * (len(rows) - 1.0)
    return float((sizes * (sizes - 1)).sum() / pairs) if pairs else 0.0
