"""What people who know the subject expect of the model, checked row by row."""

import math
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...contract import Column
from ..case import Case
from ..rule import Finding, Rule, Verdict


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to the column: one of `add`, `multiply` (numbers) and `set` (anything)."""

    add: float | None = None
    multiply: float | None = None
    set: float | bool | str | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.add, self.multiply, self.set) if v is not None]
        if len(given) != 1 or (isinstance(given[0], float) and not math.isfinite(given[0])):
            raise ValueError("give exactly one of `add`, `multiply` and `set`, and a finite number")

    def applied(self, values: NDArray[Any], column: Column) -> NDArray[np.float64]:
        """Return the changed values as the contract's codes; NaN where they cannot be."""
        if column.type in ("datetime", "text"):
            raise ValueError(f"a {column.type} cannot be changed: choose another column")
        if self.set is not None:
            changed = np.full(len(values), self._code(column))
        elif column.type not in ("number", "integer"):
            raise ValueError(f"a {column.type} has no sum or product: use `set`")
        else:
            changed = values + self.add if self.add is not None else values * self.multiply
        low = -math.inf if column.min is None else column.min
        high = math.inf if column.max is None else column.max
        return np.where((changed >= low) & (changed <= high), changed, np.nan)

    def _code(self, column: Column) -> float:
        if column.type == "category":
            if self.set not in column.categories:
                raise ValueError(f"{self.set!r} is none of {', '.join(column.categories)}")
            return float(column.categories.index(str(self.set)))
        if isinstance(self.set, str) or isinstance(self.set, bool) != (column.type == "boolean"):
            raise ValueError(f"{self.set!r} is no value of a {column.type}")
        return float(self.set or 0.0)


class Expectation(Rule, frozen=True, kw_only=True):
    """A change of one column moves predictions as expected, on a share of the rows.

    A row obeys where its prediction rises (`increases`) or falls (`decreases`) or at least moves
    no more than `tolerance` the other way; `unchanged` allows `tolerance` both ways. On average
    it has to rise or fall, so that a model that ignores the column does not pass. Rows count
    where the change alters the value and leaves it inside the contract's bounds. `label` is the
    class whose probability is meant, for three or more.
    """

    source: ClassVar[str] = (
        'Ribeiro, Wu, Guestrin, Singh, "Beyond accuracy: behavioral testing of NLP models with '
        'CheckList", ACL 2020: directional expectation and invariance tests'
    )

    column: str
    change: Change
    prediction: Literal["increases", "decreases", "unchanged"]
    share: float
    tolerance: float
    label: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 <= self.tolerance < math.inf:
            raise ValueError("`share` is above 0 and at most 1, `tolerance` finite and 0 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Predict the holdout with the column changed, and compare row by row."""
        bundle = case.candidate.bundle
        contract = bundle.contract
        if self.column not in case.columns or self.column not in contract.columns:
            return [Finding("rejected", "the contract has no such column", self.column)]
        before = case.columns[self.column]
        changed = self.change.applied(before, contract.columns[self.column])
        rows = np.flatnonzero(np.isfinite(changed) & (changed != before))
        if not len(rows):
            return [Finding("rejected", "the change alters no row within bounds", self.column)]
        columns = {name: values[rows] for name, values in case.columns.items()}
        columns[self.column] = changed[rows]
        after = bundle.answer(columns)
        return [self._finding(self._meant(case, after - case.candidate.predictions[rows]))]

    def _meant(self, case: Case, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the change of the prediction that is meant."""
        labels = case.settings.data.labels
        if case.settings.data.task != "multiclass":
            if self.label is not None:
                raise ValueError("`label` is for targets with three or more classes")
            return moved
        if self.label not in labels:
            raise ValueError(f"`label` has to be one of {', '.join(labels)}")
        return moved[:, labels.index(self.label)]

    def _finding(self, moved: NDArray[np.float64]) -> Finding:
        if not np.isfinite(moved).all():
            return Finding("rejected", "a prediction is no finite number", self.column)
        mean = float(moved.mean())
        toward = {"increases": mean, "decreases": -mean, "unchanged": 1.0}[self.prediction]
        obeys = {
            "increases": moved >= -self.tolerance,
            "decreases": moved <= self.tolerance,
            "unchanged": np.abs(moved) <= self.tolerance,
        }[self.prediction]
        share = float(obeys.mean())
        passed = toward > 0 and share >= self.share
        reason = (
            f"{share:.1%} of {len(moved)} rows obey ({self.prediction}), {self.share:.1%} must; "
            f"the mean change is {mean:.3g}"
        )
        verdict: Verdict = "passed" if passed else "rejected"
        return Finding(verdict, reason, self.column, share, threshold=self.share)
