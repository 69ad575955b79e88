"""Whether the model treats the groups of sensitive columns alike."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Slices
from ...contract import Column
from ...evaluation.slices import slices
from ...metrics.arrays import Array, Index, ratio
from ...metrics.bootstrap import estimate
from ...metrics.catalogue import prepare
from ..case import Case
from ..resampling import By, bounded, draws, level
from ..rule import Finding, Rule

Measure = Literal["demographic_parity", "equalised_odds", "error_gap"]
BANDS = 4  # of a sensitive number, with as many rows each


class Group(NamedTuple):
    """Some people: how they are named, and the positions of their rows."""

    name: str
    rows: Index


class Fairness(Rule, frozen=True, kw_only=True):
    """The largest gap between groups of a sensitive column stays below a maximum.

    `demographic_parity`: between the shares predicted positive. `equalised_odds`: between true
    positive rates or false positive rates, whichever gap is larger; for several classes, of
    each class against the rest. `error_gap`: between error rates, or for a number between mean
    absolute errors, as a share of the overall one. A group has support where each of its rates
    rests on `min_rows` rows; `required` groups must have it. Numbers are cut into quarters.
    Noise makes a largest gap larger: `by: bound` is for large holdouts.
    """

    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Dwork et al., "Fairness through awareness", ITCS 2012; Hardt, Price, Srebro, "Equality '
        'of opportunity in supervised learning", NeurIPS 2016'
    )

    measure: Measure
    at_most: float
    min_rows: int
    threshold: float
    required: list[str]
    by: By

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_most) or self.at_most < 0:
            raise ValueError("`at_most` is a finite number of 0 or more")
        if self.min_rows < 1 or not 0 < self.threshold < 1:
            raise ValueError("`min_rows` is 1 or more, and `threshold` between 0 and 1")

    def judge(self, case: Case) -> list[Finding]:
        """Judge each sensitive column."""
        contract = case.settings.data
        names = contract.names("sensitive")
        found = []
        if case.champion is not None:
            before = case.champion.bundle.contract.names("sensitive")
            found = [
                Finding("rejected", "the contract no longer calls it sensitive", name)
                for name in before
                if name not in names
            ]
        if contract.task == "regression" and self.measure != "error_gap":
            return [*found, Finding("not applicable", f"a regression has no {self.measure}")]
        known: set[str] = set()
        for name in names:
            groups = _groups(case.columns, name, contract.columns[name], case)
            known |= {group.name for group in groups}
            found += self._column(case, name, groups)
        found += [
            Finding("rejected", "a required group has no rows", name)
            for name in self.required
            if name not in known
        ]
        return found or [Finding("not applicable", "the contract has no sensitive column")]

    def _column(self, case: Case, name: str, groups: list[Group]) -> list[Finding]:
        """Judge the groups with support, and list those without."""
        tally = self._tally(case)
        ones = np.ones((1, len(case.target)))
        based = [self._rates(tally(ones[:, g.rows], g.rows))[1].min() for g in groups]
        judged = [g for g, rows in zip(groups, based, strict=True) if rows >= self.min_rows]
        few = f"one of its rates rests on fewer than {self.min_rows} rows"
        found = [
            Finding("rejected" if g.name in self.required else "not applicable", few, g.name)
            for g, rows in zip(groups, based, strict=True)
            if rows < self.min_rows
        ]
        if len(judged) < 2:
            reason = "fewer than two groups have support, so no gap can be measured"
            return [*found, Finding("rejected", reason, name)]

        def gap(weights: Array) -> Array:
            tallies = [tally(np.take(weights, g.rows, axis=1), g.rows) for g in judged]
            rates = np.stack([ratio(*self._rates(one)) for one in tallies])
            widest: Array = np.ptp(rates, axis=0).max(axis=1)
            if case.settings.data.task == "regression":
                overall = np.abs(case.target - case.candidate.predictions)
                widest = ratio(widest, ratio(weights @ overall, weights.sum(axis=1)))
            return widest[:, None]

        measured = estimate(float(gap(ones).item()), draws(case, gap).ravel(), level(case))
        said = f"{self.measure} between {len(judged)} groups"
        return [*found, bounded(measured, self.at_most, said, name, by=self.by, at_least=False)]

    def _tally(self, case: Case) -> Any:
        """Return what counts a group's rows by true and predicted class, or sums its errors.

        It maps weights (draws, rows of the group) and these rows to (draws, true, predicted).
        """
        task, predictions = case.settings.data.task, case.candidate.predictions
        prepare(task, case.target, predictions)
        if task == "regression":
            errors = np.abs(case.target - predictions)
            return lambda weights, rows: np.stack(
                [weights @ errors[rows], weights.sum(axis=1)], axis=1
            )
        classes = len(case.settings.data.labels)
        predicted = predictions > self.threshold if task == "binary" else predictions.argmax(axis=1)
        cells = case.target * classes + predicted

        def counted(weights: Array, rows: Index) -> Array:
            mine, size = cells[rows], classes * classes
            tables = [np.bincount(mine, one, minlength=size) for one in weights]
            return np.array(tables, dtype=np.float64).reshape(-1, classes, classes)

        return counted

    def _rates(self, tally: Array) -> tuple[Array, Array]:
        """Return numerators and denominators (draws, rates) of a group's rates."""
        if tally.ndim == 2:
            return tally[:, :1], tally[:, 1:]
        total = tally.sum(axis=(1, 2))[:, None]
        predicted, true = tally.sum(axis=1), tally.sum(axis=2)
        hits = np.diagonal(tally, axis1=1, axis2=2)
        if self.measure == "error_gap":
            return total - hits.sum(axis=1, keepdims=True), total
        # Of two classes the second says it all: the rates of the first are its complements.
        kept = slice(1, None) if tally.shape[1] == 2 else slice(None)
        if self.measure == "demographic_parity":
            return predicted[:, kept], np.broadcast_to(total, predicted.shape)[:, kept]
        numerators = np.hstack([hits[:, kept], (predicted - hits)[:, kept]])
        return numerators, np.hstack([true[:, kept], (total - true)[:, kept]])


def _groups(
    columns: Mapping[str, NDArray[Any]], name: str, column: Column, case: Case
) -> list[Group]:
    """Return the groups of a sensitive column that have rows."""
    if column.type in ("category", "boolean"):
        limits = Slices(min_rows=1, max_categories=len(column.categories) or 1)
        every = slices({name: columns[name]}, case.settings.data, limits)
        return [Group(part.name, part.rows) for part in every]
    if column.type in ("number", "integer"):
        values = columns[name]
        edges = np.unique(np.nanquantile(values, np.arange(1, BANDS) / BANDS))
        band = np.where(np.isnan(values), BANDS, np.searchsorted(edges, values, "right"))
        low, high = ["", *(f"from {e:g} " for e in edges)], [*(f"below {e:g}" for e in edges), ""]
        names = {at: f"{a}{b}".strip() for at, (a, b) in enumerate(zip(low, high, strict=True))}
        names[BANDS] = "(missing)"
        return [
            Group(f"{name}={names[int(at)]}", np.flatnonzero(band == at)) for at in np.unique(band)
        ]
    raise ValueError(f"{name} is a {column.type}: declare what is sensitive as a category")
