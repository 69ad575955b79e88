"""Golden rows: a few holdout rows as a client sends them, and the predictions they must get."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..contract import Column, Contract
from ..data.prepared import arrays, row_hashes, table
from ..runtime.hooks import Before, HookError, Veto

ROWS = 20
NOBODYS_MOMENT = datetime(2000, 1, 1)

Answer = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def chosen(hashes: np.ndarray, rows: int = ROWS) -> np.ndarray:
    """Return the positions of the rows with the smallest hashes: a sample that stays the same."""
    return np.sort(np.argsort(hashes, kind="stable")[:rows])


def golden(
    holdout: Path,
    contract: Contract,
    inputs: Sequence[str],
    predictions: np.ndarray,
    answer: Answer | None = None,
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Return [{"row": {column: value}, "prediction": …}], and the rows as a table.

    Missing values are null. A column whose values may not leave has another value than the row's,
    the same in all rows, and the prediction is what `answer` says of that.

    Rows that `before` of src/project/serving.py vetoes are passed over: a server answers these.
    """
    hashes, held = row_hashes(holdout), table(holdout, inputs)
    hidden = [name for name in inputs if contract.is_private(name)]
    held = masked(held, contract, hidden)
    positions = chosen(hashes)
    if (before := Before.find(contract)) is not None:
        positions = _passed(before, hashes, held, contract)
    # Slices, since an Arrow array of positions would import pandas.
    rows = pa.concat_tables([held.slice(0, 0), *(held.slice(int(at), 1) for at in positions)])
    if hidden and answer is not None and rows.num_rows:
        answers = answer(arrays(rows, contract, inputs))
    else:
        answers = predictions[positions]
    return [
        {
            "row": {name: plain(value, contract, name) for name, value in row.items()},
            "prediction": said.tolist(),
        }
        for row, said in zip(rows.to_pylist(), answers, strict=True)
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


def masked(rows: pa.Table, contract: Contract, names: Sequence[str]) -> pa.Table:
    """Return rows with nobody's values in some columns: null, or any that the contract takes."""
    for name in names:
        at = rows.column_names.index(name)
        kind = rows.schema.field(at).type
        value = None if contract.columns[name].nullable else _nobodys(contract.columns[name])
        texts = pa.types.is_dictionary(kind)
        column = pa.array([value] * rows.num_rows, pa.string() if texts else kind)
        rows = rows.set_column(at, name, column.dictionary_encode() if texts else column)
    return rows


def _nobodys(column: Column) -> Any:
    match column.type:
        case "number" | "integer":
            low = -np.inf if column.min is None else column.min
            high = np.inf if column.max is None else column.max
            return float(np.clip(0.0, np.ceil(low), np.floor(high)))
        case "boolean":
            return False
        case "category":
            return column.categories[0]
        case "datetime":
            return NOBODYS_MOMENT
    return "nobody"


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
