"""One way to read every kind of origin: frames of the days asked for."""

import importlib
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from ..contract import Source
from ..data import sources
from ..data.errors import DataError
from ..files import sha256_of
from ..origins import Bucket, Delta, Files, Http, Iceberg, Sql
from ..progress import progress
from .canonical import canonical
from .dataset import Dataset
from .environment import Secrets
from .window import Window

ROWS = 50_000  # of a frame
_KINDS = {
    Files: "files",
    Bucket: "bucket",
    Sql: "sql",
    Http: "http",
    Delta: "lakes",
    Iceberg: "lakes",
}


@dataclass
class Reading:
    """One run over an origin: its frames, and after them what it was that gave these."""

    dataset: Dataset
    window: Window
    secrets: Secrets
    told: dict[str, Any] = field(default_factory=dict)  # what lineage says of the origin

    @property
    def source(self) -> Source:
        """How texts are read."""
        return self.dataset.source

    def frames(self) -> Generator[pd.DataFrame]:
        """Yield cleaned frames; raises DataError, in which no secret stands, for any failure."""
        origin = self.source.origin
        given: Generator[pd.DataFrame]
        if origin is None:
            self.told |= {"kind": "function", "function": self.source.ingest}
            given = sources.fetched(self.source, self.window.since, self.window.until)
        else:
            room = f"{__package__}.readers.{_KINDS[type(origin)]}"
            given = importlib.import_module(room).frames(origin, self)
        try:
            with closing(given):
                for frame in given:
                    yield sources.clean(frame, self.source.missing)
        except DataError as error:
            raise DataError(self.secrets.masked(str(error))) from None
        except Exception as error:  # whatever a database, a server or a parser raises
            reason = " ".join(self.secrets.masked(f"{type(error).__name__}: {error}").split())
            raise DataError(
                f"{self.dataset.name} cannot be read from its origin ({reason}): see that it is "
                f"reachable, or correct `source.origin` in {self.dataset.file}"
            ) from None


def tables(reading: Reading) -> Generator[pa.Table]:
    """Yield what an origin gives, in one form."""
    # An origin keeps a connection open: it is let go where a row is refused, too.
    with closing(reading.frames()) as frames:
        for frame in progress(frames, f"ingest {reading.dataset.name}", unit="frame"):
            if len(frame):
                yield canonical(frame, reading.dataset)


def is_bounded(source: Source) -> bool:
    """Say whether an origin can be asked for some days alone."""
    if source.origin is not None:
        return source.origin.is_bounded
    return bool(sources.takes_window(source))


def lineage(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an origin, with a long text as its digest."""
    shown = dict(told)
    if "query" in shown:
        shown["query"] = sha256_of(str(shown["query"]))
    return shown
