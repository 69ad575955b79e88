"""The grammar of GitHub's expressions: a text becomes a tree."""

import math
import re
from collections.abc import Sequence
from typing import Any

from .functions import number

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>[+-]?(?:0x[0-9a-fA-F]+|0o[0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity)"
    r"(?![\w.]))"
    r"|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()\[\].,*]))"
)
CONSTANTS = {"true": True, "false": False, "null": None, "NaN": math.nan, "Infinity": math.inf}
BINARY = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="))

Node = tuple[Any, ...]


class ExpressionError(Exception):
    """An expression that GitHub, or this rehearsal, does not know."""


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
