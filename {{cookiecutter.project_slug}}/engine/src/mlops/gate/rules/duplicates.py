"""Duplicates: holdout rows that the model has seen in training."""

from statistics import NormalDist
from typing import ClassVar

import numpy as np

from ...data.hashing import row_hash
from ...data.prepared import row_hashes, table
from ..case import Case
from ..rule import Finding, Rule


class Duplicates(Rule, frozen=True, kw_only=True):
    """Check that holdout rows have no more twins in training than chance gives them.

    A twin has equal values in every column that the features are computed from. How many rows
    have one by chance is seen among the training rows: those with a twin that has another key,
    as the split draws keys. Rejected where the share of holdout rows with a twin exceeds that
    by more than `at_most` and by more than chance allows; equal rows count as one draw there.
    With few or coarse columns most rows have twins, and copies cannot be told from them: the
    share by chance is stated.
    """

    source: ClassVar[str] = "Barz and Denzler, Do we train on test data?, J. Imaging 6(6), 2020"
    at_most: float

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding."""
        names = case.candidate.bundle.encoder.inputs
        train = row_hash(table(case.train, names), names, "twins")
        holdout = row_hash(table(case.holdout, names), names, "twins")
        if not len(train) or not len(holdout):
            return [Finding("rejected", "there are no training rows or no holdout rows")]
        twins, usual = np.isin(holdout, train), _twins(train, row_hashes(case.train))
        chance = float(usual.mean())
        excess = float(twins.mean()) - chance
        deviation = np.sqrt(_variance(holdout, twins) + _variance(train, usual))
        luck = float(NormalDist().inv_cdf(case.confidence) * deviation)
        limit = max(self.at_most, luck)
        passed = excess <= limit
        reason = (
            f"{int(twins.sum())} of {len(holdout)} holdout rows ({twins.mean():.2%}) have a twin "
            f"in training, {chance:.2%} would by chance: "
            f"{'no more than' if passed else 'above'} {limit:.2%} over it"
        )
        return [Finding("passed" if passed else "rejected", reason, "", excess, threshold=limit)]


def _twins(hashes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the mask of the rows with a twin that has another key."""
    _, value, everywhere = np.unique(hashes, return_inverse=True, return_counts=True)
    known, key = np.unique(keys, return_inverse=True)
    _, pair, within = np.unique(value * len(known) + key, return_inverse=True, return_counts=True)
    return everywhere[value] > within[pair]


def _variance(hashes: np.ndarray, twins: np.ndarray) -> float:
    """Return the variance of the share of twins, equal rows being one draw.

    Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73,
    1986: the sandwich estimator of a mean.
    """
    _, value = np.unique(hashes, return_inverse=True)
    return float(np.square(np.bincount(value, twins - twins.mean())).sum() / len(twins) ** 2)
