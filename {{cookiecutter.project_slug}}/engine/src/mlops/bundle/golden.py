"""Golden rows: a few holdout rows as a client sends them, and the predictions they must get."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import Contract
from ..data.prepared import row_hashes, table

ROWS = 20


def chosen(hashes: np.ndarray, rows: int = ROWS) -> np.ndarray:
    """Return the positions of the rows with the smallest hashes: a sample that stays the same."""
    return np.sort(np.argsort(hashes, kind="stable")[:rows])


def golden(
    holdout: Path, contract: Contract, inputs: Sequence[str], predictions: np.ndarray
) -> list[dict[str, Any]]:
    """Return [{"row": {column: value}, "prediction": …}]; missing values are null."""
    positions = chosen(row_hashes(holdout))
    rows = table(holdout, inputs).take(positions).to_pylist()
    return [
        {
            "row": {name: _plain(value, contract, name) for name, value in row.items()},
            "prediction": predictions[position].tolist(),
        }
        for row, position in zip(rows, positions, strict=True)
    ]


def _plain(value: Any, contract: Contract, name: str) -> Any:
    if value is None:
        return None
    match contract.columns[name].type:
        case "integer":
            return int(value)
        case "datetime":
            return value.isoformat()
        case _:
            return value
