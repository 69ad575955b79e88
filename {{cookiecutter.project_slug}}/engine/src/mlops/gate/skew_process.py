"""What an online store would serve at moments, and what the join says, each written to a file.

Run as `python -m mlops.gate.skew_process FOLDER`, by the code of the folder it is started in, whose
features it computes. FOLDER has the entities and times of some rows, and the moments. What judges
reads what it leaves, and imports nothing of what made it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.settings import load
from ..config.views import View
from ..data.arrays import plain
from ..serving.online.stores import opened
from ..views.join import Join
from ..views.materialise import materialise
from ..views.online import EPOCH, MICROSECOND, Store, Values, key, table_name
from ..views.values import KNOWN_TIME, RESULTS
from .skew_files import MOMENT, MOMENTS, OWN, ROWS, joined, online, served


def write(folder: Path) -> None:
    """Write the values of every view with `online`: a column a feature, a row a given row."""
    settings, rows = load(), pq.read_table(folder / ROWS)
    moments = np.load(folder / MOMENTS, allow_pickle=False)
    times = plain(rows.column(str(settings.data.time)).cast(pa.timestamp("us")), MOMENT, "NaT")
    chosen = online(settings)
    store = opened(f"sqlite:///{folder / 'online.db'}", write=True)
    with Join() as join:

        def said(at: np.ndarray) -> pa.Table:
            tables = (join.values_at(view, entities(view, rows), at) for view in chosen)
            return _beside(table.drop_columns([KNOWN_TIME]) for table in tables)

        pq.write_table(said(times), folder / OWN)
        for number, moment in enumerate(moments.astype(np.int64).tolist()):
            whole = np.full(rows.num_rows, moment).view(MOMENT)
            pq.write_table(said(whole), folder / joined(number))
            held = (_held(view, store, join, entities(view, rows), moment) for view in chosen)
            pq.write_table(_beside(held), folder / served(number))
    store.close()


def entities(view: View, rows: pa.Table) -> pa.Table:
    """Return the entities of rows as a join takes them."""
    return pa.table({key: rows.column(name) for key, name in view.entity.items()})


def _held(view: View, store: Store, join: Join, asked: pa.Table, moment: int) -> pa.Table:
    """Materialise a view as of a moment, and return what a server decodes for entities then."""
    values, at = Values(view), EPOCH + moment * MICROSECOND
    found = [values.defaults] * asked.num_rows
    if join.entities(view, np.datetime64(moment, "us")).num_rows:  # a store of nobody is refused
        materialise(view, store, at)
        columns = (asked.column(name).to_pylist() for name in view.table.keys)
        keys = [key(one) for one in zip(*columns, strict=True)]
        rows = store.read(table_name(view), keys).rows
        found = [values.defaults if one is None else values.decode(one[1]) for one in rows]
    return pa.table(
        {
            name: pa.array([one[at] for one in found], RESULTS[feature.type])
            for at, (name, feature) in enumerate(view.features.items())
        }
    )


def _beside(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.table({name: table.column(name) for table in tables for name in table.column_names})


if __name__ == "__main__":
    write(Path(sys.argv[1]))
