"""The columns by whose values rows are split, where no id tells them apart."""

from collections.abc import Mapping

import pandas as pd

from ..contract import Column
from ..data.leakage import MOST_ROWS

MOST = 8
NEARLY = 0.999  # of the rows that all columns together tell apart
UNDECIDING = {"target", "ignored", "weight"}


def deciding(frame: pd.DataFrame, columns: Mapping[str, Column]) -> list[str]:
    """Return the few columns that tell rows apart as well as all do, none where few do not.

    A column that comes, goes or is ignored later moves no row then, unless it is one of them.
    """
    frame = frame.iloc[:: -(-len(frame) // MOST_ROWS)]
    codes = pd.DataFrame(
        {
            name: pd.factorize(frame[name])[0]
            for name, column in columns.items()
            if not UNDECIDING & set(column.roles)
        }
    )
    wanted = NEARLY * _different(codes)
    texts = [name for name in codes if columns[name].type == "text"]
    if texts and len(texts) < codes.shape[1]:
        rest = codes.drop(columns=texts)  # a text is corrected sooner than a number
        codes = rest if _different(rest) >= wanted else codes
    chosen: list[str] = []
    left = sorted(codes, key=lambda name: -codes[name].nunique())
    while left and len(chosen) < MOST:
        best = (
            left[0]
            if not chosen
            else max(left, key=lambda name: _different(codes[[*chosen, name]]))
        )
        chosen.append(best)
        left.remove(best)
        if _different(codes[chosen]) >= wanted:
            return chosen
    return []


def _different(codes: pd.DataFrame) -> int:
    return int(pd.util.hash_pandas_object(codes, index=False).nunique())
