"""Templates rendered: the engine's, and the owner's that stand beside them and extend them.

The owner's run in a sandbox: they get what is documented, and reach for nothing else.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ...errors import ProjectError
from ...owner import shown

ENGINE = Path(__file__).with_name("templates")


class ReportError(ProjectError):
    """A template cannot be rendered."""


def render(
    name: str,
    context: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    owners: Path,
    engine: Path = ENGINE,
) -> str:
    """Return the page of a template of that name: the owner's in `owners`, or else the engine's.

    Every value is escaped but markup. `engine` holds the engine's, beside those that all reports
    share. Raises ReportError, naming file and line, where a template fails.
    """
    ours = ChoiceLoader([FileSystemLoader(engine), FileSystemLoader(ENGINE)])
    loaders: list[BaseLoader] = [FileSystemLoader(owners), PrefixLoader({"engine": ours})]
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    mine = (owners / name).is_file()
    try:
        page = environment.get_template(name if mine else f"engine/{name}").render(context)
    except Exception as error:  # whatever an expression of a template may raise
        reason = " ".join(f"{_kind(error)}{error}".split())
        raise ReportError(
            f"{_place(error, owners / name)} cannot be rendered ({reason}): mend it there, or "
            "remove the file to have the engine's page"
        ) from error
    return page.strip() + "\n"


def _kind(error: Exception) -> str:
    """Return what kind of error it is, where the message alone does not say."""
    return "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "


def _place(error: Exception, asked: Path) -> str:
    """Return the file and line of a template that an error comes from, the innermost."""
    places = list(_places(error))
    file, line = places[-1] if places else (asked, 1)
    return f"{shown(file)}:{line}"


def _places(error: Exception) -> Iterator[tuple[Path, int]]:
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.endswith((".html", ".css")):
            yield Path(frame.filename), frame.lineno or 1
    if isinstance(error, TemplateSyntaxError) and error.filename:
        yield Path(error.filename), error.lineno
