"""Leakage: columns that know the target, and preprocessing that knew the holdout."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from ...contract import Contract
from ...data import prepared
from ...data.association import auc, linear
from ...data.leakage import MOST_ROWS, Candidate, leaks
from ...evaluation.suspicion import too_good
from ...features.encoding import grouped
from ..case import Array, Case
from ..rule import Finding, Rule

EXACT = 1e-6
FILLED = 0.01  # share of rows with the same value, from which on it may have been filled in
DISTINCT = 100  # a coarse number may be its own mean by luck
Power = tuple[float, float]


class Leakage(Rule, frozen=True, kw_only=True):
    """Look for columns that give the target away, and for preprocessing that knew the holdout.

    What alone tells the target of the training rows is rejected, as `mlops adopt` would leave it
    out. So is a column that tells more of the target in training than in the holdout by more
    than `gap` (in AUC or correlation) and than chance allows: that is how target encoding and
    its like look. So is a number that is standardised, or filled with a mean, exactly over both
    sides together and not over training alone. `allow` names columns that are known to be sound. A
    number may follow the time of the split. A score too good to be true is said, and passes.

    It cannot see leaks that hold on both sides alike and are not near perfect (a value from after
    the moment of prediction), statistics over rows that came later, and ranks or medians taken
    over both sides.
    """

    source: ClassVar[str] = "Kaufman et al., Leakage in data mining, ACM TKDD 6(4), 2012"
    allow: list[str]
    gap: float

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for each suspicious column, or one that passes."""
        encoder, task = case.candidate.bundle.encoder, case.settings.data.task
        target = prepared.target(case.train_columns, case.settings.data)
        if not len(target) or not len(case.target):
            return [Finding("rejected", "there are no training rows or no holdout rows")]
        step = -(-len(target) // MOST_ROWS)
        rows = {name: case.train_columns[name][::step] for name in encoder.inputs}
        train = encoder.matrix(rows).astype(np.float64)
        other = -(-len(case.target) // MOST_ROWS)
        holdout = case.matrix[::other].astype(np.float64)
        trend = _along_time(case)
        every = grouped(encoder.names, case.settings.features.derived)
        features = {name: places for name, places in every.items() if name not in self.allow}
        place = {encoder.names[at]: at for places in features.values() for at in places}
        following = {encoder.names[at] for name in trend & set(features) for at in features[name]}
        ordered = {name: at not in encoder.categorical for name, at in place.items()}
        candidates = {
            n: Candidate(n, train[:, at], ordered[n])
            for n, at in place.items()
            if n not in following
        }
        found = [
            Finding("rejected", f"{name} {said}", name)
            for name, said in leaks(candidates, target[::step], task != "regression").items()
        ]
        numeric = {n: at for n, at in place.items() if ordered[n] and n not in following}
        for name, at in numeric.items():
            labels = len(case.settings.data.labels)
            before = powers(train[:, at], target[::step], labels)
            now = powers(holdout[:, at], case.target[::other], labels)
            found += self._gap(name, before, now, len(numeric), case.confidence)
        found += [
            Finding("rejected", f"{name} {said}", name)
            for name, said in _prepared_together(case, self.allow)
        ]
        said = f"none of {len(features)} columns gives the target away or knew the holdout"
        if doubts := too_good(task, case.target, case.candidate.predictions):
            said = "; but ".join([said, *doubts])
        return found or [Finding("passed", said)]

    def _gap(
        self, name: str, train: list[Power], holdout: list[Power], columns: int, confidence: float
    ) -> Iterator[Finding]:
        """Yield a finding where the column is so much stronger in training (Bonferroni)."""
        tests = columns * max(1, len(train))
        factor = NormalDist().inv_cdf(1 - (1 - confidence) / tests)
        for (before, error), (now, other) in zip(train, holdout, strict=True):
            limit = max(self.gap, factor * float(np.hypot(error, other)))
            if now and before - now > limit:
                reason = (
                    f"{name} alone has {before:.3f} in training and {now:.3f} in the holdout: it "
                    "may have been computed from the target, like a target encoding"
                )
                yield Finding("rejected", reason, name, before - now, threshold=limit)
                return


def _along_time(case: Case) -> set[str]:
    """Return the features that tell of the time column alone: a number may follow the time."""
    data, split = case.settings.data, case.settings.split
    if data.task != "regression" or split.method != "time":
        return set()
    derived = case.settings.features.derived
    return {name for name, one in derived.items() if one.columns == [data.time]}


def powers(values: Array, target: Array, labels: int) -> list[Power]:
    """Return the AUC of each class against the rest, or |correlation|, each with its error.

    0 where too few rows tell. The error is that of a column without power, the largest there is.
    """
    if not labels:
        return [(float(np.sqrt(linear(values, target))), float(len(target) ** -0.5))]
    found = []
    for label in range(1 if labels == 2 else 0, labels):
        ones = int((target == label).sum())
        zeros = len(target) - ones
        error = np.sqrt((ones + zeros + 1) / (12 * max(1, ones) * max(1, zeros)))
        found.append((auc(values, (target == label).astype(np.int64)), float(error)))
    return found


def _prepared_together(case: Case, allow: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the numbers whose mean or filling is exact over both sides, and not over training."""
    for name in _numbers(case.settings.data, allow):
        train = case.train_columns[name][~np.isnan(case.train_columns[name])]
        holdout = case.columns[name][~np.isnan(case.columns[name])]
        if min(len(train), len(holdout)) < 2:
            continue
        both = np.concatenate([train, holdout])
        if _standardised(both) and not _standardised(train):
            yield name, "has mean 0 and deviation 1 over training and holdout together"
        elif (value := _filling(both)) is not None and not _is_mean(train, value):
            yield name, f"was filled with {value:.6g}, the mean over training and holdout together"


def _numbers(contract: Contract, allow: list[str]) -> Iterator[str]:
    for name, column in contract.kept():
        if "feature" in column.roles and column.type == "number" and name not in allow:
            yield name


def _standardised(values: Array) -> bool:
    centred = abs(values.mean()) < EXACT
    return bool(centred and min(abs(values.std() - 1), abs(values.std(ddof=1) - 1)) < EXACT)


def _filling(values: Array) -> float | None:
    """Return the value that stands in many rows and is the mean of all others."""
    different, counts = np.unique(values, return_counts=True)
    value = float(different[counts.argmax()])
    if counts.max() < FILLED * len(values) or len(different) < DISTINCT:
        return None
    return value if _is_mean(values, value) else None


def _is_mean(values: Array, value: float) -> bool:
    others = values[values != value]
    if not len(others):
        return False
    return bool(abs(others.mean() - value) <= EXACT * max(1e-12, float(others.std())))
