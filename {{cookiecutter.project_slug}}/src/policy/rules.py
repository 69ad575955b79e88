"""Your rules of the gate, each a class; conf/gate names it in snake case with its settings.

`mlops gate --explain spread` shows how a policy asks for this one: `spread: {at_least: 0.05}`.
What a rule sees of a candidate is in engine/docs/gate.md.
"""

from mlops.gate.case import Case
from mlops.gate.rule import Finding, Rule, compared


class Spread(Rule, frozen=True, kw_only=True):
    """Predictions vary over the holdout by a standard deviation of `at_least`."""

    at_least: float

    def judge(self, case: Case) -> list[Finding]:
        """Measure it on the holdout."""
        spread = float(case.candidate.predictions.std())
        return [compared(spread, self.at_least, at_least=True, said="the standard deviation")]
