"""Golden rows: a few holdout rows as a client sends them, and the predictions they must get."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..contract import Contract
from ..data.prepared import arrays, row_hashes, table
from ..runtime.hooks import Before, HookError, Veto

ROWS = 20

Answer = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def chosen(hashes: np.ndarray, rows: int = ROWS) -> np.ndarray:
    """Return the positions of the rows with the smallest hashes: a sample that stays the same."""
    return np.sort(np.argsort(hashes, kind="stable")[:rows])


def golden(
    holdout: Path, contract: Contract, inputs: Sequence[str], predictions: np.ndarray
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Return [{"row": {column: value}, "prediction": …}], and the rows as a table.

    Missing values are null.

    Rows that `before` of src/project/serving.py vetoes are passed over: a server answers these.
    """
    hashes, held = row_hashes(holdout), table(holdout, inputs)
    positions = chosen(hashes)
    if (before := Before.find(contract)) is not None:
        positions = _passed(before, hashes, held, contract)
    # Slices, since an Arrow array of positions would import pandas.
    rows = pa.concat_tables([held.slice(0, 0), *(held.slice(int(at), 1) for at in positions)])
    return [
        {
            "row": {name: plain(value, contract, name) for name, value in row.items()},
            "prediction": predictions[position].tolist(),
        }
        for row, position in zip(rows.to_pylist(), positions, strict=True)
    ], rows


def _passed(before: Before, hashes: np.ndarray, held: pa.Table, contract: Contract) -> np.ndarray:
    """Return the positions of the rows with the smallest hashes that are not vetoed."""
    found: list[int] = []
    reason = ""
    for position in np.argsort(hashes, kind="stable"):
        row = held.slice(int(position), 1)
        try:
            before(arrays(row, contract, held.column_names))
        except Veto as veto:
            reason = veto.reason
            continue
        found.append(int(position))
        if len(found) == ROWS:
            break
    if not found and len(hashes):
        raise HookError(
            f"`before` of src/project/serving.py vetoes every row of the holdout ({reason}): let "
            "it pass some"
        )
    return np.sort(np.array(found, dtype=np.intp))


def plain(value: Any, contract: Contract, name: str) -> Any:
    """Return the value of a table as JSON has it."""
    if value is None:
        return None
    match contract.columns[name].type:
        case "integer":
            return int(value)
        case "datetime":
            return value.isoformat()
        case _:
            return value
