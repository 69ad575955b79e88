"""The owner's modules in src/project and src/policy, each imported where it is there."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from .errors import ProjectError
from .files import read_yaml


class OwnerError(ProjectError):
    """A module of the owner's cannot be imported, or is not where DVC looks for changes."""


def module(name: str) -> ModuleType | None:
    """Return the owner's module of that name, like `policy.metrics`; None where there is none.

    Raises OwnerError, naming file and line, for one that cannot be imported.
    """
    package, file = name.partition(".")[0], name
    try:
        if (spec := importlib.util.find_spec(package)) is None:
            return None
        file = spec.origin or package
        if (spec := importlib.util.find_spec(name)) is None:  # runs __init__.py of the package
            return None
        file = spec.origin or name
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise OwnerError(
            f"{shown(Path(file))}:{_line(error, file)} cannot be imported ({reason}): mend it there"
        ) from error


def place(error: BaseException, name: str) -> str:
    """Return file and line of the owner's module where an error came up, else only the file."""
    file = f"src/{name.replace('.', '/')}.py"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [one.lineno for one in frames if shown(Path(one.filename)) == file]
    return f"{file}:{lines[-1]}" if lines else file


def check_declared(stage: str, root: Path) -> None:
    """Raise OwnerError where a stage has run a file of the owner's that dvc.yaml does not name.

    An edit of that file would leave the stage's results as they are. Of a stage that is none of the
    pipeline's, DVC keeps no results.
    """
    asked = read_yaml(root / "dvc.yaml")["stages"].get(stage)
    if asked is None:
        return
    place, deps = root.resolve(), asked.get("deps", [])
    declared = [place / (dep if isinstance(dep, str) else next(iter(dep))) for dep in deps]
    run = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
    files = {Path(file) for file in run if file}
    for file in sorted(file for file in files if file.is_relative_to(place / "src")):
        if file.name != "__init__.py" and not any(file.is_relative_to(dep) for dep in declared):
            raise OwnerError(
                f"the stage {stage} ran {shown(file)}, which dvc.yaml does not name: add it to "
                f"`deps` of {stage} there, so that an edit of it runs the stage again"
            )


def shown(file: Path) -> str:
    """Return how messages call a file of the owner's: from src/ on, wherever it is read."""
    places = [at for at, part in enumerate(file.parts) if part == "src"]
    return "/".join(file.parts[places[-1] :]) if places else str(file)


def _line(error: BaseException, file: str) -> int:
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((one.lineno or 1 for one in reversed(frames) if one.filename == file), 1)
