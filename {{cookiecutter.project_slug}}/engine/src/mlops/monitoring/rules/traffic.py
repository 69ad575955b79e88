"""Whether rows come in, and as many as usual."""

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median
from typing import ClassVar

from scipy import stats

from ..case import Case
from ..rule import Finding, Kind, Rule, unjudged

WEEKS = 8


class Freshness(Rule, frozen=True, kw_only=True):
    """The log's last row is at most `days` old: a server that stopped recording is silent."""

    kind: ClassVar[Kind] = "quality"
    of_traffic: ClassVar[bool] = True
    days: int

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return one finding."""
        if not case.traffic:
            return [unjudged("the log has no rows", window="day")]
        last = max(case.traffic)
        age = (case.at - date.fromisoformat(last)).days
        told = f"the last row of the log is of {last}, {age} days before {case.at}"
        verdict = "alert" if age > self.days else "quiet"
        return [Finding(verdict, told, value=age, threshold=self.days, window="day")]


class Arrival(Rule, frozen=True, kw_only=True):
    """A day has at least the share `at_least` of the rows that are usual on its weekday.

    Usual is the median of the same weekday over eight weeks, of four at least. More than `at_most`
    times the usual is noted.
    """

    kind: ClassVar[Kind] = "quality"
    of_traffic: ClassVar[bool] = True
    at_least: float
    at_most: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return one finding."""
        before = [case.at - timedelta(days=7 * week) for week in range(1, WEEKS + 1)]
        first = min(case.traffic, default=case.at.isoformat())
        known = [case.traffic.get(day.isoformat(), 0) for day in before if day.isoformat() >= first]
        if len(known) < WEEKS // 2:
            return [unjudged("the log is younger than four weeks", window="day")]
        rows, usual = case.traffic.get(case.at.isoformat(), 0), median(known)
        if usual == 0:
            return [Finding("quiet", "no rows are usual on this weekday", window="day")]
        told = f"{rows:,} rows came on {case.at} and {usual:,.0f} are usual on its weekday"
        if rows > self.at_most * usual:
            chance = float(stats.poisson.sf(rows - 1, self.at_most * usual))
            return [
                Finding(
                    "note",
                    told,
                    value=rows / usual,
                    threshold=self.at_most,
                    p=chance,
                    window="day",
                    weight=1.0,
                )
            ]
        chance = float(stats.poisson.cdf(rows, self.at_least * usual))
        return [
            Finding(
                "alert", told, value=rows / usual, threshold=self.at_least, p=chance, window="day"
            )
        ]
