"""GitHub's expression language, evaluated with its coercions.

Strict where GitHub is lenient: an unknown function or context is an error, not an empty string.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .functions import FUNCTIONS, compare, number, text, truthy
from .grammar import ExpressionError, Node, parse

STATUS = ("success", "failure", "always", "cancelled")


class Known(dict[str, Any]):
    """A context in which a name that is not there is a mistake, not an empty string."""


class Filtered(list[Any]):
    """What `.*` selected: the next name is looked up in each of it."""


@dataclass
class Scope:
    """What an expression may see: contexts, the status functions, and how files are hashed."""

    contexts: Mapping[str, Any]
    status: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    hash_files: Callable[..., str] | None = None


def named(tree: Node, kind: str) -> set[str]:
    """Return the names of the contexts (`context`) or functions (`call`) that a tree uses."""
    own = {tree[1]} if tree[0] == kind else set()
    inner = (part for part in tree[1:] if isinstance(part, tuple))
    return own.union(*(named(part, kind) for part in inner))


def evaluate(tree: Node, scope: Scope) -> Any:
    """Return the value of a tree."""
    kind = tree[0]
    if kind == "literal":
        return tree[1]
    if kind == "context":
        if tree[1] not in scope.contexts:
            raise ExpressionError(f"there is no context {tree[1]!r} here")
        return scope.contexts[tree[1]]
    if kind == "call":
        return _call(tree[1], [*tree[2:]], scope)
    if kind == "!":
        return not truthy(evaluate(tree[1], scope))
    if kind == "filter":
        return _filter(evaluate(tree[1], scope))
    if kind == "index":
        return _index(evaluate(tree[1], scope), evaluate(tree[2], scope))
    left = evaluate(tree[1], scope)
    if kind in ("&&", "||"):
        return left if truthy(left) == (kind == "||") else evaluate(tree[2], scope)
    return compare(kind, left, evaluate(tree[2], scope))


def _call(name: str, arguments: list[Node], scope: Scope) -> Any:
    if name in STATUS:
        if name not in scope.status or arguments:
            raise ExpressionError(f"{name}() has no place here, or no arguments")
        return scope.status[name]()
    given = [evaluate(argument, scope) for argument in arguments]
    if name == "hashfiles" and scope.hash_files is not None and given:
        return scope.hash_files(*map(text, given))
    if name not in FUNCTIONS:
        raise ExpressionError(f"there is no function {name!r} here")
    function, least, most = FUNCTIONS[name]
    if not least <= len(given) <= most:
        raise ExpressionError(f"{name}() does not take {len(given)} arguments")
    try:
        return function(*given)
    except ValueError as error:
        raise ExpressionError(f"{name}(): {error}") from error


def _filter(value: Any) -> Filtered:
    if isinstance(value, Filtered):
        return Filtered(inner for one in value for inner in _filter(one))
    if isinstance(value, Mapping):
        return Filtered(value.values())
    return Filtered(value) if isinstance(value, list) else Filtered()


def _index(value: Any, key: Any) -> Any:
    if isinstance(value, Filtered) and isinstance(key, str):
        picked = (_index(one, key) for one in value if isinstance(one, Mapping))
        return Filtered(one for one in picked if one is not None)
    if isinstance(value, Mapping):
        wanted = text(key).lower()
        for name, inner in value.items():
            if name.lower() == wanted:
                return inner
        if isinstance(value, Known):
            raise ExpressionError(f"there is no {text(key)!r} here, only {', '.join(value)}")
        return None
    if isinstance(value, list):
        at = number(key)
        return value[int(at)] if not math.isnan(at) and 0 <= at < len(value) else None
    return None


def split(template: str) -> list[str | Node]:
    """Return a text in its parts: plain strings, and the trees of its `${{ … }}`."""
    parts: list[str | Node] = []
    rest = template
    while (start := rest.find("${{")) >= 0:
        end = _end(rest, start + 3)
        if start:
            parts.append(rest[:start])
        parts.append(parse(rest[start + 3 : end]))
        rest = rest[end + 2 :]
    return [*parts, rest] if rest else parts


def _end(template: str, at: int) -> int:
    """Return where the expression that starts at `at` ends; a string may hold braces."""
    quoted = False
    for position in range(at, len(template)):
        quoted ^= template[position] == "'"
        if not quoted and template.startswith("}}", position):
            return position
    raise ExpressionError(f"an expression has no end in {template!r}")


def trees(template: str) -> list[Node]:
    """Return the expressions of a text."""
    return [part for part in split(template) if isinstance(part, tuple)]


def interpolate(template: Any, scope: Scope) -> Any:
    """Return a text with its expressions replaced; a lone one keeps the kind of its value."""
    if not isinstance(template, str):
        return template
    parts = split(template)
    if len(parts) == 1 and isinstance(parts[0], tuple):
        return evaluate(parts[0], scope)
    return "".join(part if isinstance(part, str) else text(evaluate(part, scope)) for part in parts)
