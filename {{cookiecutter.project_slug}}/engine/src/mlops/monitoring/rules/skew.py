"""Whether a server computed with what the same definitions say offline."""

from collections.abc import Sequence
from typing import ClassVar

from ..case import Case
from ..rule import Finding, Kind, Rule, unjudged


class Skew(Rule, frozen=True, kw_only=True):
    """What was looked up online is to the bit what the views said then: at most `at_most` differs.

    `at_most` is a share of the values of a feature on a day. They are computed again from
    data/tables, as of when the store had them. `allow` names features of which that is known.
    """

    kind: ClassVar[Kind] = "quality"
    of_traffic: ClassVar[bool] = True  # where there are no views, it has not judged anything
    at_most: float
    allow: tuple[str, ...] = ()

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each feature that was looked up."""
        found = case.looked_up
        if found is None:
            return [Finding("quiet", "the bundle looks no feature up", window="day")]
        if found.reason:
            return [unjudged(found.reason, window="day")]
        judged = [self._of(name, *one) for name, one in found.features.items()]
        if found.unread:
            told = (
                f"{found.unread:,} rows name their entity by a hash of another key: set "
                "MLOPS_LOG_KEY to the servers' secret"
            )
            judged.append(unjudged(told, window="day"))
        return judged or [Finding("quiet", "no feature was looked up on the day", window="day")]

    def _of(self, name: str, rows: int, differing: int, example: str) -> Finding:
        share = differing / rows if rows else 0.0
        told = f"{differing:,} of {rows:,} values are not what the view said then"
        if example:
            told += f" ({example})"
        verdict = "alert" if share > self.at_most and name not in self.allow else "quiet"
        return Finding(verdict, told, name, share, threshold=self.at_most, window="day")
