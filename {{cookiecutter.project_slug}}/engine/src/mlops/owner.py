"""The owner's modules in src/project and src/policy, each imported where it is there."""

import importlib
import importlib.util
import traceback
from pathlib import Path
from types import ModuleType

from .errors import ProjectError


class OwnerError(ProjectError):
    """A module of the owner's cannot be imported."""


def module(name: str) -> ModuleType | None:
    """Return the owner's module of that name, like `policy.metrics`; None where there is none.

    Raises OwnerError, naming file and line, for one that cannot be imported.
    """
    package = name.partition(".")[0]
    if (
        importlib.util.find_spec(package) is None
        or (spec := importlib.util.find_spec(name)) is None
    ):
        return None
    try:
        return importlib.import_module(name)
    except Exception as error:
        file = spec.origin or name
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise OwnerError(
            f"{shown(Path(file))}:{_line(error, file)} cannot be imported ({reason}): mend it there"
        ) from error


def shown(file: Path) -> str:
    """Return how messages call a file of the owner's: from src/ on, wherever it is read."""
    places = [at for at, part in enumerate(file.parts) if part == "src"]
    return "/".join(file.parts[places[-1] :]) if places else str(file)


def _line(error: Exception, file: str) -> int:
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((one.lineno or 1 for one in reversed(frames) if one.filename == file), 1)
