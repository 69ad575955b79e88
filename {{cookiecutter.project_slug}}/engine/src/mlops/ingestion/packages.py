"""Packages that an origin needs and a project may not have."""

import importlib
from types import ModuleType

from ..data.errors import DataError


def needed(module: str, what: str, distribution: str = "") -> ModuleType:
    """Return a module; raises DataError with what to add where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = distribution or (error.name or module).partition(".")[0]
        raise DataError(missing(what, name)) from error


def missing(what: str, distribution: str) -> str:
    """Return the sentence about a package that is not there."""
    return (
        f"{what} needs {distribution}: add it to `train` in pyproject.toml's dependency groups, "
        "then `make lock setup`"
    )
