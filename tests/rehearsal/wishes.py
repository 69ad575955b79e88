"""The examples of a generated project's pages, as changes that an author makes.

A section (`## Title`) is one pull request. A line that names a file, before a block of code, says
what becomes of the block: `` `path`: `` is a new file, `` `path`, added: `` goes behind what it has
(imports of a module in front), `` `path`, merged: `` sets keys of a YAML or TOML file. And
`` `path`, removed. `` has no block.
"""

import io
import re
import shutil
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from baked import SOURCE
from ruamel.yaml import YAML

PAGES = [SOURCE / f"engine/docs/{name}.md" for name in ("owning", "reports", "gate", "promotion")]
PAGES += [SOURCE / "engine/docs/serving.md"]
# The examples by the pull request that has them. On a project without the workflows
# (test_owning.py): what judges, what makes the model, and what is of a table of numbers.
JUDGING = ("A metric and a rule", "A value table", "The gate's page", "More environments")
MAKING = (
    "Data from a query or an API",
    "Datetimes, large numbers and texts, without code",
    "A feature of a text",
    "A package",
    "The holdout report",
    "Before and after a prediction, and an endpoint of your own",
    "A setting",
)
MEASURED = ("A transformed target, weights, monotonic constraints",)
# In the rehearsal (test_wishes.py).
FIRST = (
    "Data that several files hold",
    "Cleaning",
    "A feature of categories",
    "A metric and a rule",
    "Before and after a prediction",
)
SECOND = ("An estimator",)
STEP = re.compile(
    r"^`([\w./=-]+)`(?:, (removed)\.$|(?:, (added|merged))?:\n```\w*\n(.*?)^```$)", re.M | re.S
)
IMPORT = re.compile(r"^(?:from [\w.]+ )?import .*\n", re.M)


class Step(NamedTuple):
    """One file of an example, and what becomes of it: `written`, `added`, `merged`, `removed`."""

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
            if step.how == "removed":
                file.unlink()
                if file.suffix == ".dvc":  # as `dvc remove --outs` does
                    shutil.rmtree(file.with_suffix(""))
                continue
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            file.parent.mkdir(parents=True, exist_ok=True)
            change = _toml if file.suffix == ".toml" else CHANGES[step.how]
            file.write_text(change(before, step.text), encoding="utf-8")


def documented() -> dict[str, Wish]:
    """Return the examples of all pages by title."""
    found = [wish for page in PAGES for wish in wishes(page.read_text(encoding="utf-8"))]
    named = {wish.title: wish for wish in found}
    assert len(named) == len(found)
    return named


def wishes(page: str) -> Iterator[Wish]:
    """Yield the examples of a page; sections that change no file are none."""
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        title, _, text = section.partition("\n")
        steps = tuple(
            Step(path, removed or how or "written", code)
            for path, removed, how, code in STEP.findall(text)
        )
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
    """Return a YAML file with the keys of the text, and the rest as it was written."""
    written = YAML()
    written.width = 10_000
    written.indent(mapping=2, sequence=4, offset=2)
    content = written.load(before)
    _merge(content, written.load(text))
    file = io.StringIO()
    written.dump(content, file)
    return file.getvalue()


def _merge(before: MutableMapping[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(before.get(key), MutableMapping):
            _merge(before[key], value)
        else:
            before[key] = value


def _toml(before: str, text: str) -> str:
    document = tomlkit.parse(before)
    for table, keys in tomlkit.parse(text).items():
        document[table].update(keys)
    return tomlkit.dumps(document)


CHANGES = {"written": lambda _, text: text, "added": _added, "merged": _merged}
