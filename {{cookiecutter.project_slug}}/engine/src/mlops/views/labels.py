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
from .joining import ViewJoins


def labels(contract: Contract, views: Sequence[View], root: Path = Path()) -> pa.Table:
    """Return what data/raw says of the entities and moments of each row, in its order."""
    names = reads(contract, views)
    raw = root / RAW
    parts = []
    frames = sources.table(raw, sources.raw_files(raw), contract.source)
    for frame in progress(frames, "label rows", unit="frame"):
        check_names(frame, contract, names)
        columns = {}
        for name in names:
            column = contract.columns[name]
            values = parse(frame.frame[name], column, contract.source).values
            columns[name] = pa.array(values, from_pandas=True)
        parts.append(pa.table(columns))
    return pa.concat_tables(parts, promote_options="permissive")


def reads(contract: Contract, views: Sequence[View]) -> list[str]:
    """Return the columns of a contract that views look at; raises ConfigError where one lacks."""
    names = [column for view in views for column in view.entity.values()]
    if unknown := [name for name in names if name not in dict(contract.kept())]:
        raise ConfigError(
            f"{contract.place} has no column {unknown[0]!r}, by which a view is looked up: declare "
            "it there, or correct `entity` in conf/feature_views"
        )
    with ViewJoins(contract, {view.name: view for view in views}) as joins:
        return joins.reads


def asked(view: View, rows: pa.Table, time: str) -> tuple[pa.Table, np.ndarray]:
    """Return entities and moments of label rows as `values_at` takes them."""
    entities = pa.table({key: rows.column(name) for key, name in view.entity.items()})
    return entities, rows.column(time).to_numpy().astype("datetime64[us]")
