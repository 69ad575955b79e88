"""Label quality: training labels that the columns contradict more than the holdout's."""

from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import ClassVar, NamedTuple

import numpy as np

from ...config.settings import Slices
from ...data import prepared
from ...data.fingerprints import in_order
from ...data.hashing import folds
from ...evaluation.slices import slices
from ...metrics.bootstrap import group_codes
from ..case import Array, Case
from ..crossfit import cross_fit
from ..labelling import Contradiction, contradictions, share, taken
from ..population import incomparable, known_rows
from ..rule import Finding, Rule, Verdict

POWER = 0.95
BLIND = 0.5  # a test that would not see half of the labels wrong says nothing


class Side(NamedTuple):
    """Rows of one side: where they stand in the file, and the hash of each row's key."""

    places: Array
    columns: dict[str, Array]
    target: Array
    hashes: Array


class LabelQuality(Rule, frozen=True, kw_only=True):
    """Look for wrong labels among the training rows, overall and in each slice.

    Models fitted out of fold on the training rows judge those rows and the holdout. How much
    more the training labels contradict them gives the share of wrong labels beyond those of the
    holdout, with its error. Rejected where that share is above `at_most`, by a one-sided test.
    Holdout rows that came after the champion are compared likewise with those it was measured
    on, with the tolerance `new_at_most`: drift looks like a few wrong labels. `significance` is
    shared by all rows, the slices together (Holm) and the new rows. At most `rows` rows of each
    side are looked at; slices of fewer than `min_rows` on a side are not.

    It cannot see labels that are wrong as often in training, holdout and the champion's rows,
    nor wrong in a way that the columns explain. With a split by time and drift it sees less.
    """

    source: ClassVar[str] = (
        "Northcutt, Jiang and Chuang, Confident learning, JAIR 70, 2021; Rao's score test; "
        "Holm, Scandinavian Journal of Statistics 6, 1979"
    )
    at_most: float
    new_at_most: float
    significance: float
    rows: int
    folds: int
    min_rows: int

    def __post_init__(self) -> None:
        if not 0 < self.significance < 0.5:
            raise ValueError("`significance` is a share between 0 and 0.5")
        if self.folds < 2 or self.min_rows < 2:
            raise ValueError("`folds` and `min_rows` must be 2 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for all rows, one for all slices, and one for each bad slice."""
        train = self._side(case, case.train_columns, prepared.row_hashes(case.train))
        holdout = self._side(case, case.columns, prepared.row_hashes(case.holdout))
        if min(len(train.target), len(holdout.target)) < self.min_rows:
            return [Finding("rejected", f"a side has fewer than {self.min_rows} rows to judge by")]
        scored = self._scored(case, train, holdout)
        clusters = group_codes(train.hashes), group_codes(holdout.hashes)
        overall = self._overall(*share(*scored, *clusters))
        limits = Slices(min_rows=self.min_rows)
        theirs = {part.name: part for part in slices(holdout.columns, case.settings.data, limits)}
        shares: dict[str, tuple[float, float]] = {}
        for part in slices(train.columns, case.settings.data, limits):
            shares[part.name] = np.nan, np.nan
            if part.judged and part.name in theirs and theirs[part.name].judged:
                mine, other = part.rows, theirs[part.name].rows
                shares[part.name] = share(
                    taken(scored[0], mine),
                    taken(scored[1], other),
                    group_codes(clusters[0][mine]),
                    group_codes(clusters[1][other]),
                )
        return [overall, *self._slices(shares), *self._new(case, holdout, scored[1], clusters[1])]

    def _side(self, case: Case, columns: Mapping[str, Array], hashes: Array) -> Side:
        """Return columns, target and row hashes of at most `rows` rows, drawn at random."""
        places = np.arange(len(hashes))
        if len(places) > self.rows:
            drawn = np.random.default_rng(case.seed).choice(len(places), self.rows, replace=False)
            places = np.sort(drawn)
        chosen = {name: values[places] for name, values in columns.items()}
        return Side(places, chosen, prepared.target(chosen, case.settings.data), hashes[places])

    def _scored(
        self, case: Case, train: Side, holdout: Side
    ) -> tuple[Contradiction, Contradiction]:
        encoder, contract = case.candidate.bundle.encoder, case.settings.data
        fits = cross_fit(
            contract.task,
            encoder.matrix(train.columns),
            train.target,
            folds(train.hashes, self.folds),
            encoder.matrix(holdout.columns),
            len(contract.labels),
            case.seed,
        )
        return contradictions(contract.task, fits, train.target, holdout.target, case.seed)

    def _new(
        self, case: Case, holdout: Side, scored: Contradiction, clusters: Array
    ) -> Iterator[Finding]:
        """Yield the finding for the rows that came after the champion, if there are enough."""
        if case.champion is None:
            return
        part, contract = "new rows", case.champion.bundle.contract
        if lost := incomparable(contract, case.settings.data):
            reason = f"without {', '.join(lost)}, new rows cannot be told from the champion's"
            yield Finding("not applicable", reason, part)
            return
        known = known_rows(case.champion.folder, case.champion.bundle.manifest)
        if known is None:
            yield Finding("rejected", "the champion's bundle does not tell its rows", part)
            return
        old = np.isin(in_order(case.holdout, contract)[holdout.places], known[:, 0])
        rows = np.flatnonzero(~old), np.flatnonzero(old)
        if min(map(len, rows)) < self.min_rows:
            reason = f"{len(rows[0])} of {len(old)} holdout rows are new: too few on a side"
            yield Finding("not applicable", reason, part)
            return
        new, before = (taken(scored, places) for places in rows)
        codes = (group_codes(clusters[places]) for places in rows)
        found = share(new, before, *codes)
        yield self._finding(part, *found, self._level, "the new rows", self.new_at_most)

    @property
    def _level(self) -> float:
        return self.significance / 3

    def _slices(self, shares: dict[str, tuple[float, float]]) -> list[Finding]:
        """Return a finding for each slice that Holm's test rejects, or one that passes."""
        told = {name: pair for name, pair in shares.items() if np.isfinite(pair).all()}
        chance = {name: _probability(*pair, self.at_most) for name, pair in told.items()}
        order = sorted(told, key=lambda name: chance[name])
        found = []
        for place, name in enumerate(order):
            level = self._level / (len(order) - place)
            if chance[name] > level:
                break
            found.append(self._finding(name, *told[name], level, name, self.at_most))
        said = f"{len(told)} slices looked at"
        if len(shares) > len(told):
            said += f", {len(shares) - len(told)} have too few rows or columns that tell nothing"
        return found or [Finding("passed", f"{said}: none has more wrong labels", "slices")]

    def _overall(self, value: float, error: float) -> Finding:
        """Return the finding for all rows; a test that could not see anything does not pass."""
        if np.isfinite(value) and self._visible(error, self._level, self.at_most) < BLIND:
            return self._finding("", value, error, self._level, "all rows", self.at_most)
        reason = (
            "the columns tell so little about the labels, or the rows are so few, that wrong "
            "labels would not show: add rows to data/raw, or take label_quality out of conf/gate"
        )
        return Finding("rejected", reason, threshold=self.at_most)

    def _visible(self, error: float, level: float, limit: float) -> float:
        """Return the share of wrong labels that is seen with a probability of POWER."""
        normal = NormalDist()
        return limit + (normal.inv_cdf(1 - level) + normal.inv_cdf(POWER)) * error

    def _finding(
        self, part: str, value: float, error: float, level: float, said: str, limit: float
    ) -> Finding:
        if not np.isfinite(value):
            return Finding("rejected", f"wrong labels of {said} would not show", part)
        rejected = _probability(value, error, limit) <= level
        reason = (
            f"{value:.1%} of the labels of {said} look wrong beyond those they are compared with, "
            f"{'significantly above' if rejected else 'not significantly above'} {limit:.1%} "
            f"(a share from {self._visible(error, level, limit):.1%} on would be seen)"
        )
        low = value - NormalDist().inv_cdf(1 - level) * error
        verdict: Verdict = "rejected" if rejected else "passed"
        return Finding(verdict, reason, part, value, low, threshold=limit)


def _probability(value: float, error: float, limit: float) -> float:
    """Return how likely so large a share is if the true one is `limit`."""
    if error <= 0:
        return float(value <= limit)
    return NormalDist().cdf(-(value - limit) / error)
