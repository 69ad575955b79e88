"""Whether answers turned out to be as good as they were on the holdout."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import ClassVar, NamedTuple

import numpy as np

from ...bundle.losses import Outcomes
from ..case import Case
from ..rule import Finding, Kind, Rule, unjudged
from ..statistics import ever, half_width
from .quality import percent

STARTS = 13  # weeks from which a sequence is begun again, so that a change is not outweighed


class Mean(NamedTuple):
    """A mean loss over rows, and the variance of one row's."""

    rows: float
    value: float
    variance: float


class Performance(Rule, frozen=True, kw_only=True):
    """The mean `loss` of mature outcomes is at most `margin` (a share of it) above the holdout's.

    Judged overall and for each slice of `min_rows`, by a confidence sequence that holds however
    often one looks. It is begun anew every week, and the chances are corrected for that.
    """

    kind: ClassVar[Kind] = "performance"
    family: ClassVar[str] = "outcomes"
    source: ClassVar[str] = (
        "Waudby-Smith et al., Time-uniform central limit theory, Annals of Statistics 52, 2024"
    )
    loss: str
    margin: float
    min_rows: int

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for all rows and for each slice."""
        if not any(day.losses for day in case.mature.values()):
            days = case.settings.maturity_days
            return [unjudged(f"no outcome is known of answers that are {days} days old")]
        known = case.reference.outcomes.losses
        if self.loss not in known.get("", {}):
            losses = ", ".join(known.get("", {})) or "none at all"
            return [unjudged(f"the holdout has no {self.loss}: choose from {losses}")]
        groups = {*known, *(group for day in case.mature.values() for group in day.losses)}
        return [self._group(case, group) for group in sorted(groups)]

    def _group(self, case: Case, group: str) -> Finding:
        reference = mean(case.reference.outcomes, group, self.loss)
        if reference is None or reference.rows < self.min_rows:
            return unjudged(f"the holdout has fewer than {self.min_rows} rows of it", group)
        limit = reference.value * (1 + self.margin)
        found = [
            (p, -start.toordinal(), one)
            for start, one in since(case.mature, group, self.loss)
            if one.rows >= self.min_rows
            for p in [self._chance(case, one, reference, limit)]
        ]
        if not found:
            return unjudged(f"fewer than {self.min_rows} outcomes are mature", group)
        p, day, worst = min(found)
        first = date.fromordinal(-day)
        told = (
            f"{self.loss} is {worst.value:.4g} over {worst.rows:,.0f} outcomes since {first}, "
            f"{reference.value:.4g} on the holdout"
        )
        error = math.sqrt(worst.variance / worst.rows)
        return Finding(
            "alert",
            told,
            group,
            worst.value,
            worst.value - 2 * error,
            worst.value + 2 * error,
            limit,
            "outcomes",
            min(1.0, p * len(found)),
            worst.value / max(reference.value, 1e-12),
        )

    def _chance(self, case: Case, now: Mean, reference: Mean, limit: float) -> float:
        scale = (1 + self.margin) ** 2
        variance = now.variance + now.rows * scale * reference.variance / reference.rows
        # What the sequence is tightest at must not hang on what is judged: the holdout's rows.
        return ever(now.rows, now.value - limit, variance, reference.rows, case.settings.alpha)


class Calibration(Rule, frozen=True, kw_only=True):
    """What was predicted is on the mean at most `least` from what came, over four mature weeks.

    Of a regression it is a share of the standard deviation of what came.
    """

    kind: ClassVar[Kind] = "performance"
    family: ClassVar[str] = "outcomes"
    least: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each output."""
        recent = _recent(case, 28)
        total = sum(recent, Outcomes())
        found = []
        for cells, known in zip(case.layout.outputs, total.calibration, strict=False):
            rows, said, came = (float(each) for each in np.sum(np.array(known), axis=0))
            if rows < case.settings.min_rows or not case.bundle.contract.labels:
                continue
            gap = (came - said) / rows
            # What would come if all of the gap but `least` were chance (a score test): none of few
            # rows that came true say little of a rare label.
            usual = min(1.0, max(0.0, said / rows + math.copysign(self.least, gap)))
            spread = math.sqrt(max(1e-12, usual * (1 - usual)) / rows)
            z = (abs(gap) - self.least) / spread
            told = f"{percent(came, rows)} came true and {percent(said, rows)} was predicted"
            p = 0.5 * math.erfc(z / math.sqrt(2))
            found.append(
                Finding(
                    "note",
                    told,
                    cells.name,
                    gap,
                    threshold=self.least,
                    window="outcomes",
                    p=p,
                    weight=abs(gap) / self.least,
                )
            )
        if not case.bundle.contract.labels:
            return [Finding("quiet", "a regression's bias is part of its loss")]
        return found or [unjudged("too few outcomes are mature")]


class EstimatedPerformance(Rule, frozen=True, kw_only=True):
    """What the loss of a week's answers would be if they were as true as those of the holdout.

    It knows no change of the relation between features and target, where it may rise while the
    truth falls: a hint, and never an alert.
    """

    kind: ClassVar[Kind] = "estimate"
    source: ClassVar[str] = (
        "confidence-based performance estimation: Garg et al., Leveraging unlabeled data, ICLR 2022"
    )
    margin: float

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return one finding, for classes."""
        if not case.bundle.contract.labels:
            return [unjudged("a regression's answers do not tell how sure they are")]
        window = case.windows["week"]
        if window.counts.rows < case.settings.min_rows:
            return [unjudged("the week has too few rows", window="week")]
        now = expected(case, window.counts.outputs)
        was = expected(case, case.reference.held.outputs)
        if now is None or was is None or was == 0:
            return [unjudged("the bundle does not tell how its answers turned out")]
        told = (
            f"a log loss of {now:.4g} is expected of the week's answers, {was:.4g} of the holdout's"
        )
        verdict = "note" if now > was * (1 + self.margin) else "quiet"
        return [
            Finding(
                verdict,
                told,
                value=now,
                threshold=was * (1 + self.margin),
                window="week",
                weight=now / was,
            )
        ]


def expected(case: Case, outputs: Sequence[int]) -> float | None:
    """Return the log loss that answers in those cells have if the holdout's rates hold in them."""
    total, rows = 0.0, 0.0
    each_output = case.layout.split_outputs(outputs)
    for (_, counted), known in zip(each_output, case.reference.outcomes.calibration, strict=False):
        had, said, came = np.array(known, dtype=float).T
        used = had > 0
        rate, given = came[used] / had[used], np.clip(said[used] / had[used], 1e-6, 1 - 1e-6)
        each = -(rate * np.log(given))
        if len(case.layout.outputs) == 1:
            each -= (1 - rate) * np.log(1 - given)
        total += float((counted[used] * each).sum())
        rows = max(rows, float(counted[used].sum()))
    return total / rows if rows else None


def mean(known: Outcomes, group: str, loss: str) -> Mean | None:
    """Return the mean of a loss in a group of rows, where there are some."""
    if loss not in known.losses.get(group, {}):
        return None
    rows, total, squares = known.losses[group][loss]
    if rows < 2:
        return None
    value = total / rows
    return Mean(rows, value, max(0.0, (squares - rows * value**2) / (rows - 1)))


def since(mature: "dict[str, Outcomes]", group: str, loss: str) -> Iterator[tuple[date, Mean]]:
    """Yield the mean loss of all days from each start on: every week of the last, and the first."""
    days = sorted(mature)
    last = date.fromisoformat(days[-1])
    starts = {date.fromisoformat(days[0])}
    starts |= {last - timedelta(days=7 * week - 1) for week in range(1, STARTS + 1)}
    for start in sorted(starts):
        chosen = [mature[day] for day in days if day >= start.isoformat()]
        if start < date.fromisoformat(days[0]) or not chosen:
            continue
        if (found := mean(sum(chosen, Outcomes()), group, loss)) is not None:
            yield start, found


def _recent(case: Case, length: int) -> list[Outcomes]:
    days = sorted(case.mature)
    if not days:
        return []
    start = date.fromisoformat(days[-1]) - timedelta(days=length - 1)
    return [case.mature[day] for day in days if day >= start.isoformat()]


def sequence(case: Case, group: str, loss: str, alpha: float) -> Iterator[tuple[str, Mean, float]]:
    """Yield each mature day with the mean loss until then and half the width of its interval."""
    reference = mean(case.reference.outcomes, group, loss)
    total = Outcomes()
    for day in sorted(case.mature):
        total = total + case.mature[day]
        found = mean(total, group, loss)
        if found is None or reference is None or found.variance <= 0:
            continue
        yield day, found, half_width(found.rows, found.variance, reference.rows, alpha)
