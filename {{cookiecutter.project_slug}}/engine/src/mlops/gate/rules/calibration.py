"""Whether probabilities mean what they say."""

import math
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ...metrics import catalogue
from ...metrics.binary import Binary
from ...metrics.multiclass import Multiclass
from ..case import Case
from ..rule import Finding, Rule, compared


class Calibration(Rule, frozen=True, kw_only=True):
    """The calibration error, without what chance adds, and the Brier score have to be low.

    On few rows a perfectly calibrated model shows an expected calibration error (ECE) too: that
    of outcomes drawn from its own probabilities is subtracted before `ece_at_most` judges.
    """

    on_earlier_rows: ClassVar[bool] = True
    source: ClassVar[str] = (
        'Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian '
        'binning", AAAI 2015; Bröcker and Smith, "Increasing the reliability of reliability '
        'diagrams", Weather and Forecasting 22, 2007'
    )

    ece_at_most: float
    brier_at_most: float | None = None

    def __post_init__(self) -> None:
        limits = [self.ece_at_most, 0 if self.brier_at_most is None else self.brier_at_most]
        if not all(math.isfinite(limit) and limit >= 0 for limit in limits):
            raise ValueError("`ece_at_most` and `brier_at_most` are finite numbers of 0 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Measure both on the whole holdout."""
        task = case.settings.data.task
        if task == "regression":
            return [Finding("not applicable", "a regression has no probabilities")]
        rows = catalogue.prepare(task, case.target, case.candidate.predictions)
        assert isinstance(rows, Binary | Multiclass)
        weights = np.ones((1, len(case.target)))
        ece, brier = catalogue.values(rows, ["ece", "brier"], task, weights)[0].tolist()
        noise = chance(rows)
        said = f"ece {ece:.4g} without the {noise:.4g} that chance adds"
        found = [compared(ece - noise, self.ece_at_most, at_least=False, said=said, part="ece")]
        if self.brier_at_most is not None:
            found.append(
                compared(brier, self.brier_at_most, at_least=False, said="brier", part="brier")
            )
        return found


def chance(rows: Binary | Multiclass) -> float:
    """Return the ECE to expect of outcomes that are drawn from the probabilities themselves.

    The mean of |N(0, variance)| is sqrt(2 variance / pi), and a bin's gap is near normal.
    """
    sure = rows.probabilities if isinstance(rows, Binary) else rows.confidence
    variances = [float((sure[a:b] * (1 - sure[a:b])).sum()) for a, b in pairwise(rows.edges)]
    gaps = np.sqrt(np.array(variances) * 2 / np.pi)
    return float(gaps.sum() / len(sure)) if len(sure) else math.nan
