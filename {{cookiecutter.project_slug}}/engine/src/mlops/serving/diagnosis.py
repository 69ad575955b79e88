"""What is wrong with a body that the fast decoder refuses, by row and field."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ..contract import Column, Source
from .cells import DEFAULT, WANTED, CellError, Unseen, kind, read
from .problem import Problem

DIGITS = 400  # an integer of more is beyond every float, and slow to parse
NAME = 80
UNFIT = "A value does not fit the contract"


class Members(list[tuple[str, Any]]):
    """The members of a JSON object, in their order and as often as they stand there."""


class Constant(str):
    """NaN or Infinity, which are no JSON."""


def diagnose(
    body: bytes,
    columns: Mapping[str, Column],
    unseen: Unseen = "encode",
    source: Source = DEFAULT,
    others: Collection[str] = (),
    ignored: Collection[str] = (),
    stored: Collection[str] = (),
) -> Problem | None:
    """Return the first thing that keeps a body from being rows of `columns`, if any.

    `others` are declared and not needed; those that are `ignored` may hold what they like.
    Those that are `stored` come from the online store alone.
    """
    parsed = _parsed(body)
    if isinstance(parsed, Problem):
        return parsed
    rows = [parsed] if isinstance(parsed, Members) else parsed
    if not isinstance(rows, list):
        return Problem(422, "no-rows", "The body must be a row or a list of rows", _not_row(rows))
    if not rows:
        return Problem(422, "no-rows", "The list holds no row", "send at least one row")
    fields = _Fields(columns, unseen, source, others, ignored, stored)
    return next((p for i, row in enumerate(rows) for p in _wrong(i, row, fields)), None)


class _Fields(NamedTuple):
    """What a row may hold."""

    columns: Mapping[str, Column]
    unseen: Unseen
    source: Source
    others: Collection[str]
    ignored: Collection[str]
    stored: Collection[str]


def _parsed(body: bytes) -> Any:
    """Return the parsed body, or the Problem that it is no JSON."""
    title = "The body is not JSON"
    if not body.strip():
        return Problem(400, "empty-body", "The body is empty", "send a row or a list of rows")
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=Members,
            parse_constant=Constant,
            parse_int=lambda text: int(text) if len(text) < DIGITS else float(text),
        )
    except UnicodeDecodeError as error:
        return Problem(400, "bad-encoding", "The body is not UTF-8", f"at byte {error.start}")
    except json.JSONDecodeError as error:
        detail = f"{error.msg} at character {error.pos}"
        return Problem(400, "malformed-json", title, detail)
    except RecursionError:
        return Problem(400, "malformed-json", title, "it is nested too deep")


def _wrong(index: int, row: Any, fields: _Fields) -> Iterator[Problem]:
    """Yield what is wrong with one row."""
    if not isinstance(row, Members):
        yield Problem(422, "no-row", "A row must be an object", _not_row(row), index)
        return
    columns = fields.columns
    seen: set[str] = set()
    for name, value in row:
        shown = name if len(name) <= NAME else name[:NAME] + "…"
        if name not in columns and name not in fields.ignored:
            title = "A row has a field that the contract does not declare"
            known = f"the fields are {', '.join(columns)}"
            if name in fields.stored:
                title = "A row has a field that comes from the online store"
                known = f"leave {shown} out: it is looked up"
            elif name in fields.others:
                title = "A row has a field that the model does not need"
                known = f"leave {shown} out, or have the server told `extra: ignore`"
            yield Problem(422, "unknown-field", title, known, index, shown)
        elif name in seen:
            yield Problem(422, "duplicate-field", "A row has a field twice", "", index, shown)
        else:
            seen.add(name)
            if name in columns:
                yield from _unfit(index, name, value, fields)
    for name in columns:
        if name not in seen:
            title = "A row lacks a field"
            null = ", and may be null" * columns[name].nullable
            detail = f"{name} is missing: every field is required{null}"
            yield Problem(422, "missing-field", title, detail, index, name)


def _unfit(index: int, name: str, value: Any, fields: _Fields) -> Iterator[Problem]:
    title, column = UNFIT, fields.columns[name]
    if isinstance(value, Constant):
        wanted = "null or " * column.nullable + WANTED[column.type]
        detail = f"{name} must be {wanted}: JSON has no {value}"
        yield Problem(422, "bad-value", title, detail, index, name)
        return
    try:
        read(value, column, fields.unseen, fields.source)
    except CellError as error:
        yield Problem(422, "bad-value", title, f"{name} {error}", index, name)


def _not_row(value: Any) -> str:
    return f"it is {value if isinstance(value, Constant) else kind(value)}"
