"""A project's configuration as a page: every key of conf/, its value, and what is said of it."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

LONGEST = 160  # characters of a value
COMMENT = re.compile(r"^[\s,\]}]*#\s*(.*)$")


class Entry(NamedTuple):
    """A key by its path, its value as the file has it, and its comment."""

    key: str
    value: str
    comment: str


def page(conf: Path) -> str:
    """Return the page of all groups of `conf`."""
    groups = sorted(path for path in conf.iterdir() if path.is_dir())
    parts = [
        "# Configuration",
        "`params.yaml` chooses a file of each group (`model: {use: logistic}`) and changes keys of "
        "it. These are the files that a project starts with; they are its owner's.",
    ]
    for group in groups:
        parts.append(f"## {group.name}")
        for path in sorted(group.glob("*.yaml")):
            parts += [f"### {group.name}/{path.name}", *section(path.read_text(encoding="utf-8"))]
    return "\n\n".join(parts) + "\n"


def section(text: str) -> list[str]:
    """Return what a file says of itself, and the table of its keys."""
    rows = [
        f"| `{_cell(one.key)}` | {f'`{_cell(one.value)}`' if one.value else ''} "
        f"| {_cell(html.escape(one.comment, quote=False))} |"
        for one in entries(text)
    ]
    return [
        html.escape(_heading(text), quote=False),
        "\n".join(["| key | value | |", "|---|---|---|", *rows]),
    ]


def entries(text: str) -> Iterator[Entry]:
    """Yield each key of a YAML file with its comment: that of its line, after those above it."""
    node = yaml.compose(text)
    if isinstance(node, yaml.MappingNode):
        yield from _entries(node, text.splitlines(), text, "")


def _entries(mapping: yaml.MappingNode, lines: list[str], text: str, above: str) -> Iterator[Entry]:
    for key, value in mapping.value:
        name = f"{above}{key.value}"
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        last = key if block else value
        comment = " ".join([*_before(lines, key.start_mark.line), *_after(lines, last.end_mark)])
        written = "" if block else text[value.start_mark.index : value.end_mark.index]
        shown = " ".join(written.split())
        yield Entry(name, shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…", comment)
        if block:
            yield from _entries(value, lines, text, f"{name}.")


def _heading(text: str) -> str:
    """Return the comment that a file begins with."""
    return " ".join(line.lstrip("# ") for line in _first(text.splitlines()))


def _first(lines: list[str]) -> list[str]:
    count = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:count]


def _before(lines: list[str], at: int) -> list[str]:
    """Return the comment in the lines right above one, unless that is the file's own."""
    found: list[str] = []
    while at > len(_first(lines)) and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        found.insert(0, lines[at].lstrip("# "))
    return found


def _after(lines: list[str], mark: yaml.Mark) -> list[str]:
    """Return the comment that follows on the line of a mark."""
    if mark.line >= len(lines):
        return []
    rest = lines[mark.line][mark.column :]
    found = COMMENT.match(rest if mark.column else "") or COMMENT.match(rest.lstrip(":"))
    return [found[1]] if found else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
