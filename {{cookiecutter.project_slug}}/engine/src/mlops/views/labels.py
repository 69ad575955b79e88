"""Label rows as a join asks for them: their entities and moments, read from data/raw."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..config.settings import ConfigError
from ..config.views import View
from ..contract import Contract
from ..data import sources
from ..data.parsing import parse
from ..data.prepare import RAW
from ..data.validation import check_names
from ..progress import progress


def labels(contract: Contract, views: Sequence[View], root: Path = Path()) -> pa.Table:
    """Return the entities and the moment of each row of data/raw, in their order."""
    names = _reads(contract, views)
    parts = []
    raw = root / RAW
    frames = sources.table(raw, sources.raw_files(raw), contract.source)
    for frame in progress(frames, "label rows", unit="frame"):
        check_names(frame, contract, names)
        columns = {}
        for name in names:
            values = parse(frame.frame[name], contract.columns[name], contract.source).values
            columns[name] = pa.array(values, from_pandas=True)
        parts.append(pa.table(columns))
    return pa.concat_tables(parts, promote_options="permissive")


def asked(view: View, rows: pa.Table, contract: Contract) -> tuple[pa.Table, np.ndarray]:
    """Return entities and moments of label rows as `values_at` takes them."""
    entities = pa.table({key: rows.column(name) for key, name in view.entity.items()})
    return entities, rows.column(str(contract.time)).to_numpy().astype("datetime64[us]")


def _reads(contract: Contract, views: Sequence[View]) -> list[str]:
    """Return the columns of a contract that views look at; raises ConfigError where one lacks."""
    if contract.time is None:
        raise ConfigError(
            f"{contract.place} has no column of role time: give a datetime that role, since a "
            "feature view says what was known at one"
        )
    names = [column for view in views for column in view.entity.values()]
    if unknown := [name for name in names if name not in dict(contract.kept())]:
        raise ConfigError(
            f"{contract.place} has no column {unknown[0]!r}, by which a view is looked up: declare "
            "it there, or correct `entity` in conf/feature_views"
        )
    return list(dict.fromkeys([*names, contract.time]))
