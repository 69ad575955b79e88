"""What a shadow would have decided, beside what the champion did: row by row, from the log."""

import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ..monitoring.outcomes import outcomes
from ..rollout.declaration import Experiment, utc

MEMORY = "320MB"  # of DuckDB; what is more spills into a temporary folder (TMPDIR)
ROLES = ("champion", "shadow")
COLUMNS = ("request_id", "row", "digest", "role", "prediction")


def agreement(log: Path, about: Experiment, at: date) -> dict[str, Any]:
    """Return the rows that both models answered since the step began, and how alike they did.

    Of labels the share that are the same, of numbers the mean absolute difference; None of none.
    """
    first = utc(about.since).date()
    with tempfile.TemporaryDirectory(prefix="mlops-") as spill, closing(duckdb.connect()) as base:
        base.execute(f"SET memory_limit = '{MEMORY}'")
        base.execute("SET temp_directory = ?", [spill])
        is_number = False
        base.execute(
            "CREATE TABLE said (id VARCHAR, row BIGINT, shadow BOOLEAN, prediction VARCHAR)"
        )
        for batch in outcomes(log, first, at, at=at, columns=COLUMNS, roles=ROLES):
            is_number = pa.types.is_floating(batch["prediction"].type)
            given = {"champion": about.champion, "shadow": about.challenger}
            wanted = [
                given[role] == digest
                for role, digest in zip(
                    batch["role"].to_pylist(), batch["digest"].to_pylist(), strict=True
                )
            ]
            batch = batch.filter(pa.array(wanted, pa.bool_()))
            shadow = pa.array([role == "shadow" for role in batch["role"].to_pylist()], pa.bool_())
            columns = [batch["request_id"].cast(pa.string()), batch["row"].cast(pa.int64()), shadow]
            columns += [batch["prediction"].cast(pa.string())]
            table = pa.Table.from_arrays(columns, ["id", "row", "shadow", "prediction"])
            base.register("batch", table)
            base.execute("INSERT INTO said SELECT * FROM batch")
            base.unregister("batch")
        same = "avg((a.prediction = b.prediction)::INT)"
        apart = "avg(abs(a.prediction::DOUBLE - b.prediction::DOUBLE))"
        told = base.execute(
            f"SELECT count(*), {apart if is_number else same} FROM said a JOIN said b "
            "ON a.id = b.id AND a.row = b.row WHERE a.shadow AND NOT b.shadow"
        ).fetchone()
    rows, figure = told or (0, None)
    return {
        "rows": rows,
        "same": None if is_number else figure,
        "apart": figure if is_number else None,
    }
