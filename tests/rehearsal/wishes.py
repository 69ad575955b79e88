"""The examples of a generated project's pages, as changes that an author makes.

A section (`## Title`) is one pull request. A line that names a file, before a block of code, says
what becomes of the block: `` `path`: `` is a new file, `` `path`, added: `` goes behind what it has
(imports of a module in front), `` `path`, merged: `` sets keys of a YAML file.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

STEP = re.compile(r"^`([\w./-]+)`(?:, (added|merged))?:\n```\w*\n(.*?)^```$", re.M | re.S)
IMPORT = re.compile(r"^(?:from [\w.]+ )?import .*\n", re.M)


class Step(NamedTuple):
    """One file of an example, and what becomes of its text: `written`, `added` or `merged`."""

    path: str
    how: str
    text: str


class Wish(NamedTuple):
    """One example: a title, and the files that its pull request changes."""

    title: str
    steps: tuple[Step, ...]

    def grant(self, project: Path) -> None:
        """Make the change in a project."""
        for step in self.steps:
            file = project / step.path
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(CHANGES[step.how](before, step.text), encoding="utf-8")


def wishes(page: str) -> Iterator[Wish]:
    """Yield the examples of a page; sections that change no file are none."""
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        title, _, text = section.partition("\n")
        steps = tuple(Step(path, how or "written", code) for path, how, code in STEP.findall(text))
        if steps:
            yield Wish(title.strip(), steps)


def _added(before: str, text: str) -> str:
    """Return a module with the text behind its code, its imports behind the docstring."""
    head = re.match(r'\s*(""".*?"""\n)?', before, re.S)
    place = head.end() if head else 0
    imports = [line for line in IMPORT.findall(text) if line not in before[place:]]
    code = IMPORT.sub("", text).strip()
    known = before[:place] + "".join(["\n" * bool(imports), *imports]) + before[place:]
    return f"{known.rstrip()}\n\n\n{code}\n"


def _merged(before: str, text: str) -> str:
    content = _deep(yaml.safe_load(before) or {}, yaml.safe_load(text))
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _deep(before: Any, change: Any) -> Any:
    if not isinstance(before, Mapping) or not isinstance(change, Mapping):
        return change
    return {**before, **{key: _deep(before.get(key), value) for key, value in change.items()}}


CHANGES = {"written": lambda _, text: text, "added": _added, "merged": _merged}
