"""Edits of a YAML text at the places of its nodes: comments and layout stay as they are."""

import json
import re
from collections.abc import Callable

import yaml

from ..errors import ProjectError

SIMPLE = re.compile(r"[\w./-]+")
BLOCK = re.compile(r"[>|][-+0-9]*[^\n]*\n\s*")


class WorkflowError(ProjectError):
    """A workflow cannot be brought to the top of the repository as it is."""


class Edits:
    """A text, and what is to be inserted and replaced in it: by the nodes of one reading."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self._where = text, where
        self._made: list[tuple[int, int, str]] = []
        try:
            root = yaml.compose(text, yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise WorkflowError(f"{where} is not valid YAML: correct it first") from error
        if not isinstance(root, yaml.MappingNode):
            raise WorkflowError(f"{where} is no workflow: a mapping is missing")
        self.root = root

    def raw(self, node: yaml.Node) -> str:
        """Return a node as it is written."""
        return self.text[node.start_mark.index : node.end_mark.index].rstrip()

    def replace(self, node: yaml.Node, new: str) -> None:
        """Write something else in the place of a node."""
        start = node.start_mark.index
        self._made.append((start, start + len(self.raw(node)), new))

    def change(self, node: yaml.Node, by: Callable[[str], str]) -> None:
        """Change each line of a text, however it is quoted."""
        raw = self.raw(node)
        if BLOCK.match(raw):
            head, _, rest = raw.partition("\n")
            self.replace(node, "\n".join([head, *map(by, rest.split("\n"))]))
        elif raw[:1] in ("'", '"'):
            self.replace(node, f"{raw[0]}{by(raw[1:])}")
        else:
            self.replace(node, by(raw))

    def prefix(self, node: yaml.Node, before: str) -> None:
        """Put something before a text, once."""
        raw = self.raw(node)
        block = BLOCK.match(raw)
        at = block.end() if block else int(raw[:1] in ("'", '"'))
        self.replace(node, f"{raw[:at]}{before}{raw[at:]}")

    def remove(self, key: yaml.Node, value: yaml.Node) -> None:
        """Take an entry of a mapping out, with the empty line after it."""
        end = value.start_mark.index + len(self.raw(value))
        after = re.compile(r"[^\n]*\n\n?").match(self.text, end)
        self._made.append((self.line(key), after.end() if after else end, ""))

    def insert(self, at: int, new: str) -> None:
        """Insert a text before a place."""
        self._made.append((at, at, new))

    def before(self, key: yaml.Node, lines: str) -> None:
        """Insert lines, of a mapping's entries, before that of a key, indented as it is."""
        indent = " " * key.start_mark.column
        self.insert(self.line(key), "".join(f"{indent}{one}\n" for one in lines.splitlines()))

    def after(self, key: yaml.Node, value: yaml.Node, line: str) -> None:
        """Insert a line after that of an entry, indented as its key is."""
        end = self.text.find("\n", value.start_mark.index + len(self.raw(value)))
        at = len(self.text) if end < 0 else end
        self.insert(at, f"\n{' ' * key.start_mark.column}{line}")

    def add(self, mapping: yaml.Node, key: str, value: str) -> None:
        """Add an entry to a mapping, as its first."""
        entries = self.entries(mapping)
        first = next(iter(entries.values()), None)
        if first is None:
            self.replace(mapping, f"{{{key}: {value}}}")
        elif is_flow(mapping):
            self.insert(first[0].start_mark.index, f"{key}: {value}, ")
        else:
            indent = " " * first[0].start_mark.column
            self.insert(first[0].start_mark.index, f"{key}: {value}\n{indent}")

    def line(self, node: yaml.Node) -> int:
        """Return where the line of a node begins."""
        return int(node.start_mark.index - node.start_mark.column)

    def entries(self, node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return key and value of each entry of a mapping, by the key."""
        if isinstance(node, yaml.ScalarNode) and node.value == "":
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise WorkflowError(
                f"{self._where} has no mapping in line {node.start_mark.line + 1}: write one there"
            )
        return {key.value: (key, value) for key, value in node.value}

    def short(self, node: yaml.Node, key: str) -> yaml.Node:
        """Return an entry of a mapping, or the text that may stand in the mapping's place."""
        return self.entries(node)[key][1] if isinstance(node, yaml.MappingNode) else node

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """Return the items of a list; a lone one is a list of one."""
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def applied(self) -> str:
        """Return the text with all of that done."""
        parts, at = [], 0
        for start, end, new in sorted(self._made, key=lambda edit: edit[:2]):
            parts += [self.text[at:start], new]
            at = max(at, end)
        return "".join([*parts, self.text[at:]])


def is_flow(node: yaml.Node) -> bool:
    """Say whether a mapping or a list is written in brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def quoted(text: str) -> str:
    """Return a text as YAML has it: as it is, or in quotes where it has to be."""
    return text if SIMPLE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
