"""What the model's decisions are worth."""

import math
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...config.value import Value as Table
from ...evaluation.decision import worth
from ...metrics.arrays import Array, mean
from ...metrics.bootstrap import Estimate, estimate
from ...metrics.catalogue import prepare
from ...metrics.decisions import best_threshold
from ...runtime.expectation import Expected
from ..case import Case, Judged
from ..resampling import Sides, bounded, draws, level
from ..rule import Finding, Rule


class Outcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one row brings (negative: costs) for each outcome of a decision."""

    true_positive: float
    false_positive: float
    true_negative: float
    false_negative: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, msgspec.structs.astuple(self))):
            raise ValueError("the outcomes are finite numbers")

    def gains(self, target: NDArray[Any]) -> tuple[Array, Array]:
        """Return what each row brings when it is taken for positive, and for negative."""
        return (
            np.where(target == 1, self.true_positive, self.false_positive),
            np.where(target == 1, self.false_negative, self.true_negative),
        )


class Value(Rule, frozen=True, kw_only=True):
    """The decisions bring enough money a row, and not less than the champion's by a margin.

    With a `table`, as evaluation.value has one, rows are decided as each bundle decides them when
    it serves; of more than two labels, by this table and the bundle's probabilities. With
    `outcomes` in its place, each half of the holdout is decided by the threshold that is best on
    the other half, so the figure is not flattered by its own choice; both models get theirs.
    Thresholds are kept while rows are resampled. `margin` is what a row may bring less than with
    the champion, by the lower end of the paired bootstrap interval.
    """

    source: ClassVar[str] = 'Elkan, "The foundations of cost-sensitive learning", IJCAI 2001'

    sides: Sides
    outcomes: Outcomes | None = None
    currency: str = ""
    table: Table | None = None
    at_least: float | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        given = [limit for limit in (self.at_least, self.margin) if limit is not None]
        if not given or not all(map(math.isfinite, given)) or (self.margin or 0) < 0:
            raise ValueError("give `at_least` or `margin` as finite numbers, `margin` 0 or more")
        if [self.table is None] * 2 != [self.outcomes is not None, bool(self.currency)]:
            raise ValueError("give `outcomes` and their `currency`, or a `table`, which has one")

    def judge(self, case: Case) -> list[Finding]:
        """Compare with the floor, and with the champion on the same rows."""
        if unfit := self._unfit(case):
            return [unfit]
        mine, limits = self._gained(case, case.candidate)
        at = "thresholds " + " and ".join(f"{limit:.3g}" for limit in limits)
        at = at if limits else "actions of the greatest expected worth"
        currency = self.table.currency if self.table else self.currency
        found = []
        if self.at_least is not None:
            said = f"what a row brings in {currency} ({at})"
            brought = _estimated(case, mine, "two")
            found.append(bounded(brought, self.at_least, said, "candidate", by="value"))
        if self.margin is not None and case.champion is not None:
            theirs, _ = self._gained(case, case.champion)
            said = (
                f"a row brings {mine.mean():.4g} {currency} against {theirs.mean():.4g} "
                f"({at}): what it gains"
            )
            paired = _estimated(case, mine - theirs, self.sides)
            found.append(bounded(paired, -self.margin, said, "champion"))
        return found or [Finding("not applicable", "there is no champion yet")]

    def _unfit(self, case: Case) -> Finding | None:
        """Return what to say where these outcomes or this table are of another target."""
        contract = case.settings.data
        if contract.task == "binary" or (contract.task == "multiclass" and self.table):
            if self.table is None:
                return None
            try:
                self.table.check(contract, 1)
            except ValueError as error:
                reason = f"{error}: the `table` of the rule value has to fit, in conf/gate"
                return Finding("rejected", reason)
            return None
        return Finding("not applicable", "the outcomes are those of a binary decision")

    def _gained(self, case: Case, judged: Judged) -> tuple[Array, list[float]]:
        """Return what each row brings, and the thresholds by which they are decided."""
        predictions = judged.predictions
        if self.table is not None and case.settings.data.task == "multiclass":
            expected = Expected.of(self.table, case.settings.data)
            return expected.earned(expected.codes(predictions), case.target), []
        prepare("binary", case.target, predictions)
        if self.table is not None:
            brings = worth(self.table, case.settings.data, case.target, case.columns)
            limit = judged.bundle.settings.evaluation.threshold
            return brings.of(predictions > limit), [limit]
        assert self.outcomes is not None
        gained, limits, second = np.empty(len(case.target)), [], _halves(case)
        positive, negative = self.outcomes.gains(case.target)
        for half in (~second, second):
            limit = best_threshold(predictions[~half], positive[~half], negative[~half])
            taken = predictions[half] >= limit
            gained[half] = np.where(taken, positive[half], negative[half])
            limits.append(limit)
        return gained, limits


def _halves(case: Case) -> NDArray[np.bool_]:
    """Return which rows are in the second half; a unit is never divided."""
    units = next(iter(case.units.codes), np.arange(len(case.target)))
    count = int(units.max(initial=-1)) + 1
    if count < 2:
        raise ValueError("one row or none cannot be halved")
    second = np.random.default_rng(case.seed).permutation(count) < count // 2
    return second[units]


def _estimated(case: Case, gained: Array, sides: Sides) -> Estimate:
    def brought(weights: Array) -> Array:
        return mean(weights, gained)[:, None]

    return estimate(float(gained.mean()), draws(case, brought).ravel(), level(case, sides))
