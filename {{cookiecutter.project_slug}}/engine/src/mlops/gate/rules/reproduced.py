"""Whether the pinned inputs make the candidate: they are run again, and have to agree."""

import math
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...data import fingerprints
from ...data.splitting import TRAIN
from ...runtime.intervals import INTERVALS, IntervalError, parsed
from ...runtime.model import farthest
from .. import redecision
from ..case import Case
from ..rederivation import AGAIN, RederivationError, Rederived, rederived
from ..rule import Finding, Rule

PENDING = (
    "nobody has made it again yet: `mlops gate --rederive` does, and so does the workflow `model`"
)


class Reproduced(Rule, frozen=True, kw_only=True):
    """Make the model again from what HEAD pins, without any cache: it has to predict the same.

    Takes code, configuration and pointers out of git, the raw data that they name, and runs the
    stages up to the model in an empty folder. The prepared rows have to be those that were
    judged, and no prediction for the holdout may be farther away than `tolerance` (relative
    above 1), which is for other processors. Nor may intervals, or the decision of a value table and
    what that is said to be worth. After `minutes` it is rejected. Where nobody asked for it
    (`mlops gate --rederive`), it is pending, and what is pending is not released.
    """

    source: ClassVar[str] = "Reproducible Builds; SLSA v1.0, verified reproducible"
    tolerance: float
    minutes: float

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for the rows and one for the predictions, or why there is none."""
        if not case.rederive:
            return [Finding("pending", PENDING)]
        try:
            with rederived(case.repository, self.minutes) as made:
                found = [_rows(case, made), self._predictions(case, made)]
                found += self._intervals(case, made)
                return found + redecision.findings(case, made, self.tolerance)
        except RederivationError as error:
            return [Finding("rejected", str(error), error.part)]

    def _predictions(self, case: Case, made: Rederived) -> Finding:
        far = farthest(made.predictions, case.candidate.predictions, case.settings.data.task)
        part, inputs = "predictions", f"the inputs of {made.commit[:12]}"
        if math.isfinite(far) and far <= self.tolerance:
            reason = f"{inputs} make a model that predicts the same: at most {far:.2g} away"
            return Finding("passed", reason, part, far, threshold=self.tolerance)
        reason = (
            f"{inputs} make a model that predicts something else, up to {far:.2g} away: make the "
            f"candidate of them ({AGAIN}), with fixed seeds"
        )
        value = far if math.isfinite(far) else None
        return Finding("rejected", reason, part, value, threshold=self.tolerance)

    def _intervals(self, case: Case, made: Rederived) -> list[Finding]:
        """Compare the intervals, as far as predictions may be apart; nothing where none are."""
        contract, path = case.settings.data, case.candidate.folder / INTERVALS
        if contract.intervals is None and made.intervals is None:
            return []
        part, inputs = "intervals", f"the inputs of {made.commit[:12]}"
        one = parsed(path.read_bytes() if path.is_file() else None, contract)
        try:
            other = parsed(made.intervals, contract)
        except IntervalError:
            other = None
        far = math.inf if one is None or other is None else one.distance(other)
        # A width is off by as much as a prediction may be, where both are on the same scale.
        sizes = case.candidate.predictions if one and one.scale == "none" else np.empty(0)
        near = self.tolerance * float(np.abs(sizes).max(initial=1.0))
        if far <= near:
            reason = f"{inputs} make intervals that are as wide: at most {far:.2g} away"
            return [Finding("passed", reason, part, far, threshold=near)]
        reason = f"{inputs} make other intervals than the candidate's: {AGAIN}"
        return [Finding("rejected", reason, part)]


def _rows(case: Case, made: Rederived) -> Finding:
    """Compare every prepared row, with its target, in its place."""
    wrong = [
        "training" if role == TRAIN else role
        for role, path in case.sides.items()
        if not _same(path, made.prepared / path.name, case)
    ]
    if not wrong:
        return Finding("passed", f"{made.commit[:12]} prepares the rows that were judged", "rows")
    reason = (
        f"{made.commit[:12]} prepares other {' and '.join(wrong)} rows than those that were "
        f"judged: {AGAIN}"
    )
    return Finding("rejected", reason, "rows")


def _same(mine: Path, made: Path, case: Case) -> bool:
    contract = case.settings.data
    one, other = (fingerprints.in_order(path, contract) for path in (mine, made))
    return np.array_equal(one, other)
