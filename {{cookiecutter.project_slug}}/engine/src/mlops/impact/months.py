"""What a log says of each month and model: decisions, people, and what was reported of them."""

import math
import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from ..monitoring.outcomes import outcomes
from ..rollout.declaration import ExperimentError

MEMORY = "320MB"  # of DuckDB; what is more spills into a temporary folder (TMPDIR)
ROLES = ("champion", "challenger")
COLUMNS = ("time", "digest", "role", "unit", "request_id", "row", "prediction")
LABELS = 5  # of a model that are told apart
NORMAL = 1.959964  # of 95 %


class Sum(NamedTuple):
    """A sum over people with its 95 % interval, had others come that are like them."""

    value: float
    low: float
    high: float


class Month(NamedTuple):
    """What one model did in one month.

    `decisions` are rows, `people` routing keys, or requests where there is none. `labels` counts
    what was decided, the most frequent first; `earned` is by currency, of `reported` rows.
    """

    month: str
    model: str
    decisions: int
    people: int
    labels: dict[str, int]
    reported: int
    earned: dict[str, Sum]


def read(log: Path, first: date | None, last: date | None) -> list[Month]:
    """Return the months of a log in their order; raises ExperimentError where it has no rows."""
    with tempfile.TemporaryDirectory(prefix="mlops-") as spill, closing(duckdb.connect()) as base:
        base.execute(f"SET memory_limit = '{MEMORY}'")
        base.execute("SET temp_directory = ?", [spill])
        base.execute("SET threads = 2")
        base.execute(
            "CREATE TABLE said (month VARCHAR, model VARCHAR, person VARCHAR, label VARCHAR, "
            "value DOUBLE, currency VARCHAR)"
        )
        for batch in outcomes(log, first, last, at=last, columns=COLUMNS, roles=ROLES):
            _take(base, batch)
        found = base.sql(
            "SELECT month, model, count(*), count(DISTINCT person), count(value) FROM said "
            "GROUP BY ALL ORDER BY month, min(rowid)"
        ).fetchall()
        if not found:
            raise ExperimentError(
                f"{log} has no answers of that time: name the log of the servers that answer"
            )
        return [
            Month(month, model, rows, people, _labels(base, month, model), told,
                  _earned(base, month, model))
            for month, model, rows, people, told in found
        ]  # fmt: skip


def _take(base: duckdb.DuckDBPyConnection, batch: pa.RecordBatch) -> None:
    names = batch.schema.names
    unit = batch["unit"] if "unit" in names else pa.nulls(batch.num_rows, pa.string())
    is_label = pa.types.is_string(batch["prediction"].type)
    label = batch["prediction"] if is_label else pa.nulls(batch.num_rows, pa.string())
    told = {"time": batch["time"], "digest": batch["digest"], "unit": unit, "label": label}
    told |= {"request": batch["request_id"], "value": batch["value"], "currency": batch["currency"]}
    base.register("batch", pa.table(told))
    base.execute(
        "INSERT INTO said SELECT strftime(time, '%Y-%m'), digest, coalesce(unit, request), label, "
        "value, coalesce(currency, '') FROM batch"
    )
    base.unregister("batch")


def _labels(base: duckdb.DuckDBPyConnection, month: str, model: str) -> dict[str, int]:
    found = base.execute(
        "SELECT label, count(*) FROM said WHERE month = ? AND model = ? AND label IS NOT NULL "
        "GROUP BY label ORDER BY count(*) DESC, label LIMIT ?",
        [month, model, LABELS],
    ).fetchall()
    return dict(found)


def _earned(base: duckdb.DuckDBPyConnection, month: str, model: str) -> dict[str, Sum]:
    """Return the sum of what was reported, by currency; whoever nothing is known of counts 0."""
    found = base.execute(
        "WITH each AS (SELECT person, currency, sum(value) AS y FROM said "
        "WHERE month = $month AND model = $model AND value IS NOT NULL GROUP BY ALL), "
        "people AS (SELECT count(DISTINCT person) AS n FROM said "
        "WHERE month = $month AND model = $model) "
        "SELECT currency, sum(y), sum(y * y), any_value(n) FROM each, people "
        "GROUP BY currency ORDER BY currency",
        {"month": month, "model": model},
    ).fetchall()
    return {currency: spread(total, squares, n) for currency, total, squares, n in found}


def spread(total: float, squares: float, people: int) -> Sum:
    """Return a sum over so many people, of the sum of their squares, with its interval."""
    variance = max(0.0, squares - total * total / people) / max(1, people - 1)
    half = NORMAL * math.sqrt(people * variance)
    return Sum(total, total - half, total + half)
