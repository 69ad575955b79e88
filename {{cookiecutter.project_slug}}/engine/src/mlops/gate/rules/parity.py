"""Parity: the model file answers as the model that was fitted, here as where it was made."""

import json
from typing import Any

from ...bundle.golden import ROWS
from ...bundle.reading import GOLDEN
from ...runtime.model import ABOUT
from .. import scoring
from ..case import Case
from ..rule import Finding, Rule, compared


class Parity(Rule, frozen=True, kw_only=True):
    """Check that the model file answers as the fitted model did, and its golden rows as recorded.

    Training records how far the file (ONNX or skops) is from scikit-learn on the whole holdout:
    the record must be there, of that holdout, finite and at most `at_most`, whatever tolerance
    training had. The golden rows are decoded as a client sends them and predicted again here.
    """

    at_most: float

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for the record and one for the golden rows."""
        return [self._recorded(case), self._golden(case)]

    def _recorded(self, case: Case) -> Finding:
        about = _read(case, ABOUT)
        record = about.get("parity") or {}
        difference, rows = record.get("difference"), record.get("rows")
        if isinstance(difference, bool) or not isinstance(difference, int | float):
            return Finding("rejected", f"{ABOUT} records no parity check", "recorded")
        expected = case.candidate.bundle.manifest["holdout"]["rows"]
        if not rows or rows != expected:
            reason = f"parity was checked on {rows} rows, and the holdout had {expected}"
            return Finding("rejected", reason, "recorded")
        said = f"the difference of {about['runtime']} from the fitted model on {rows} rows"
        return compared(difference, self.at_most, at_least=False, said=said, part="recorded")

    def _golden(self, case: Case) -> Finding:
        golden = _read(case, GOLDEN)
        wanted = min(ROWS, case.candidate.bundle.manifest["holdout"]["rows"])
        if len(golden) != wanted:
            reason = f"{GOLDEN} has {len(golden)} rows, not {wanted}"
            return Finding("rejected", reason, "golden rows")
        return scoring.golden(case.candidate)


def _read(case: Case, name: str) -> Any:
    return json.loads((case.candidate.folder / name).read_text(encoding="utf-8"))
