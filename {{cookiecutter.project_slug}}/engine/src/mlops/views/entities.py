"""Entities as numbers, whatever their keys are."""

import numpy as np
import pyarrow as pa

from ..config.settings import ConfigError
from ..config.views import View
from ..data.arrays import plain
from .history import NONE, Places

ENTITY = "_entity"
KEYS = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us"),
    "category": pa.string(),
    "text": pa.string(),
}


def coded(view: View, entities: pa.Table, absent: np.ndarray) -> tuple[Places, pa.Table]:
    """Return a number for each row's entity, NONE for none, and the keys of each number."""
    codes = np.zeros(entities.num_rows, np.int64)
    keys: dict[str, pa.Array] = {}
    for key in view.table.keys:
        kind = KEYS[view.table.columns[key].type]
        column = entities.column(key)
        try:
            keys[key] = pa.chunked_array(column.cast(kind)).combine_chunks()
        except (pa.ArrowException, TypeError) as error:
            raise ConfigError(
                f"{view.entity[key]} is {column.type} and {key} of {view.table.name} is {kind}: "
                f"declare both columns alike in conf/data and {view.table.place}"
            ) from error
        written = keys[key].dictionary_encode()
        index = plain(written.indices.cast(pa.int64()), np.dtype(np.int64), NONE)
        absent = absent | (index == NONE)
        codes = np.unique(codes * (len(written.dictionary) + 1) + index, return_inverse=True)[1]
    codes[absent] = NONE
    numbers, firsts = np.unique(codes, return_index=True)
    firsts = firsts[numbers != NONE]
    codes[~absent] = np.searchsorted(numbers[numbers != NONE], codes[~absent])
    chosen = {key: values.take(pa.array(firsts)) for key, values in keys.items()}
    return codes, pa.table({**chosen, ENTITY: np.arange(len(firsts))})
