"""Rows of JSON as the contract declares them: decoded, checked, and as columns of numbers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from ..contract import Column, Contract
from ..errors import ProjectError
from ..features.encoding import Encoder
from .cells import LARGEST, MOMENT, Unseen, codec, naive, read
from .diagnosis import diagnose
from .problem import Problem

Row: TypeAlias = Any  # an instance of the struct class that a RowSchema makes

TEXTS = ("datetime", "category", "text")  # what stands in quotes
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class SchemaError(ProjectError):
    """The contract has a column that no JSON field can be."""


class RowSchema:
    """The rows that a bundle answers for: one field for each input of its encoder.

    Every field is required; null is a missing value where the contract allows one. A number
    beyond its bounds is no error, as in `mlops predict`. An unseen category has a code of its
    own, or with `unseen` "refuse" is an error.
    """

    __slots__ = (
        "_codecs",
        "_decimal",
        "_decode",
        "_forgiving",
        "_moments",
        "_nullable_texts",
        "_quotes",
        "columns",
        "names",
        "row",
        "unseen",
    )

    def __init__(self, contract: Contract, encoder: Encoder, unseen: Unseen = "encode") -> None:
        self.names = encoder.inputs
        self.columns = {name: contract.columns[name] for name in self.names}
        self.unseen: Unseen = unseen
        self.row = _struct(self.columns, unseen, strict=True)
        self._decode = _decode(self.row)
        self._forgiving = _decode(_struct(self.columns, unseen, strict=False))
        columns = list(self.columns.values())
        self._decimal = contract.source.decimal
        fields = {f"f{i}": column for i, column in enumerate(columns)}
        texts = [f for f, column in fields.items() if column.type in TEXTS]
        self._quotes = 2 * (len(fields) + len(texts))
        self._nullable_texts = [attrgetter(f) for f in texts if fields[f].nullable]
        self._moments = [(attrgetter(f), f) for f in texts if fields[f].type == "datetime"]
        self._codecs = [codec(c, contract.source.missing, self._decimal) for c in columns]

    def decode(self, body: bytes) -> list[Row]:
        """Return the rows of a JSON object (one row) or list.

        Datetimes come out naive, in UTC. Raises Problem, which names the row and the field.
        """
        try:
            decoded = self._decode(body)
        except UNREADABLE:
            decoded = self._decode_forgiving(body)
        rows = decoded if type(decoded) is list else [decoded]
        quotes = len(rows) * self._quotes
        for text in self._nullable_texts:
            quotes -= 2 * [*map(text, rows)].count(None)
        for moment, field in self._moments:
            for row in rows:
                value = moment(row)
                if value is not None and value.tzinfo is not None:
                    self._make_naive(row, field, body)
        escaped = b"\\" in body and b'\\"' in body  # the first finds out ten times as fast
        if escaped or body.count(b'"') != quotes or not rows:
            self._refuse_duplicates(body)
        return rows

    def arrays(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Return the rows as the columns that features are computed from."""
        columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
        return {
            name: array(column)
            for name, array, column in zip(self.names, self._codecs, columns, strict=True)
        }

    def record(self, row: Row) -> dict[str, Any]:
        """Return a row by the names of its fields."""
        return dict(zip(self.names, msgspec.structs.astuple(row), strict=True))

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of a row."""
        _, schemas = msgspec.json.schema_components([self.row])
        return {**schemas["Row"], "description": "One row, as the contract declares it."}

    def _decode_forgiving(self, body: bytes) -> list[Row] | Row:
        """Decode what the fast path refuses and a client may mean: 3.0 for 3, a date alone."""
        try:
            decoded = self._forgiving(body)
            if isinstance(decoded, list):
                return [self._strict(row) for row in decoded]
            return self._strict(decoded)
        except UNREADABLE as error:
            raise self._problem(body, error) from None

    def _strict(self, row: Any) -> Row:
        pairs = zip(msgspec.structs.astuple(row), self.columns.values(), strict=True)
        return self.row(*(read(v, column, decimal=self._decimal) for v, column in pairs))

    def _refuse_duplicates(self, body: bytes) -> None:
        """Refuse a field that stands twice: the decoder takes the last and says nothing.

        Where no quote is escaped, each is one end of a name or of a text, so that their number
        tells that of the names, and this is not called. Otherwise the slow parser decides.
        """
        problem = diagnose(body, self.columns, self.unseen, self._decimal)
        if problem is not None:
            raise problem

    def _make_naive(self, row: Row, field: str, body: bytes) -> None:
        try:
            setattr(row, field, naive(getattr(row, field)))
        except ValueError as error:
            raise self._problem(body, error) from None

    def _problem(self, body: bytes, error: Exception) -> Problem:
        found = diagnose(body, self.columns, self.unseen, self._decimal)
        return found or Problem(400, "malformed-json", "The body is not JSON", str(error)[:200])


def _decode(row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(list[row] | row).decode  # type: ignore[valid-type]


def _struct(columns: dict[str, Column], unseen: Unseen, strict: bool) -> type[msgspec.Struct]:
    """Return the class of rows; its attributes are f0, f1, …, since a column may have any name."""
    fields = [(f"f{i}", _type(c, unseen, strict)) for i, c in enumerate(columns.values())]
    try:
        return msgspec.defstruct(
            "Row",
            fields,
            rename={f"f{i}": name for i, name in enumerate(columns)},
            forbid_unknown_fields=True,
            gc=False,
        )
    except ValueError as error:
        raise SchemaError(f"{error}: rename that column of the contract to serve it") from error


def _type(column: Column, unseen: Unseen, strict: bool) -> Any:
    """Return the type that a value is decoded to, with what OpenAPI says of it."""
    found: Any
    extra: dict[str, Any] = {}
    match column.type:
        case "number" | "integer" if not strict and (column.units or column.missing):
            found = int | float | str
        case "number":
            found = float
        case "integer":
            bounds = msgspec.Meta(ge=-LARGEST - 1, le=LARGEST)
            found = Annotated[int, bounds] if strict else int | float
        case "boolean":
            found = bool
        case "category" if unseen == "refuse":
            found = Literal[tuple(column.categories)]
        case "category":
            found, extra = str, {"examples": column.categories}
        case "text":
            found = str
        case _:
            found = datetime if strict else str
            extra = {"pattern": f"^{MOMENT.pattern}$", "format": "date-time"}
    said = column.description or None
    meta = msgspec.Meta(description=said, extra_json_schema=extra or None)
    return Annotated[found | None if column.nullable else found, meta]
