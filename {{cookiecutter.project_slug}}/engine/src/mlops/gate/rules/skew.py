"""Skew between training and serving: what an online store would hold beside what was joined."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...config.views import View
from ...data import prepared
from ...data.arrays import plain, same
from ...views.online import names_persons
from .. import skew_files
from ..case import Case
from ..rederivation import RederivationError, fresh
from ..rule import Finding, Rule
from ..skew_files import MOMENT

PENDING = (
    "nobody has filled a store yet: `mlops gate --rederive` does, and so does the workflow `model`"
)
NONE = "the candidate reads no view with `online: true`: nothing is looked up"
PLACE = "skew"


class _Values(NamedTuple):
    """Values of some rows, and what they are beside, each with what a reader calls it."""

    one: pa.Table
    other: pa.Table
    rows: np.ndarray
    said: tuple[str, str]


class Skew(Rule, frozen=True, kw_only=True):
    """Fill an online store as of several moments: it has to hold what the join gave, to the bit.

    Of `rows` of the holdout, drawn by the seed, `moments` of their times are drawn as well. The
    code of HEAD joins these rows anew, and fills a store of SQLite with the views of HEAD's tables
    as of each moment, one after the other. The rows' values have to be those that were judged, and
    what a server would decode for their entities what the join says of that moment. After `minutes`
    it is rejected. Where nobody asked for it (`mlops gate --rederive`), it is pending.

    It sees values that depend on the batch they are computed in, on a clock or on chance, and
    what the contract reads otherwise than it is stored.
    """

    source: ClassVar[str] = "Breck et al., The ML Test Score, IEEE Big Data 2017, Monitor 3"
    rows: int
    moments: int
    minutes: float

    @classmethod
    def applies(cls) -> str:
        """Return when it applies."""
        return "It does not apply to a candidate that reads no view with `online: true`."

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for each feature that differs, or one that passes."""
        read = set(case.candidate.bundle.encoder.inputs)
        views = {
            name: view
            for view in skew_files.online(case.settings)
            for name in view.features
            if name in read
        }
        if not views:
            return [Finding("not applicable", NONE)]
        if not case.rederive:
            return [Finding("pending", PENDING)]
        sample = self._sample(case, views)
        if not len(sample):
            return [Finding("rejected", "there are no holdout rows with a time to look at")]
        tables = sorted({view.table.folder for view in views.values()})
        try:
            with fresh(case.repository, tables, self.minutes, "skew") as (commit, folder, run):
                place = folder / PLACE
                place.mkdir()
                moments = self._moments(case, sample, place)
                run("resolve", "mlops.cli", "resolve")
                run("online values", "mlops.gate.skew_process", PLACE)
                pairs = [*_pairs(place, sample, moments, str(case.settings.data.time))]
                found = [*_differing(case, views, pairs)]
        except RederivationError as error:
            return [Finding("rejected", str(error), error.part)]
        said = (
            f"{len(views)} features of {len(sample):,} holdout rows have the same bits joined, "
            f"judged and in a store, as of {len(moments)} moments, by the code of {commit[:12]}"
        )
        return found or [Finding("passed", said)]

    def _sample(self, case: Case, views: Mapping[str, View]) -> pa.Table:
        """Return the entities, times and features of some holdout rows with a time."""
        time = str(case.settings.data.time)
        keys = (name for view in views.values() for name in view.entity.values())
        whole = prepared.table(case.holdout, list(dict.fromkeys([*keys, time, *views])))
        places = np.flatnonzero(whole.column(time).is_valid().to_numpy())
        draw = np.random.default_rng(case.seed)
        chosen = draw.choice(places, min(self.rows, len(places)), replace=False)
        return whole.take(pa.array(np.sort(chosen)))

    def _moments(self, case: Case, sample: pa.Table, place: Path) -> np.ndarray:
        """Leave to the process what it is asked for; return the moments, the earliest first."""
        times = np.unique(_times(sample, str(case.settings.data.time)))
        draw = np.random.default_rng([case.seed, 1])
        moments = np.sort(draw.choice(times, min(self.moments, len(times)), replace=False))
        pq.write_table(sample, place / skew_files.ROWS)
        np.save(place / skew_files.MOMENTS, moments)
        return moments


def _pairs(place: Path, sample: pa.Table, moments: np.ndarray, time: str) -> Iterator[_Values]:
    """Yield what has to be the same; raises RederivationError where the process left none of it."""
    every, times = np.arange(len(sample)), _times(sample, time)
    try:
        for number, moment in enumerate(moments):
            served = _read(place / skew_files.served(number), len(sample))
            joined = _read(place / skew_files.joined(number), len(sample))
            here = np.flatnonzero(times == moment)
            yield _Values(served, sample, here, ("in the store", "judged"))
            yield _Values(served, joined, every, ("in the store", "joined"))
        own = _read(place / skew_files.OWN, len(sample))
        yield _Values(own, sample, every, ("joined anew", "judged"))
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = "the code of HEAD left no values to compare: bring its engine/ up to date"
        raise RederivationError("online values", reason) from error


def _read(path: Path, rows: int) -> pa.Table:
    found = pq.read_table(path)
    if len(found) != rows:
        raise ValueError(f"{len(found)} rows in place of {rows}")
    return found


def _differing(case: Case, views: Mapping[str, View], pairs: list[_Values]) -> Iterator[Finding]:
    """Yield a finding for each feature of which a value differs, with how many and the first."""
    contract = case.settings.data
    for name, view in views.items():
        example, differing = "", set[int]()
        for pair in pairs:
            if name not in pair.one.column_names:
                raise RederivationError("online values", f"the code of HEAD computes no {name}")
            one, other = (table.column(name).take(pa.array(pair.rows)) for table in pair[:2])
            wrong = np.flatnonzero(~same(one, other))
            if len(wrong) and not example:
                example = "not shown, as personal data"
                if not contract.is_private(name) and not names_persons(view, contract):
                    first = (repr(side[int(wrong[0])].as_py()) for side in (one, other))
                    example = ", ".join(f"{a} {b}" for a, b in zip(first, pair.said, strict=True))
            differing |= set(pair.rows[wrong].tolist())
        if differing:
            yield Finding(
                "rejected",
                f"{name} of the view {view.name} differs in {len(differing):,} of "
                f"{len(pairs[0].other):,} rows ({example}): have it computed of each entity's rows "
                "alone, without a clock or chance, and read as it is stored",
                name,
                float(len(differing)),
                threshold=0.0,
            )


def _times(rows: pa.Table, time: str) -> np.ndarray:
    return plain(rows.column(time).cast(pa.timestamp("us")), MOMENT, "NaT")
