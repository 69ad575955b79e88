"""Your rules of the monitor, each a class; conf/monitoring names it in snake case, with settings.

`mlops monitor --explain answer_spread` shows what this one does; a policy asks for it by
`answer_spread: {at_least: 0.05}`. What a rule sees of the traffic is in engine/docs/monitoring.md.
"""

import math
from collections.abc import Sequence

from mlops.monitoring.case import Case
from mlops.monitoring.rule import Finding, Rule, unjudged


class AnswerSpread(Rule, frozen=True, kw_only=True):
    """A week's answers vary by a standard deviation of `at_least`."""

    at_least: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Measure it on the last label's probability, or on the number, of all rows of the week."""
        counts = case.windows["week"].counts
        if counts.rows < case.settings.min_rows:
            return [unjudged("the week has too few rows", window="week")]
        total, squares = counts.moments
        mean = total / counts.rows
        spread = math.sqrt(max(0.0, squares / counts.rows - mean**2))
        verdict = "note" if spread < self.at_least else "quiet"
        told = f"the standard deviation is {spread:.4g}, {self.at_least:g} or more is asked for"
        return [
            Finding(verdict, told, value=spread, threshold=self.at_least, window="week", weight=1.0)
        ]
