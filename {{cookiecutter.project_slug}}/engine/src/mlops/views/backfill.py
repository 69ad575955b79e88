"""Values of views written out: at the moments of the label rows, and at the beginning of each day.

For a look, a notebook, or another system: nothing of the pipeline reads them.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.views import View
from ..contract import Contract
from ..data.errors import DataError
from ..files import atomic_file
from ..progress import progress
from .join import Join
from .labels import asked, labels

OUT = Path("data/features")
AT = "at"


def build(
    contract: Contract, views: Sequence[View], root: Path = Path(), out: Path = OUT
) -> Iterator[tuple[Path, int]]:
    """Write out/VIEW/labels.parquet: one row a label row, in their order; yield files and rows."""
    rows = labels(contract, views, root)
    with Join(root) as join:
        for view in views:
            path = out / view.name / "labels.parquet"
            entities, at = asked(view, rows, contract)
            yield path, _write(path, entities, at, join.values_at(view, entities, at))


def backfill(
    view: View, since: date, until: date, root: Path = Path(), out: Path = OUT
) -> Iterator[tuple[Path, int]]:
    """Write out/VIEW/date=DAY/part.parquet for each day, both ends included; yield files and rows.

    Of every entity that was known by then: its values at the day's beginning, in UTC. A day that is
    there already is replaced, by the same where its rows are the same.
    """
    if until < since:
        raise DataError(f"--until, {until}, is before --since, {since}: exchange them")
    days = [since + timedelta(days=day) for day in range((until - since).days + 1)]
    with Join(root) as join:
        for day in progress(days, f"backfill {view.name}", unit="day"):
            moment = np.datetime64(day, "us")
            entities = join.entities(view, moment)
            at = np.full(entities.num_rows, moment)
            path = out / view.name / f"date={day}" / "part.parquet"
            yield path, _write(path, entities, at, join.values_at(view, entities, at))


def _write(path: Path, entities: pa.Table, at: np.ndarray, values: pa.Table) -> int:
    columns = {**_columns(entities), AT: pa.array(at, pa.timestamp("us")), **_columns(values)}
    with atomic_file(path) as staging:
        pq.write_table(pa.table(columns), staging, compression="zstd")
    return int(entities.num_rows)


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))
