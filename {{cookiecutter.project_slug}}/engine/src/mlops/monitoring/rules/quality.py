"""Whether values are what they were: there, known, in range, and not the same one all the time."""

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from ...bundle.cells import Cells
from ...bundle.counting import HEAVY
from ..case import Case, Window
from ..rule import Finding, Kind, Rule, unjudged
from ..statistics import Between, above, auc, share, shift

DAILY = ("day", "week")
COMMON = 0.05  # share of the rows from which more of a value is drift, which another rule judges
DRIFTS = 0.05  # a change of AUC of the other values, from which a column is said to drift
Find = Callable[[Case, Window, Cells, np.ndarray, np.ndarray], "Finding | None"]


class _OfColumns(Rule, frozen=True, kw_only=True):
    """Base of rules that judge each feature by itself, in `windows`; `allow` names the known."""

    kind: ClassVar[Kind] = "quality"
    windows: ClassVar[Sequence[str]] = DAILY
    calendar: ClassVar[bool] = False
    least: float
    allow: tuple[str, ...] = ()

    def judge(self, case: Case) -> Sequence[Finding]:
        """Return a finding for each feature that the rule judges, of each of its windows."""
        return judged(case, self._found, self.allow, self.windows, self.calendar)

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding | None:
        raise NotImplementedError


class Missing(_OfColumns, frozen=True, kw_only=True):
    """A value is missing in at most `least` (a share of all rows) more than it was.

    `allow` names features of which that is known, and right as it is.
    """

    calendar: ClassVar[bool] = True

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding:
        had, has = (float(part[-1]) for part in (before, after))
        of = float(before.sum()), float(after.sum())
        told = (
            f"missing in {percent(has, of[1])} of the rows, {percent(had, of[0])} in the reference"
        )
        every = case.shared[cells.name]
        varied = Between(every.variance[-1], every.periods)
        test = share(had, of[0], has, of[1], self.least, window.weight, varied)
        up = test.effect > 0
        return Finding(
            "alert" if up else "note",
            told,
            cells.name,
            test.effect,
            threshold=self.least,
            window=window.name,
            p=test.p,
            weight=weight(case, cells.name, test.effect, self.least),
        )


class Unseen(_OfColumns, frozen=True, kw_only=True):
    """Labels that the contract does not declare are at most the share `least` of the rows.

    `allow` names features of which that is known, and right as it is.
    """

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding | None:
        if not cells.labels:
            return None
        rows, of = float(after[-2]), float(after.sum())
        usual = float(before[-2]) / max(1.0, float(before.sum()))
        told = f"{percent(rows, of)} of the rows have a label that the contract does not declare"
        return Finding(
            "alert",
            told,
            cells.name,
            rows / of - usual,
            threshold=self.least,
            window=window.name,
            p=above(rows, of, usual + self.least, window.weight),
        )


class Bounds(_OfColumns, frozen=True, kw_only=True):
    """At most the share `least` of the rows more than before lies beyond all that training saw.

    A unit that changes in some rows, or a decimal point that is lost, shows here first. Where the
    other values moved as well, the whole column drifts, which is noted. `allow` names features of
    which that is known, and right as it is.
    """

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding | None:
        if cells.labels:
            return None
        if not len(cells.edges):
            return unjudged("training saw no value of it", cells.name, window.name)
        if few := too_few(case, window, cells, after):
            return few
        rows, of = float(after[0] + after[-2]), float(after[:-1].sum())
        usual = float(before[0] + before[-2]) / max(1.0, float(before[:-1].sum()))
        side = "above" if after[-2] >= after[0] else "below"
        edge = cells.edges[-1] if side == "above" else cells.edges[0]
        told = (
            f"{percent(rows, of)} of the values lie beyond all that was seen, most {side} {edge:g}"
        )
        inside = np.arange(1, len(after) - 2)
        return Finding(
            "note" if drifts(before, after, inside) else "alert",
            told,
            cells.name,
            rows / of - usual,
            threshold=self.least,
            window=window.name,
            p=above(rows, of, usual + self.least, window.weight),
            weight=weight(case, cells.name, rows / of - usual, self.least),
        )


class HeaviestValue(_OfColumns, frozen=True, kw_only=True):
    """No value of a number stands in a share `least` of the rows more than it did.

    A sensor that is stuck repeats one value; a default that somebody fills in does, too. Where the
    other values moved as well, the column drifts, which is noted; a value that was common is
    feature_drift's.
    `allow` names features of which that is known, and right as it is.
    """

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding | None:
        if cells.labels:
            return None
        if few := too_few(case, window, cells, after, before):
            return few
        of = float(after[:-1].sum())
        now = window.counts.heaviest.get(cells.name, {})
        tests = []
        for value, rows in now.items():
            usual = self._usual(case, cells, value, rows, after)
            if usual > COMMON:
                continue
            p = above(float(rows), of, min(1.0, usual + self.least), window.weight)
            tests.append((p, -rows, value, rows, usual))
        if not tests:
            return Finding(
                "quiet", "no value is in many rows", cells.name, window=window.name, p=1.0
            )
        p, _, value, rows, usual = min(tests)
        told = f"{float(value):g} is {percent(rows, of)} of the values, {usual:.1%} at most before"
        at = int(cells.of(np.array([value], dtype=np.float32))[0])
        others = np.delete(np.arange(len(after) - 1), at)
        return Finding(
            "note" if drifts(before, after, others) else "alert",
            told,
            cells.name,
            rows / of - usual,
            threshold=self.least,
            window=window.name,
            p=min(1.0, p * len(tests)),
            weight=weight(case, cells.name, rows / of - usual, self.least),
        )

    def _usual(
        self,
        case: Case,
        cells: Cells,
        value: str,
        rows: int,
        after: np.ndarray,
    ) -> float:
        """Return the share that a value had, or would have beside as many of its neighbours.

        The rows of its cell that have another value tell how many a season brings of it.
        """
        before = case.seen[cells.name]
        known = case.reference.seen.heaviest.get(cells.name, {}).get(value, 0)
        at = int(cells.of(np.array([value], dtype=np.float32))[0])
        others, beside_now = float(before[at]) - known, max(0.0, float(after[at]) - rows)
        expected = known / others * beside_now if others > known / 10 else 0.0
        share = max(known, float(before[at]) if others <= known / 10 else 0.0) / before[:-1].sum()
        return max(HEAVY / 2, float(share), expected / float(after[:-1].sum()))


class Units(_OfColumns, frozen=True, kw_only=True):
    """The values of a whole column do not move within a day by `least` (a change of AUC, up to .5).

    So far in one day moves what is measured in another unit, or read from another column. `allow`
    names features of which that is known, and right as it is.
    """

    windows: ClassVar[Sequence[str]] = ("day",)

    def _found(
        self, case: Case, window: Window, cells: Cells, before: np.ndarray, after: np.ndarray
    ) -> Finding | None:
        if cells.labels:
            return None
        if few := too_few(case, window, cells, after, before):
            return few
        varied = case.moved[cells.name]
        test = shift(before[:-1], after[:-1], self.least, window.weight, varied)
        above_it = auc(before[:-1], after[:-1])
        told = f"a value of the day is above one of the reference with a chance of {above_it:.0%}"
        return Finding(
            "alert",
            told,
            cells.name,
            test.effect,
            threshold=self.least,
            window=window.name,
            p=test.p,
        )


def judged(
    case: Case,
    find: Find,
    allowed: Collection[str],
    windows: Sequence[str],
    calendar: bool,
) -> list[Finding]:
    """Return what is found of each feature in each window that has enough rows.

    `find` returns None for a feature of another kind than it judges. Of a feature that is `allowed`
    nothing is more than quiet; one that is none is told, since a name that is misspelt allows
    nothing. Features that tell the date are looked at where `calendar` says so.
    """
    least = case.settings.min_rows
    given = [case.windows[name] for name in windows]
    # Rows, whoever they are of: what is broken is broken for one subject, too.
    enough = [one for one in given if one.counts.rows >= least]
    if not enough:
        return [unjudged(f"the {given[-1].name} has fewer than {least} rows")]
    unknown = sorted(set(allowed) - {cells.name for cells in case.layout.features})
    found = [
        unjudged("`allow` names it, and it is no feature of the bundle: take it out there", name)
        for name in unknown
    ]
    for window in enough:
        for cells, before, after in case.pairs(window, calendar):
            if (finding := find(case, window, cells, before, after)) is None:
                continue
            if cells.name in allowed and finding.verdict != "not judged":
                finding = msgspec.structs.replace(finding, verdict="quiet", p=None)
            found.append(finding)
    return found or [Finding("quiet", "no feature is of the kind that this judges")]


def too_few(
    case: Case,
    window: Window,
    cells: Cells,
    after: np.ndarray,
    before: np.ndarray | None = None,
    known: int = -1,
) -> Finding | None:
    """Return that a feature is not judged where it has too few values, now or before.

    `known` is where the cells end that hold a value.
    """
    least = case.settings.min_rows
    sides = {f"the {window.name}": after, "the reference": before}
    for side, counted in sides.items():
        if counted is not None and (values := int(counted[:known].sum())) < least:
            told = f"{values:,} values in {side}, of {least} at least"
            return unjudged(told, cells.name, window.name)
    return None


def drifts(before: np.ndarray, after: np.ndarray, cells: np.ndarray) -> bool:
    """Say whether the values in some cells moved among themselves."""
    was, now = before[cells], after[cells]
    return bool(min(was.sum(), now.sum()) > 1 and abs(auc(was, now) - 0.5) > DRIFTS)


def percent(rows: float, of: float) -> str:
    """Return a share in words."""
    return f"{rows / of:.1%}" if of else "none"


def weight(case: Case, feature: str, effect: float, least: float) -> float:
    """Return how much a change matters: the model's reliance on it, times how far it went."""
    return (case.importance.get(feature, 0.0) + 0.001) * abs(effect) / max(least, 1e-9)
