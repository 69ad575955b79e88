"""Counts over fixed edges, for many columns at a time."""

from collections.abc import Iterator, Sequence

import numpy as np


class Histograms:
    """One histogram a column, counted together in one flat array.

    A bin reaches up to its edge and includes it, as a Prometheus bucket does. Behind the bins of
    a column stand one for what is above the last edge and one for what is missing (NaN).
    """

    __slots__ = ("counts", "edges", "starts", "sums")

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        self.edges = [np.asarray(column, dtype=np.float64) for column in edges]
        sizes = [len(column) + 2 for column in self.edges]
        self.starts = np.cumsum([0, *sizes])
        self.counts = np.zeros(self.starts[-1], dtype=np.int64)
        self.sums = np.zeros(len(sizes))

    def add(self, values: np.ndarray) -> None:
        """Count values (rows, columns)."""
        columns = np.array(values.T, dtype=np.float64, order="C")
        missing = np.isnan(columns)
        bins = np.empty(columns.shape, dtype=np.intp)
        for position, edges in enumerate(self.edges):
            bins[position] = edges.searchsorted(columns[position])  # NaN is above every number
        bins += missing
        bins += self.starts[:-1, None]
        self.counts += np.bincount(bins.ravel(), minlength=len(self.counts))
        columns[missing] = 0
        self.sums += columns.sum(axis=1)

    def __iter__(self) -> Iterator[tuple[np.ndarray, int, float]]:
        """Yield each column's bins, its missing values and the sum of the others."""
        for position, total in enumerate(self.sums):
            counts = self.counts[self.starts[position] : self.starts[position + 1]]
            yield counts[:-1], int(counts[-1]), float(total)
