"""Rows answered day by day into a server's log, by the real verbs, and what became of them later.

A program of its own, run in a project: one process for all the days.

    python traffic.py BUNDLE LOG ROWS DAYS A_DAY [EMPTY]

The last of the days is yesterday. ROWS is a folder of tables with a target; EMPTY is a column that
has no value.
"""

import contextlib
import io
import sys
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LATE = 3  # days until an outcome is known
ID, TARGET = "customer_id", "churned"


def main(bundle: str, log: Path, rows: Path, days: int, a_day: int, empty: str = "") -> None:
    """Answer the days, one after the other."""
    table, yesterday = pq.read_table(rows), datetime.now(UTC).date() - timedelta(days=1)
    if empty:
        at = table.schema.get_field_index(empty)
        nothing = pa.nulls(table.num_rows, table.schema.field(at).type)
        table = table.set_column(at, empty, nothing)
    assert table.num_rows >= days * a_day, "there are fewer rows than days have"
    table = table.slice(table.num_rows - days * a_day)
    for ago in range(days):
        day = yesterday - timedelta(days=ago)
        of_day = table.slice((days - 1 - ago) * a_day, a_day)
        _answer(bundle, log, of_day, day, known=ago >= LATE)


def _answer(bundle: str, log: Path, rows: pa.Table, day: date, known: bool) -> None:
    """Score the rows of a day, and report their outcomes where these are known by now."""
    folder = log.parent / f"{log.name}-tables"
    folder.mkdir(exist_ok=True)
    asked, answers, came = (folder / f"{what}.parquet" for what in ("asked", "answers", "came"))
    pq.write_table(rows.drop([TARGET]), asked)
    told = ("--log", log, "--bundle", bundle, "--at")
    _run("predict", asked, "--out", answers, "--ids", *told, f"{day}T12:00")
    if known:
        pq.write_table(rows.select([ID, TARGET]), came)
        later = f"{day + timedelta(days=LATE)}T12:00"
        _run("feedback", came, "--scored", answers, *told, later)


def _run(*arguments: object) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = import_module("mlops.cli").main([str(one) for one in arguments])
    if code:
        sys.exit(said.getvalue())


if __name__ == "__main__":
    sys.path.append("engine/src")
    given = sys.argv[1:]
    main(given[0], Path(given[1]), Path(given[2]), int(given[3]), int(given[4]), *given[5:])
