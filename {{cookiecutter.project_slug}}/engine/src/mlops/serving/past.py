"""The feature views of a bundle as columns of tables that are scored: what was known of each row.

They are joined as `prepare` joins them, from data/tables as the project pins it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from msgspec.structs import replace

from ..bundle.reading import Loaded
from ..config.views import View
from ..data.parsing import parse
from ..data.parts import typed
from ..data.sources import DataError, Frame, clean, pandas
from ..files import sha256
from ..views.join import Joining
from ..views.partitions import partitions
from ..views.values import KNOWN_TIME
from .delivery import written


class Past(Joining):
    """Gives rows what the model reads of views, where their table has not all of a view itself.

    A row's moment is that of the contract's time; in a table without that column, `at`. `views` are
    those that the model reads.
    """

    def __init__(self, loaded: Loaded, at: datetime | None, root: Path = Path()) -> None:
        super().__init__(root)
        self._contract, self._at = loaded.contract, at
        read = set(loaded.encoder.inputs)
        # Without what the model does not read, which would be computed for nothing.
        self.views = [
            replace(view, features={n: one for n, one in view.features.items() if n in read})
            for view in loaded.settings.features.views.values()
            if read & set(view.features)
        ]
        self._joined: dict[str, View] = {}
        self._has_one_moment = False
        self._said: dict[str, None] = {}

    def filled(self, frame: Frame) -> tuple[Frame, list[str]]:
        """Return a frame with the columns of the views, and the names of what they were found by.

        Raises DataError where it has neither all columns of a view nor the keys that it asks for.
        """
        views = [view for view in self.views if not self._is_given(view, frame)]
        if not views:
            return frame, []
        keys = list(dict.fromkeys(name for view in views for name in view.entity.values()))
        for view in views:
            self._check(view, frame)
        entities = typed(self._parsed(frame, keys), self._contract.columns)
        moments, times = self._moments_of(frame)
        found: dict[str, pa.ChunkedArray] = {}
        for view in views:
            self._joined[view.name] = view
            asked = pa.table({key: entities.column(name) for key, name in view.entity.items()})
            values = self._join.values_at(view, asked, moments).drop_columns([KNOWN_TIME])
            found |= dict(zip(values.column_names, values.columns, strict=True))
        more = clean(pandas(pa.table(found)), self._contract.source.missing)
        own = frame.frame.drop(columns=[name for name in found if name in frame.frame])
        whole = pd.concat([own, more], axis=1)
        return Frame(frame.path, frame.start, whole), [*keys, *times]

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know."""
        return tuple(self._said)

    def lineage(self) -> dict[str, Any]:
        """Return which views were joined, from which files; nothing where none was."""
        if not self._joined:
            return {}
        tables = {view.table.name: view.table for view in self._joined.values()}
        files = [one.path for table in tables.values() for one in partitions(table, self._root)]
        named = {path.relative_to(self._root).as_posix(): path for path in files}
        return {
            "views": [*self._joined],
            **({"views_at": written(self._at)} if self._has_one_moment else {}),
            "tables": [{"name": n, "sha256": sha256(path)} for n, path in sorted(named.items())],
        }

    def _is_given(self, view: View, frame: Frame) -> bool:
        """Say whether a table has every column of a view, which it keeps then."""
        given = [name for name in view.features if name in frame.frame]
        if len(given) == len(view.features):
            self._say(
                f"{frame.path} has all that the model reads of the view {view.name} "
                f"({', '.join(given)}): these values are taken, and none are joined"
            )
            return True
        if given:
            self._say(
                f"{frame.path} has {', '.join(given)}, and not all that the model reads of the "
                f"view {view.name}: all of it is joined, and these cells are left aside"
            )
        return False

    def _check(self, view: View, frame: Frame) -> None:
        if absent := [name for name in view.entity.values() if name not in frame.frame]:
            raise DataError(
                f"{frame.path} lacks {', '.join(absent)}, by which the view {view.name} is looked "
                f"up: give it that column, or all that the model reads of the view "
                f"({', '.join(view.features)})"
            )

    def _moments_of(self, frame: Frame) -> tuple[np.ndarray, list[str]]:
        """Return the moment of each row, and the column that says it, if one does."""
        time = str(self._contract.time)
        if time in frame.frame:
            return self._parsed(frame, [time])[time].to_numpy().astype("datetime64[us]"), [time]
        if self._at is None:
            raise DataError(
                f"{frame.path} has no column {time}, and a stage of DVC has no clock: give --at, "
                "the moment that views are joined for"
            )
        moment = np.datetime64(self._at.astimezone(UTC).replace(tzinfo=None), "us")
        self._has_one_moment = True
        self._say(f"{frame.path} has no column {time}: views are as known at {written(self._at)}")
        return np.full(len(frame.frame), moment), []

    def _parsed(self, frame: Frame, names: list[str]) -> pd.DataFrame:
        """Return columns by which rows are looked up; a cell that cannot be read is missing."""
        contract = self._contract
        return pd.DataFrame(
            {
                name: parse(frame.frame[name], contract.columns[name], contract.source).values
                for name in names
            }
        )

    def _say(self, note: str) -> None:
        self._said[note] = None
