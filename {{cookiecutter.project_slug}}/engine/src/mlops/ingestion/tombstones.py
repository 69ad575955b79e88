"""What was deleted, by a hash of its key: an older version that comes late does not revive it.

A deleted row's key is kept as 128 bits of a hash, which nobody reads back; who knows a key can
still ask whether it was deleted.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data.hashing import row_hash
from ..files import atomic_file
from .canonical import DELETED

FILE = ".deleted.parquet"  # hidden: no table
SALTS = ("one", "other")


class Tombstones:
    """The deletions of a dataset, each with the version that deleted."""

    def __init__(self, folder: Path, key: Sequence[str], version: str) -> None:
        self._path, self._key, self._version = folder / FILE, list(key), version
        self._known = pq.ParquetFile(self._path).read() if self._path.is_file() else None

    def standing(self, table: pa.Table) -> pa.Table:
        """Return the rows that no deletion of the same or a higher version concerns."""
        if self._known is None or not table.num_rows:
            return table
        marked = self._marked(table).append_column("at", pa.array(np.arange(table.num_rows)))
        pairs = marked.join(self._known, list(SALTS), join_type="inner", right_suffix="_deleted")
        late = pairs.filter(pc.less_equal(pairs["version"], pairs["version_deleted"]))
        kept = np.ones(table.num_rows, dtype=bool)
        kept[late["at"].to_numpy()] = False
        # A deletion stays: it is how another row of its key in the same answer is deleted.
        return table.filter(pc.or_(pa.array(kept), table[DELETED]))

    def add(self, deleted: pa.Table) -> bool:
        """Remember deletions, and say whether any is new."""
        marked = self._marked(deleted)
        known = [marked] if self._known is None else [self._known, marked]
        whole = pa.concat_tables(known).group_by(list(SALTS)).aggregate([("version", "max")])
        whole = whole.rename_columns([*SALTS, "version"])
        whole = whole.sort_by([(name, "ascending") for name in SALTS])
        changed = deleted.num_rows > 0 and (self._known is None or not whole.equals(self._known))
        self._known = whole if deleted.num_rows or self._known is not None else None
        return changed

    def write(self) -> None:
        """Write them, in one step."""
        if self._known is not None:
            with atomic_file(self._path) as staging:
                pq.write_table(self._known, staging, compression="zstd")

    def _marked(self, table: pa.Table) -> pa.Table:
        hashes = {salt: pa.array(row_hash(table, self._key, salt)) for salt in SALTS}
        version = table[self._version]
        if pa.types.is_timestamp(version.type):
            version = version.cast(pa.int64())
        return pa.table({**hashes, "version": version})
