"""Credentials: read from variables while a run lasts, and masked in all that it says."""

import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ..data.errors import DataError

VARIABLES = "INGEST_ENV"  # lines NAME=value: in automation one secret brings them all
SHORTEST = 4  # signs: to mask less would mask half of every sentence
HIDDEN = "***"
_USER = re.compile(r"(?<=://)[^/@\s'\"]*:[^/@\s'\"]*(?=@)")


class Secrets:
    """What was read from variables in one run."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._known: set[str] = set()
        for value in parsed(self._environment.get(VARIABLES, "")).values():
            self._hide(value)

    def read(self, name: str) -> str:
        """Return the value of a variable; raises DataError where there is none."""
        value = self._environment.get(name) or parsed(self._environment.get(VARIABLES, "")).get(
            name
        )
        if not value:
            raise DataError(
                f"the variable {name} is not set: export it, or in automation add a line "
                f"{name}=… to the secret {VARIABLES}"
            )
        self._hide(value)
        return value

    def read_options(self, name: str | None) -> dict[str, Any]:
        """Return the mapping that a variable holds as JSON; an empty one without a name."""
        if name is None:
            return {}
        try:
            options = json.loads(self.read(name))
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise DataError(
                f'the variable {name} holds no JSON object: write it like {{"key": "…"}}'
            ) from None  # the reason of a JSON error is the text itself
        for value in options.values():
            self._hide(str(value))
        return options

    def masked(self, text: str) -> str:
        """Return a text without any value of a variable, and without passwords in addresses."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return _USER.sub(HIDDEN, text)

    def _hide(self, value: str) -> None:
        parts = {value}
        try:
            address = urlsplit(value)
            queried = [pair.partition("=")[2] for pair in address.query.split("&")]
            parts |= {part for part in (address.password, *queried) if part}
            if address.scheme in ("http", "https"):
                parts.add(address.path)  # in which some have a key
        except ValueError:
            pass
        parts |= {unquote(part) for part in parts}
        parts |= {word for part in [value] if part.startswith("Bearer ") for word in part.split()}
        self._known |= {part for part in parts if len(part) >= SHORTEST and part != "Bearer"}


def parsed(text: str) -> dict[str, str]:
    """Return variables by name from lines NAME=value; other lines say nothing."""
    pairs = (line.strip().partition("=") for line in text.splitlines())
    return {name: value for name, found, value in pairs if found and not name.startswith("#")}


def address(url: str) -> str:
    """Return an address as lineage has it: without user, password and values of its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(pair.partition("=")[0] for pair in parts.query.split("&") if pair)
    return urlunsplit((parts.scheme, host, parts.path, query, "")) or HIDDEN


def export() -> None:
    """Set the variables of the secret in this process, for libraries that read their own."""
    for name, value in parsed(os.environ.get(VARIABLES, "")).items():
        os.environ.setdefault(name, value)
