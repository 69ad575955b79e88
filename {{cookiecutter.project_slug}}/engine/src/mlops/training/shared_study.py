"""The finished trials of a search in a PostgreSQL database that machines share.

Who works at a trial holds an advisory lock of the database, which ends with its connection.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from .study import Study, Trial, TuningError

PLACE = "MLOPS_STUDIES"  # the address, which may hold a password: no file has it
SCHEMES = ("postgresql", "postgres")
PATIENCE = 10  # seconds until the server takes a connection
TABLE = """create table if not exists mlops_finished (
  study text, number integer, parameters text, scores text, pruned boolean,
  primary key (study, number)
)"""
MAKING = 0x6D6C6F7073  # the lock under which the table is made: two at once would fail


class History(Protocol):
    """Where finished trials are kept, and who works at the others."""

    def finished(self) -> dict[int, Trial]:
        """Return the finished trials by number."""

    def add(self, trial: Trial) -> None:
        """Keep a finished trial."""

    def claimed(self, number: int, wait: bool = False) -> AbstractContextManager[bool]:
        """Yield whether this caller alone works at that trial; `wait` until it does."""


def opened(storage: Path, name: str, environment: Mapping[str, str] = os.environ) -> History:
    """Return the study of a question: in the database that MLOPS_STUDIES names, else in a file."""
    if not (url := environment.get(PLACE)):
        return Study(storage, name)
    if urlsplit(url).scheme not in SCHEMES:
        raise TuningError(
            f"{PLACE} names no PostgreSQL: give it as postgresql://user@host/name, or unset it, "
            f"and the trials are kept in {storage.name}"
        )
    try:
        driver = import_module("psycopg")
    except ModuleNotFoundError as error:
        raise TuningError(
            f"psycopg is not installed, which {PLACE} needs: add `psycopg[binary]` to `dev` of "
            "the dependency groups in pyproject.toml, then `make lock setup`"
        ) from error
    return SharedStudy(driver, url, name)


class SharedStudy:
    """The trials of one question; raises TuningError where the database cannot be used."""

    def __init__(self, driver: Any, url: str, name: str) -> None:
        self._driver, self._url = driver, url
        digest = blake2b(name.encode(), digest_size=8)
        self._name = digest.hexdigest()
        self._lock = int.from_bytes(digest.digest()[:4], signed=True)
        with self._connected() as database, database.transaction():
            database.execute("select pg_advisory_xact_lock(%s)", [MAKING])
            database.execute(TABLE)

    def finished(self) -> dict[int, Trial]:
        """Return the finished trials by number."""
        with self._connected() as database:
            rows = database.execute(
                "select number, parameters, scores, pruned from mlops_finished where study = %s",
                [self._name],
            ).fetchall()
        return {
            number: Trial(number, json.loads(given), tuple(json.loads(scores)), pruned)
            for number, given, scores, pruned in rows
        }

    def add(self, trial: Trial) -> None:
        """Keep a finished trial."""
        given, scores = json.dumps(trial.parameters), json.dumps(trial.scores)
        with self._connected() as database:
            database.execute(
                "insert into mlops_finished values (%s, %s, %s, %s, %s) on conflict do nothing",
                [self._name, trial.number, given, scores, trial.pruned],
            )

    @contextmanager
    def claimed(self, number: int, wait: bool = False) -> Iterator[bool]:
        """Yield whether this caller alone works at that trial; `wait` until it does.

        Where the connection is lost meanwhile, another may do the trial too, with the same end.
        """
        with self._asked() as database:
            try:
                how = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
                row = database.execute(f"select {how}(%s, %s)", [self._lock, number]).fetchone()
            except self._driver.Error as error:
                raise self._unusable(error) from error
            yield wait or bool(row[0])

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            with self._asked() as database:
                yield database
        except self._driver.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        """Yield a connection of its own: threads share none, and its locks end with it."""
        try:
            database = self._driver.connect(self._url, autocommit=True, connect_timeout=PATIENCE)
        except self._driver.Error as error:
            raise self._unusable(error) from error
        try:
            yield database
        finally:
            database.close()

    def _unusable(self, error: Exception) -> TuningError:
        address = urlsplit(self._url)
        host = address.netloc.rpartition("@")[2]
        reason = " ".join(str(error).split())
        return TuningError(
            f"the history of the search at {address.scheme}://{host}{address.path} cannot be used "
            f"({reason}): see that it runs and takes this user, or correct {PLACE}"
        )
