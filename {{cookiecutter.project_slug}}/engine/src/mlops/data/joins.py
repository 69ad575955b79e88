"""The seam for columns that the raw rows do not hold: looked up elsewhere, a part at a time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa


class Part(NamedTuple):
    """One part as a join sees it: a raw file's name below data/raw, and its SHA-256.

    `first` and `last` are the earliest and latest value of the contract's time column among its
    rows; None where there is none.
    """

    name: str
    sha256: str
    first: np.datetime64 | None
    last: np.datetime64 | None


class Joins(Protocol):
    """What gives `prepare` more columns, one value a raw row.

    For the same `key` and the same raw rows, `columns` has to give the same values in whatever
    batches it is asked: a part whose key is what it was is not computed again.
    """

    @property
    def reads(self) -> Sequence[str]:
        """The columns of the contract that it looks at, such as entity keys and the time."""

    def key(self, part: Part) -> str:
        """Return a text that differs where other values would be joined to the part's rows."""

    def columns(self, rows: pa.Table) -> Mapping[str, pa.Array]:
        """Return the joined columns of some raw rows, in their order.

        `rows` are the columns `reads`, with the types of prepared rows; a cell that cannot be read
        is null, and refuses the file afterwards. No raw file may hold a column of these names.
        """
