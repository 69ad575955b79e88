from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.contract import Column
from mlops.serving.tensors import ACCEPTED, Input, Output, ProtocolError, count, datatype, values

NUMBER = Column("number")
INTEGER = Column("integer", nullable=True)
BOOLEAN = Column("boolean", nullable=True)
CATEGORY = Column("category", categories=["a", "b"])
DATETIME = Column("datetime")
TEXT = Column("text", nullable=True)


def tensor(kind: str, data: list[Any] | None, shape: list[int] | None = None) -> Input:
    return Input("x", kind, [len(data or [])] if shape is None else shape, data=data)


def both(kind: str, array: np.ndarray, column: Column) -> tuple[list[Any], list[Any]]:
    """Return the values read from JSON and from bytes."""
    as_json = tensor(kind, array.tolist())
    raw = Output("x", kind, array).binary()
    return values(as_json, None, column), values(tensor(kind, None, [len(array)]), raw, column)


@pytest.mark.parametrize(
    ("kind", "array", "column", "expected"),
    [
        ("FP64", np.array([0.1, -2.0]), NUMBER, [0.1, -2.0]),
        ("FP32", np.array([0.1], np.float32), NUMBER, [float(np.float32(0.1))]),
        ("INT32", np.array([1, -2], np.int32), NUMBER, [1, -2]),
        ("INT64", np.array([2**62]), INTEGER, [2**62]),
        ("UINT8", np.array([255], np.uint8), INTEGER, [255]),
        ("FP64", np.array([3.0, 2.5]), INTEGER, [3, 2.5]),
        ("BOOL", np.array([True, False]), BOOLEAN, [True, False]),
        ("BYTES", np.array(["late", ""], dtype=object), TEXT, ["late", None]),
        ("FP32", np.array([1, 0, 2], np.float32), BOOLEAN, [True, False, 2.0]),
        ("BYTES", np.array(["b", "ä"], object), CATEGORY, ["b", "ä"]),
        ("BYTES", np.array(["2025-01-01T00:00:00"], object), DATETIME, ["2025-01-01T00:00:00"]),
    ],
)
def test_json_and_bytes_are_read_the_same(
    kind: str, array: np.ndarray, column: Column, expected: list[Any]
) -> None:
    from_json, from_bytes = both(kind, array, column)
    assert from_json == from_bytes == expected
    assert [type(value) for value in from_bytes] == [type(value) for value in expected]


def test_missing_is_nan_the_empty_text_and_null() -> None:
    raw = np.array([1.0, np.nan]).tobytes()
    assert values(tensor("FP64", None, [2]), raw, INTEGER) == [1, None]
    assert values(tensor("FP64", None, [2]), raw, BOOLEAN) == [True, None]
    for column in (CATEGORY, DATETIME):
        assert values(tensor("BYTES", ["", "a"]), None, column) == [None, "a"]
        assert values(tensor("BYTES", [None, "a"]), None, column) == [None, "a"]
    assert values(tensor("INT64", [None, 2]), None, INTEGER) == [None, 2]
    named = Column("category", categories=["", "a"])
    assert values(tensor("BYTES", ["", "a"]), None, named) == ["", "a"]


@pytest.mark.parametrize(
    "column", [NUMBER, INTEGER, BOOLEAN, CATEGORY, DATETIME, Column("integer")]
)
def test_what_is_asked_for_is_accepted_and_can_be_missing(column: Column) -> None:
    kind = datatype(column)
    assert kind in ACCEPTED[column.type]
    if column.nullable:
        assert kind in ("FP64", "BYTES")


def test_a_column_of_width_one_may_be_nested() -> None:
    assert count(tensor("FP64", [1.0], [1, 1])) == 1
    assert values(tensor("FP64", [[1.0], [2.0]], [2, 1]), None, NUMBER) == [1.0, 2.0]
    assert values(tensor("FP64", [1.0, 2.0], [2, 1]), None, NUMBER) == [1.0, 2.0]


@pytest.mark.parametrize("shape", [[], [1, 2], [2, 1, 1], [0, 0]])
def test_other_shapes_are_refused(shape: list[int]) -> None:
    with pytest.raises(ProtocolError, match=r"\[rows\] or \[rows, 1\]"):
        count(tensor("FP64", [1.0, 2.0], shape))


@pytest.mark.parametrize(
    ("given", "column", "message"),
    [
        (tensor("FP64", [1.0], [2]), NUMBER, "1 values are not the shape"),
        (tensor("FP64", [[1.0], [2.0]], [2]), NUMBER, "row 0: no FP64"),
        (tensor("FP64", [[1.0], [2.0, 3.0]], [2, 1]), NUMBER, "not of its shape"),
        (tensor("FP64", [[1.0], 2.0], [2, 1]), NUMBER, "not of its shape"),
        (tensor("FP64", ["1"]), NUMBER, "row 0: no FP64"),
        (tensor("FP64", [True]), NUMBER, "row 0: no FP64"),
        (tensor("FP64", [10**400]), NUMBER, "out of the range of FP64"),
        (tensor("FP32", [1.0, 1e300]), NUMBER, "row 1: out of the range of FP32"),
        (tensor("INT64", [1.0]), INTEGER, "row 0: no INT64"),
        (tensor("INT32", [2**31]), INTEGER, "out of the range of INT32"),
        (tensor("UINT8", [-1]), INTEGER, "out of the range of UINT8"),
        (tensor("BOOL", [1]), BOOLEAN, "row 0: no BOOL"),
        (tensor("BYTES", [1]), CATEGORY, "row 0: no BYTES"),
        (tensor("BYTES", ["1"]), NUMBER, "is a number: send it as FP64, not 'BYTES'"),
        (tensor("FP64", [1.0]), CATEGORY, "is a category: send it as BYTES"),
        (tensor("FP16", [1.0]), NUMBER, "not 'FP16'"),
        (tensor("X" * 1000, [1.0]), NUMBER, "not 'XXXXXXXXXXXXXXXXXXXX'$"),
    ],
)
def test_what_is_no_such_tensor_is_refused(given: Input, column: Column, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        values(given, None, column)


@pytest.mark.parametrize(
    ("kind", "rows", "raw", "column", "message"),
    [
        ("FP64", 2, b"\0" * 15, NUMBER, "15 bytes are not 2 of FP64"),
        ("FP64", 10**18, b"\0" * 8, NUMBER, "bytes are not"),
        ("FP64", 1, np.array([-np.inf]).tobytes(), NUMBER, "row 0: infinity"),
        ("BOOL", 1, b"\2", BOOLEAN, "the byte 0 or 1"),
        ("BYTES", 1, b"\1\0\0", CATEGORY, "row 0: the bytes end"),
        ("BYTES", 10**18, b"", CATEGORY, "row 0: the bytes end"),
        ("BYTES", 1, b"\xff\xff\xff\xffa", CATEGORY, "row 0: the bytes end"),
        ("BYTES", 1, b"\1\0\0\0ab", CATEGORY, "1 bytes after"),
        ("BYTES", 1, b"\1\0\0\0\xff", CATEGORY, "row 0: no UTF-8"),
    ],
)
def test_bytes_that_are_no_such_tensor_are_refused(
    kind: str, rows: int, raw: bytes, column: Column, message: str
) -> None:
    with pytest.raises(ProtocolError, match=message):
        values(tensor(kind, None, [rows]), raw, column)


@given(
    st.sampled_from(["FP32", "FP64", "INT32", "INT64", "BOOL", "BYTES", "UINT8"]),
    st.integers(0, 4),
    st.binary(max_size=40),
    st.sampled_from([NUMBER, INTEGER, BOOLEAN, CATEGORY, DATETIME]),
)
def test_any_bytes_are_values_for_json_or_refused(
    kind: str, rows: int, raw: bytes, column: Column
) -> None:
    try:
        found = values(tensor(kind, None, [rows]), raw, column)
    except ProtocolError:
        return
    assert len(found) == rows
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
