"""Whether small changes of the input make small changes of the prediction."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..case import Case
from ..rule import Finding, Rule, compared

Columns = dict[str, NDArray[Any]]
GAPS = {"M": np.datetime64("NaT"), "O": None}  # a missing datetime, a missing text


class Stability(Rule, frozen=True, kw_only=True):
    """Predictions stay put when numbers are jittered a little, and when values go missing.

    `noise` is a share of each number's standard deviation, kept inside the contract's bounds;
    `missing` the share of the values of nullable columns that are taken away. The figure is the
    mean absolute change of a probability (several classes: half the sum over classes), or for a
    number as a share of the predictions' standard deviation, on at most `rows` rows.
    """

    source: ClassVar[str] = (
        'Hendrycks and Dietterich, "Benchmarking neural network robustness to common '
        'corruptions and perturbations", ICLR 2019'
    )

    noise: float
    noise_at_most: float
    missing: float
    missing_at_most: float
    rows: int

    def __post_init__(self) -> None:
        if not (0 < self.noise < math.inf and 0 < self.missing <= 1) or self.rows < 1:
            raise ValueError("`noise` is above 0, `missing` a share up to 1, `rows` 1 or more")
        if not all(0 <= x < math.inf for x in (self.noise_at_most, self.missing_at_most)):
            raise ValueError("`noise_at_most` and `missing_at_most` are finite and 0 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Predict the same rows three times: as they are, jittered, and with gaps."""
        generator = np.random.default_rng(case.seed)
        bundle = case.candidate.bundle
        count = len(case.target)
        chosen = np.sort(generator.choice(count, min(count, self.rows), replace=False))
        columns = {name: case.columns[name][chosen] for name in bundle.encoder.inputs}
        return [
            self._finding(case, chosen, self._jittered(case, columns, generator), "noise"),
            self._finding(case, chosen, self._gappy(case, columns, generator), "missing"),
        ]

    def _jittered(self, case: Case, columns: Columns, generator: np.random.Generator) -> Columns:
        """Return the number columns with noise."""
        changed = {}
        for name, values in columns.items():
            column = case.candidate.bundle.contract.columns[name]
            spread = np.isfinite(values).any() if values.dtype.kind == "f" else False
            if column.type in ("number", "integer") and spread:
                step = self.noise * np.nanstd(case.columns[name])
                noisy = values + step * generator.normal(size=len(values))
                changed[name] = np.clip(noisy, column.min, column.max)
        return changed

    def _gappy(self, case: Case, columns: Columns, generator: np.random.Generator) -> Columns:
        """Return the nullable columns with values taken away."""
        changed = {}
        for name, values in columns.items():
            if case.candidate.bundle.contract.columns[name].nullable:
                gap: Any = GAPS.get(values.dtype.kind, np.nan)
                changed[name] = np.where(generator.random(len(values)) < self.missing, gap, values)
        return changed

    def _finding(
        self, case: Case, chosen: NDArray[np.intp], changed: Columns, part: str
    ) -> Finding:
        limit = self.noise_at_most if part == "noise" else self.missing_at_most
        if not changed:
            reason = "no feature is a number" if part == "noise" else "no feature may be missing"
            return Finding("not applicable", reason, part)
        bundle = case.candidate.bundle
        columns = {name: case.columns[name][chosen] for name in bundle.encoder.inputs} | changed
        after = bundle.answer(columns)
        size = _change(case, case.candidate.predictions[chosen], after)
        return compared(size, limit, at_least=False, said=f"the change under {part}", part=part)


def _change(case: Case, before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    moved = np.abs(after - before)
    match case.settings.data.task:
        case "binary":
            return float(moved.mean())
        case "multiclass":
            return float(moved.sum(axis=1).mean() / 2)
        case "regression":
            spread = float(case.candidate.predictions.std())
            return float(moved.mean()) / spread if spread else math.nan
