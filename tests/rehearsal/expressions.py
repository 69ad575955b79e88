"""GitHub's expression language: parsed, checked for what it names, evaluated with its coercions.

Strict where GitHub is lenient: an unknown function or context is an error, not an empty string.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .functions import FUNCTIONS, number, text, truthy

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>[+-]?(?:0x[0-9a-fA-F]+|0o[0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity)"
    r"(?![\w.]))"
    r"|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()\[\].,*]))"
)
CONSTANTS = {"true": True, "false": False, "null": None, "NaN": math.nan, "Infinity": math.inf}
STATUS = ("success", "failure", "always", "cancelled")
BINARY = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="))


class ExpressionError(Exception):
    """An expression that GitHub, or this rehearsal, does not know."""


class Known(dict[str, Any]):
    """A context in which a name that is not there is a mistake, not an empty string."""


class Filtered(list[Any]):
    """What `.*` selected: the next name is looked up in each of it."""


Node = tuple[Any, ...]


@dataclass
class Scope:
    """What an expression may see: contexts, the status functions, and how files are hashed."""

    contexts: Mapping[str, Any]
    status: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    hash_files: Callable[..., str] | None = None


def parse(source: str) -> Node:
    """Return the tree of an expression."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while source[at:].strip():
        found = TOKEN.match(source, at)
        if found is None:
            raise ExpressionError(f"cannot read {source[at:]!r} in {source!r}")
        kind = str(found.lastgroup)
        tokens.append((kind, found.group(kind)))
        at = found.end()
    parser = _Parser([*tokens, ("end", "")], source)
    tree = parser.binary(0)
    if parser.peek() != ("end", ""):
        raise ExpressionError(f"{parser.peek()[1]!r} is not expected in {source!r}")
    return tree


class _Parser:
    def __init__(self, tokens: Sequence[tuple[str, str]], source: str) -> None:
        self.tokens, self.source, self.at = tokens, source, 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def next(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, sign: str) -> None:
        if self.next() != ("sign", sign):
            raise ExpressionError(f"{sign!r} is missing in {self.source!r}")

    def accept(self, *signs: str) -> str | None:
        kind, sign = self.peek()
        if kind == "sign" and sign in signs:
            self.at += 1
            return sign
        return None

    def binary(self, level: int) -> Node:
        if level == len(BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while sign := self.accept(*BINARY[level]):
            left = (sign, left, self.binary(level + 1))
        return left

    def unary(self) -> Node:
        return ("!", self.unary()) if self.accept("!") else self.postfix(self.primary())

    def primary(self) -> Node:
        kind, said = self.next()
        if kind == "string":
            return ("literal", said[1:-1].replace("''", "'"))
        if kind == "number":
            return ("literal", number(said))
        if (kind, said) == ("sign", "("):
            inner = self.binary(0)
            self.expect(")")
            return inner
        if kind != "name":
            raise ExpressionError(f"{said or 'the end'!r} is not expected in {self.source!r}")
        if self.accept("("):
            return ("call", said.lower(), *self.arguments())
        if said in CONSTANTS:
            return ("literal", CONSTANTS[said])
        return ("context", said.lower())

    def arguments(self) -> list[Node]:
        given: list[Node] = []
        while not self.accept(")"):
            if given:
                self.expect(",")
            given.append(self.binary(0))
        return given

    def postfix(self, node: Node) -> Node:
        while sign := self.accept(".", "["):
            if sign == ".":
                if self.accept("*"):
                    node = ("filter", node)
                    continue
                kind, name = self.next()
                if kind != "name":
                    raise ExpressionError(f"a name is missing after '.' in {self.source!r}")
                node = ("index", node, ("literal", name))
            elif self.accept("*"):
                self.expect("]")
                node = ("filter", node)
            else:
                node = ("index", node, self.binary(0))
                self.expect("]")
        return node


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


def compare(sign: str, left: Any, right: Any) -> bool:
    """Compare as GitHub does: loosely across kinds, strings without regard to case."""
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        same = left is right
        return {"==": same, "!=": not same}.get(sign, same and "=" in sign)
    a, b = left, right
    if isinstance(a, str) and isinstance(b, str):
        a, b = a.upper(), b.upper()
    elif a is None and b is None and sign in ("==", "!="):
        return sign == "=="
    else:
        a, b = number(a), number(b)
    return {
        "==": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }[sign]


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
    """Return a text with its expressions replaced; a lone expression keeps the kind of its value."""
    if not isinstance(template, str):
        return template
    parts = split(template)
    if len(parts) == 1 and isinstance(parts[0], tuple):
        return evaluate(parts[0], scope)
    return "".join(part if isinstance(part, str) else text(evaluate(part, scope)) for part in parts)
