"""Rows of JSON as the contract declares them: decoded, checked, and as columns of numbers."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np

from ..contract import Column, Contract
from ..errors import ProjectError
from ..features.encoding import Encoder
from .cells import LARGEST, MOMENT, CellError, Unseen, codec, naive, read
from .diagnosis import UNFIT, diagnose
from .problem import Problem

Row: TypeAlias = Any  # an instance of the struct class that a RowSchema makes

Extra = Literal["refuse", "ignore"]
TEXTS = ("datetime", "category", "text")  # what stands in quotes
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class SchemaError(ProjectError):
    """The contract has a column that no JSON field can be."""


class RowSchema:
    """The rows that a bundle answers for: one field for each input of its encoder.

    `names` are other fields in place of these: what a request has where a store has the rest,
    `stored`, which no request may give.

    Every field is required; null is a missing value where the contract allows one. A number
    beyond its bounds is no error, as in `mlops predict`. An unseen category has a code of its
    own, or with `unseen` "refuse" is an error. With `extra` "ignore" a row may have the contract's
    other columns, too: `ids` returns those that name it, and the rest is not looked at.
    """

    __slots__ = (
        "_codecs",
        "_decode",
        "_extra",
        "_forgiving",
        "_ids",
        "_moments",
        "_nullable_texts",
        "_others",
        "_quotes",
        "_source",
        "_stored",
        "columns",
        "ignored",
        "names",
        "row",
        "unseen",
    )

    def __init__(
        self,
        contract: Contract,
        encoder: Encoder,
        unseen: Unseen = "encode",
        extra: Extra = "refuse",
        names: tuple[str, ...] | None = None,
        stored: Collection[str] = (),
    ) -> None:
        self.names = encoder.inputs if names is None else names
        self._stored = stored
        self.columns = {name: contract.columns[name] for name in self.names}
        self.unseen: Unseen = unseen
        self._others = tuple(name for name in contract.columns if name not in self.columns)
        ignored = tuple(name for name in self._others if name not in stored)
        self.ignored = ignored if extra == "ignore" else ()
        self.row = _struct(self.columns, unseen, strict=True, ignored=self.ignored)
        self._decode = _decode(self.row)
        forgiving = _struct(self.columns, unseen, strict=False, ignored=self.ignored)
        self._forgiving = _decode(forgiving)
        self._source = source = contract.source
        fields = {f"f{i}": column for i, column in enumerate(self.columns.values())}
        texts = [f for f, column in fields.items() if column.type in TEXTS]
        self._quotes = 2 * (len(fields) + len(texts))
        self._nullable_texts = [attrgetter(f) for f in texts if fields[f].nullable]
        self._moments = [(attrgetter(f), f) for f in texts if fields[f].type == "datetime"]
        self._extra = [attrgetter(f"e{i}") for i in range(len(self.ignored))]
        ids = {
            name: self.ignored.index(name) for name in contract.names("id") if name in self.ignored
        }
        self._ids = [(name, self._extra[place]) for name, place in ids.items()]
        self._codecs = [codec(column, source) for column in self.columns.values()]

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
        if self._extra:
            quotes += self._check_extra(rows)
        escaped = b"\\" in body and b'\\"' in body  # the first finds out ten times as fast
        if escaped or body.count(b'"') != quotes or not rows:
            self._refuse_duplicates(body)
        return rows

    def arrays(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Return the rows as the columns that features are computed from.

        Raises Problem for a text that means no value where the contract does not allow one.
        """
        columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
        each = zip(self.names, self._codecs, columns, strict=not self._extra)
        try:
            return {name: array(column) for name, array, column in each}
        except CellError:
            raise self._lacking(rows) from None

    def ids(self, row: Row) -> dict[str, msgspec.Raw]:
        """Return what names a row, as its JSON has it."""
        found = ((name, value(row)) for name, value in self._ids)
        return {name: value for name, value in found if value is not msgspec.UNSET}

    def extra(self, row: Row, wanted: Sequence[str]) -> tuple[Any, ...]:
        """Return what a row has of columns that are not needed, as its JSON has it."""
        values = dict(zip((*self.names, *self.ignored), msgspec.structs.astuple(row), strict=True))
        found = ((name, values.get(name, msgspec.UNSET)) for name in wanted)
        return tuple(
            msgspec.Raw(msgspec.json.encode(value)) if name in self.columns else value
            for name, value in found
        )

    def record(self, row: Row) -> dict[str, Any]:
        """Return a row by the names of its fields."""
        return dict(zip(self.names, msgspec.structs.astuple(row), strict=not self._extra))

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
        values = msgspec.structs.astuple(row)
        columns = self.columns.values()
        read_again = [
            read(v, c, self.unseen, self._source) for v, c in zip(values, columns, strict=False)
        ]
        return self.row(*read_again, *values[len(read_again) :])

    def _lacking(self, rows: Sequence[Row]) -> Problem:
        """Return what is wrong with the first row in which a text means no value."""
        for index, row in enumerate(rows):
            for name, value in self.record(row).items():
                try:
                    if isinstance(value, str):
                        read(value, self.columns[name], self.unseen, self._source)
                except CellError as error:
                    return Problem(422, "bad-value", UNFIT, f"{name} {error}", index, name)
        return Problem(422, "bad-value", UNFIT)

    def _check_extra(self, rows: Sequence[Row]) -> int:
        """Return the quotes of fields that are not needed; raises Problem for an id of parts."""
        quotes = 0
        for value in self._extra:
            for raw in map(value, rows):
                quotes += 0 if raw is msgspec.UNSET else 2 + bytes(raw).count(b'"')
        for name, value in self._ids:
            for index, row in enumerate(rows):
                if (raw := value(row)) is not msgspec.UNSET and not _is_scalar(bytes(raw)):
                    detail = f"{name} must be a text, a number or null"
                    raise Problem(422, "bad-value", UNFIT, detail, index, name)
        return quotes

    def _refuse_duplicates(self, body: bytes) -> None:
        """Refuse a field that stands twice: the decoder takes the last and says nothing.

        Where no quote is escaped, each is one end of a name or of a text, so that their number
        tells that of the names, and this is not called. Otherwise the slow parser decides.
        """
        if (problem := self._diagnosed(body)) is not None:
            raise problem

    def _diagnosed(self, body: bytes) -> Problem | None:
        fields = self.columns, self.unseen, self._source, self._others, self.ignored, self._stored
        return diagnose(body, *fields)

    def _make_naive(self, row: Row, field: str, body: bytes) -> None:
        try:
            setattr(row, field, naive(getattr(row, field)))
        except ValueError as error:
            raise self._problem(body, error) from None

    def _problem(self, body: bytes, error: Exception) -> Problem:
        return self._diagnosed(body) or Problem(
            400, "malformed-json", "The body is not JSON", str(error)[:200]
        )


def _decode(row: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(list[row] | row).decode  # type: ignore[valid-type]


def _is_scalar(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return raw[:1] not in b"[{"


def _struct(
    columns: dict[str, Column], unseen: Unseen, strict: bool, ignored: Sequence[str] = ()
) -> type[msgspec.Struct]:
    """Return the class of rows; its attributes are f0, f1, …, since a column may have any name.

    Behind them are e0, e1, …, which a row need not have.
    """
    fields: list[Any] = [
        (f"f{i}", _type(column, unseen, strict)) for i, column in enumerate(columns.values())
    ]
    unset = msgspec.Raw | msgspec.UnsetType
    fields += [(f"e{i}", unset, msgspec.UNSET) for i in range(len(ignored))]
    named = [(f"f{i}", name) for i, name in enumerate(columns)]
    named += [(f"e{i}", name) for i, name in enumerate(ignored)]
    try:
        return msgspec.defstruct(
            "Row",
            fields,
            rename=dict(named),
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
        case "boolean" | "category" if not strict:
            found = bool | int | float | str
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
