"""Which engine an address names; a driver is imported where one asks for it."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from ...views.online import About, Entry, OnlineError, Store

TIMEOUT = 0.1  # seconds for one answer of a store beyond a network
KNOWN = {
    "sqlite": ("sqlite", ""),
    "redis": ("redis", "redis"),
    "rediss": ("redis", "redis"),
    "postgresql": ("postgresql", "psycopg"),
    "postgres": ("postgresql", "psycopg"),
}


class Remote(Store):
    """A store beyond a network: what is written is read only when all of it is there."""

    remote = True

    def load(self, table: str, about: About, entries: Iterable[Entry], at: int) -> int:
        """Write a table that is not there yet; nobody reads it before it is complete."""
        self.begin(table, about, at)
        written = self.upsert(table, entries)
        self.complete(table, at)
        return written


def opened(url: str, timeout: float = TIMEOUT, write: bool = False) -> Store:
    """Return the store at an address like sqlite:///data/online.db.

    `timeout` is for each answer while requests wait; what is written may take longer. Raises
    OnlineError for another scheme, and where a driver is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in KNOWN:
        raise OnlineError(
            f"{shown(url)} is no online store: name one like sqlite:///data/online.db, "
            "redis://host:6379/0 or postgresql://user@host/name"
        )
    module, driver = KNOWN[scheme]
    try:
        engine: Any = import_module(f".{module}", __package__)
    except ModuleNotFoundError as error:
        if error.name != driver:
            raise
        raise OnlineError(
            f"{driver} is not installed, which {scheme}:// needs: add it to `serve` of the "
            "dependency groups in pyproject.toml, then `make lock setup`"
        ) from error
    store: Store = engine.opened(url, timeout, write)
    return store


def shown(url: str) -> str:
    """Return an address without what is secret in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else "what is given"


def newer(view: str) -> str:
    """Return what is said where somebody else is ahead."""
    return (
        f"the online store holds {view} of a later time, or is just given it: leave out --at, or "
        "wait for the other run"
    )
