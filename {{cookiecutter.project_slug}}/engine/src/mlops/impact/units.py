"""The units of an experiment, as the log has them: whom each met, when, and what came of it."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from ..log_layout import stored
from ..monitoring.outcomes import outcomes
from ..rollout.declaration import Experiment, ExperimentError, Primary, lasting, utc

MEMORY = "320MB"  # of DuckDB; what is more spills into a temporary folder (TMPDIR)
ROLES = ("champion", "challenger")
TOLERANCE = 1e-9
BESIDE = ("champion", "shadow")  # where the challenger answers nobody


class NobodyError(ExperimentError):
    """No unit came to the two models yet."""


class Units(NamedTuple):
    """One entry for each unit that is old enough, and what was left out and why.

    `arm` is 1 for the challenger; `day` counts from the first on which a unit was judged. `y` is
    what is measured, `x` the same of the unit's own past, 0 (the mean) where it has none.
    `crossed` units met both models, `unknown` ones have no outcome yet (by arm), rows of no unit
    are `nameless`, `young` units are not old enough.
    """

    arm: np.ndarray
    day: np.ndarray
    y: np.ndarray
    x: np.ndarray
    slices: dict[str, np.ndarray]
    first_day: date
    met: np.ndarray  # units by the day on which they first came, of each arm (days, 2)
    crossed: int
    unknown: tuple[int, int]
    nameless: int
    young: int


def read(log: Path, about: Experiment, at: date) -> Units:
    """Return the units that came from the step's beginning to the day `at` (UTC), that included.

    A unit is judged by what is known of its rows of `maturity` from its first one on, once that
    has gone by. Raises ExperimentError where the log has no units of these models.
    """
    since = utc(about.since)
    return collected(_rows(log, about, since - lasting(about.before), at), about, at)


def collected(rows: Iterator[pa.Table | int], about: Experiment, at: date) -> Units:
    """Return the units of rows: tables of unit, challenger, time, y and s0, s1, … of the slices.

    A number among them is how many rows have no unit.
    """
    since, until = utc(about.since), datetime(at.year, at.month, at.day) + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="mlops-") as spill, closing(duckdb.connect()) as base:
        base.execute(f"SET memory_limit = '{MEMORY}'")
        base.execute("SET temp_directory = ?", [spill])
        base.execute("SET threads = 2")
        base.execute("SET preserve_insertion_order = false")
        columns = ", ".join(f'"s{place}" VARCHAR' for place in range(len(about.slices)))
        base.execute(
            "CREATE TABLE rows (unit VARCHAR, challenger BOOLEAN, time TIMESTAMP, y DOUBLE"
            f"{', ' if columns else ''}{columns})"
        )
        nameless = 0
        for some in rows:
            if isinstance(some, int):
                nameless += some
                continue
            base.register("batch", some)
            base.execute("INSERT INTO rows SELECT * FROM batch")
            base.unregister("batch")
        return _units(base, about, since, until, nameless)


def _rows(log: Path, about: Experiment, first: datetime, at: date) -> Iterator[pa.Table | int]:
    """Yield the rows of both models, and how many have no unit."""
    sliced = [stored(name) for name in about.slices]
    wanted = ["unit", "arm", "time", "digest", "propensity", *sliced]
    known = {about.champion: False, about.challenger: True}
    roles = BESIDE if about.mode == "shadow" else ROLES
    for batch in outcomes(log, first.date(), at, at=at, columns=wanted, roles=roles):
        for name in wanted:
            if name not in batch.schema.names:
                raise ExperimentError(
                    f"the log has no {name}: have it recorded (engine/docs/serving-log.md), or "
                    f"take it out of {'slices' if name in sliced else 'what is asked'}"
                )
        chosen = pa.array([one in known for one in batch["digest"].to_pylist()], pa.bool_())
        batch = batch.filter(chosen)
        named = batch["unit"].is_valid()
        yield batch.num_rows - int(np.count_nonzero(named.to_numpy(zero_copy_only=False)))
        batch = batch.filter(named)
        met = np.array([known[one] for one in batch["digest"].to_pylist()], dtype=bool)
        drawn = _drawn(batch, met, about)
        batch, challenger = batch.filter(pa.array(drawn)), pa.array(met[drawn])
        if batch.num_rows == 0:
            continue
        columns = [batch["unit"], challenger, batch["time"], _measured(batch, about.primary)]
        columns += [batch[name].cast(pa.string()) for name in sliced]
        names = ["unit", "challenger", "time", "y", *(f"s{n}" for n in range(len(sliced)))]
        yield pa.Table.from_arrays(columns, names)


def _drawn(batch: pa.RecordBatch, met: np.ndarray, about: Experiment) -> np.ndarray:
    """Return which rows were drawn by the share of this step, or are of the time before it.

    A step is declared before it is merged and followed: until then, servers draw by the one before.
    """
    if about.mode == "shadow":
        return np.ones(len(met), dtype=bool)
    probability = batch["propensity"].to_numpy(zero_copy_only=False).astype(float)
    expected = np.where(met, about.share, 1 - about.share)
    same = np.isnan(probability) | (np.abs(probability - expected) < TOLERANCE)
    times = batch["time"].to_numpy(zero_copy_only=False).astype("datetime64[us]")
    return same | (times < np.datetime64(utc(about.since), "us"))


def _measured(batch: pa.RecordBatch, asked: Primary) -> pa.Array:
    """Return what is measured of each row, null where it is not known."""
    if asked.measure == "value":
        return batch["value"]
    told = batch["outcome"]
    if asked.label is not None:
        return pa.array(
            [None if one is None else float(str(one) == asked.label) for one in told.to_pylist()],
            pa.float64(),
        )
    if pa.types.is_string(told.type):
        raise ExperimentError(
            "the outcomes are labels: name the one whose share is measured, like `label: yes`"
        )
    return told.cast(pa.float64())


def _units(
    base: duckdb.DuckDBPyConnection,
    about: Experiment,
    since: datetime,
    until: datetime,
    nameless: int,
) -> Units:
    total = "coalesce(sum(y), 0)" if about.primary.measure == "value" else "avg(y)"
    slices = range(len(about.slices))
    firsts = "".join(f', arg_min("s{n}", time) AS s{n}' for n in slices)
    given = {"since": since, "until": until, "maturity": lasting(about.maturity)}
    sql = f"""
        WITH first AS (
            SELECT unit, min(time) AS came, bool_or(challenger) AS arm,
                bool_or(challenger) <> bool_and(challenger) AS crossed{firsts}
            FROM rows WHERE time >= $since AND time < $until GROUP BY unit
        ), after AS (
            SELECT rows.unit, {total} AS y FROM rows JOIN first USING (unit)
            WHERE time >= came AND time < came + $maturity AND time < $until GROUP BY unit
        ), before AS (
            SELECT unit, {total} AS x FROM rows WHERE time < $since GROUP BY unit
        )
        SELECT came, arm, crossed, y, x{"".join(f", s{n}" for n in slices)},
            came + $maturity <= $until AS old
        FROM first LEFT JOIN after USING (unit) LEFT JOIN before USING (unit) ORDER BY came, unit
    """
    found = base.sql(sql, params=given).to_arrow_table()
    if found.num_rows == 0:
        raise NobodyError(
            f"no unit came to these two models since {about.since}: read the log of the servers "
            "that have the experiment, and send `x-routing-key` with each request"
        )
    column = {name: found[name].to_numpy(zero_copy_only=False) for name in found.column_names}
    crossed = column["crossed"].astype(bool)
    if about.mode == "shadow":  # whom a shadow was asked for as well, the champion answered
        crossed = np.zeros(len(crossed), dtype=bool)
    arm = column["arm"].astype(int)
    came = column["came"].astype("datetime64[D]").astype(int)
    met = np.bincount(
        (2 * (came - came[0]) + arm)[~crossed], minlength=2 * (came[-1] - came[0] + 1)
    ).reshape(-1, 2)
    old = column["old"].astype(bool) & ~crossed
    y = column["y"].astype(float)
    known = old & np.isfinite(y)
    ripe = column["came"].astype("datetime64[us]") + np.timedelta64(lasting(about.maturity))
    last = (ripe - np.timedelta64(1, "us")).astype("datetime64[D]").astype(int)
    start = int(last[known].min()) if known.any() else int(last[0])
    x = column["x"].astype(float)[known]
    has = np.isfinite(x)
    x = np.where(has, x - (x[has].mean() if has.any() else 0.0), 0.0)
    lacking = old & ~known
    return Units(
        arm[known],
        last[known] - start,
        y[known],
        x,
        {name: column[f"s{n}"][known] for n, name in enumerate(about.slices)},
        date(1970, 1, 1) + timedelta(days=start),
        met,
        int(crossed.sum()),
        (int((lacking & (arm == 0)).sum()), int((lacking & (arm == 1)).sum())),
        nameless,
        int((~old & ~crossed).sum()),
    )


def subset(units: Units, chosen: np.ndarray) -> Units:
    """Return some of the units."""
    return units._replace(
        arm=units.arm[chosen], day=units.day[chosen], y=units.y[chosen], x=units.x[chosen]
    )


def names(values: np.ndarray, most: int) -> Sequence[str]:
    """Return the most frequent values of a slice."""
    found, counts = np.unique(values[values != None].astype(str), return_counts=True)  # noqa: E711
    return [str(one) for one in found[np.argsort(-counts, kind="stable")][:most]]
