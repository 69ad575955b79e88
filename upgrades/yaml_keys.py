"""YAML merged by key: the template's changes are written into our text, all else of it kept.

Only spans of characters are exchanged, so that comments, quotes and order stay ours. What comes of
it is parsed again and has to hold exactly what a merge of the values holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

Plain = Any  # values of nodes: tuples of tag and text, lists, dicts
SUFFIXES, HOW = (".yaml", ".yml"), "by key"
HARD = (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken, yaml.DirectiveToken)


class _AmbiguousError(Exception):
    """There is no one answer, or none that this way can write."""


class Edit(NamedTuple):
    """Characters of our text that become others."""

    start: int
    end: int
    text: str


def merged(base: str, ours: str, theirs: str) -> str | None:
    """Return our text with what the template changed; None where people have to decide."""
    try:
        merge = _Merge(base, ours, theirs)
        wanted = merge.walk(*map(_composed, (base, ours, theirs)))
        made = _applied(ours, merge.edits)
        return made if _plain(_composed(made)) == wanted else None
    except (yaml.YAMLError, _AmbiguousError, RecursionError):
        return None


def is_sound(text: str) -> bool:
    """Say whether a text is YAML, of one document or several, without a key twice."""
    try:
        return all(_plain(node) or True for node in yaml.compose_all(text, yaml.SafeLoader) if node)
    except (yaml.YAMLError, _AmbiguousError, RecursionError):
        return False


def is_alike(one: str, other: str) -> bool:
    """Say whether two texts are YAML that holds the same."""
    try:
        return bool(_plain(_composed(one)) == _plain(_composed(other)))
    except (yaml.YAMLError, _AmbiguousError, RecursionError):
        return False


def _composed(text: str) -> yaml.Node:
    if any(isinstance(token, HARD) for token in yaml.scan(text, yaml.SafeLoader)):
        raise _AmbiguousError
    documents = list(yaml.compose_all(text, yaml.SafeLoader))
    if len(documents) != 1 or documents[0] is None:
        raise _AmbiguousError
    return documents[0]


def _plain(node: yaml.Node) -> Plain:
    """Return the values of a node, to be compared."""
    if isinstance(node, yaml.MappingNode):
        found = {_key(key): _plain(value) for key, value in node.value}
        if len(found) != len(node.value):
            raise _AmbiguousError  # a key twice
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(one) for one in node.value]
    return (node.tag, node.value)


def _key(node: yaml.Node) -> tuple[str, str]:
    if not isinstance(node, yaml.ScalarNode):
        raise _AmbiguousError
    return (node.tag, node.value)


def _entries(node: yaml.Node) -> dict[tuple[str, str], tuple[yaml.Node, yaml.Node]]:
    return {_key(key): (key, value) for key, value in node.value}


@dataclass
class _Merge:
    base: str
    ours: str
    theirs: str
    edits: list[Edit] = field(default_factory=list)

    def walk(self, base: yaml.Node, ours: yaml.Node, theirs: yaml.Node) -> Plain:
        """Collect the edits by which `ours` takes the template's changes; return what it holds."""
        nodes = (base, ours, theirs)
        if all(isinstance(node, yaml.MappingNode) for node in nodes):
            was, here, there = map(_entries, nodes)
            return self._mapping(was, here, there, ours, theirs)
        was, here, there = (_plain(node) for node in nodes)
        if there in (was, here):
            return here
        if all(isinstance(node, yaml.SequenceNode) for node in nodes) and (
            len(was) == len(here) == len(there)
        ):
            return [self.walk(*three) for three in zip(*(n.value for n in nodes), strict=True)]
        if here != was or not (_is_inline(ours, self.ours) and _is_inline(theirs, self.theirs)):
            raise _AmbiguousError
        self._exchange(ours, theirs)
        return there

    def _mapping(
        self, base: Any, ours: Any, theirs: Any, here: Any, there: Any
    ) -> dict[Any, Plain]:
        made = {key: _plain(value) for key, (_, value) in ours.items()}
        before: tuple[yaml.Node, yaml.Node] | None = None  # of ours, the last that theirs has too
        for key, entry in theirs.items():
            value = _plain(entry[1])
            if key in base and key in ours:
                made[key] = self._value(base[key], ours[key], entry)
            elif key in ours:
                if made[key] != value:
                    raise _AmbiguousError  # both added it
            elif key not in base:
                self._insert(entry, before, here, there)
                made[key] = value
            elif _plain(base[key][1]) != value:
                raise _AmbiguousError  # removed here, changed there
            before = ours.get(key, before)
        for key in base.keys() - theirs.keys():
            if key in ours:
                self._remove(base[key], ours[key], here)
                del made[key]
        return made

    def _value(self, base: Any, ours: Any, theirs: Any) -> Plain:
        """Do the same for the value of a key; where lines have to change, for all its lines."""
        held = len(self.edits)
        try:
            return self.walk(base[1], ours[1], theirs[1])
        except _AmbiguousError:
            del self.edits[held:]
        old, mine, new = (
            _lines(text, *entry)
            for text, entry in (
                (self.base, base),
                (self.ours, ours),
                (self.theirs, theirs),
            )
        )
        if self.base[slice(*old)] != self.ours[slice(*mine)]:
            raise _AmbiguousError
        self.edits.append(Edit(*mine, self._moved(new, theirs[0], ours[0])))
        return _plain(theirs[1])

    def _exchange(self, ours: yaml.Node, theirs: yaml.Node) -> None:
        start, end = ours.start_mark.index, ours.end_mark.index
        text = self.theirs[theirs.start_mark.index : theirs.end_mark.index]
        self.edits.append(Edit(start, end, text if start < end else f" {text}"))

    def _insert(
        self,
        entry: tuple[yaml.Node, yaml.Node],
        before: tuple[yaml.Node, yaml.Node] | None,
        here: Any,
        there: Any,
    ) -> None:
        if here.flow_style or there.flow_style:
            self._insert_inline(entry, before, here)
            return
        lines = _lines(self.theirs, *entry, above=True)
        first = here.value[0][0]
        place = _lines(self.ours, *before)[1] if before else _line_start(self.ours, first)
        text = self._moved(lines, entry[0], first)
        if place and self.ours[place - 1] != "\n":
            text = f"\n{text}"
        self.edits.append(Edit(place, place, text))

    def _insert_inline(self, entry: Any, before: Any, here: Any) -> None:
        key, value = entry
        if not here.flow_style or before is None or not _is_inline(value, self.theirs):
            raise _AmbiguousError
        place = before[1].end_mark.index
        name = self.theirs[key.start_mark.index : key.end_mark.index]
        said = self.theirs[value.start_mark.index : value.end_mark.index]
        self.edits.append(Edit(place, place, f", {name}: {said}"))

    def _remove(self, base: Any, ours: Any, here: Any) -> None:
        old, mine = _lines(self.base, *base), _lines(self.ours, *ours)
        if here.flow_style or self.base[slice(*old)] != self.ours[slice(*mine)]:
            raise _AmbiguousError
        self.edits.append(Edit(*mine, ""))

    def _moved(self, lines: tuple[int, int], key: yaml.Node, like: yaml.Node) -> str:
        """Return lines of theirs, indented as our keys are at that place."""
        off = like.start_mark.column - key.start_mark.column
        text = self.theirs[slice(*lines)]
        made = "".join(_indented(line, off) for line in text.splitlines(keepends=True))
        return made if made.endswith("\n") else f"{made}\n"


def _indented(line: str, off: int) -> str:
    if not line.strip():
        return line
    if off >= 0:
        return " " * off + line
    if line[:-off].strip():
        raise _AmbiguousError
    return line[-off:]


def _is_inline(node: yaml.Node, text: str) -> bool:
    """Say whether a value may be exchanged as characters within a line."""
    if isinstance(node, yaml.ScalarNode):
        span = text[node.start_mark.index : node.end_mark.index]
        return node.style not in ("|", ">") and "\n" not in span
    return _is_flow(node)


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _line_start(text: str, node: yaml.Node) -> int:
    return text.rfind("\n", 0, node.start_mark.index) + 1


def _lines(text: str, key: yaml.Node, value: yaml.Node, above: bool = False) -> tuple[int, int]:
    """Return where the lines of an entry begin and end, with comments right above if so asked."""
    start = _line_start(text, key)
    if text[start : key.start_mark.index].strip():
        raise _AmbiguousError  # not alone on its line, as the first key of an item is not
    end = text.find("\n", _last(text, key, value))
    while above and (comment := text.rfind("\n", 0, start - 1) + 1) < start:
        if not text[comment:start].lstrip().startswith("#"):
            break
        start = comment
    return start, len(text) if end < 0 else end + 1


def _last(text: str, key: yaml.Node, value: yaml.Node) -> int:
    """Return where the last character of an entry is: a block node's own end is that of gaps."""
    if isinstance(value, yaml.ScalarNode) or _is_flow(value):
        end = value.end_mark.index
        return max(len(text[:end].rstrip()), key.end_mark.index)
    return max(_last(text, key, one) for one in _children(value))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for one in node.value:
        yield one[1] if isinstance(one, tuple) else one


def _applied(text: str, edits: Sequence[Edit]) -> str:
    for edit in sorted(reversed(edits), key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text
