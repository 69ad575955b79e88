from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlops.data.arrays import same

NOON, LATER = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ([1.5, None, 2.0, None], [1.5, None, 2.0000000000000004, 0.0], pa.float64()),
        ([1, None, 2, None], [1, None, 3, 0], pa.int64()),
        ([True, None, False, None], [True, None, True, False], pa.bool_()),
        (["a", None, "b", None], ["a", None, "c", ""], pa.string()),
        ([NOON, None, NOON, None], [NOON, None, LATER, NOON], pa.timestamp("ns", "UTC")),
        ([0.0, float("nan"), 0.0, None], [0.0, float("nan"), -0.0, float("nan")], pa.float64()),
    ],
)
def test_bits_are_compared_and_a_missing_value_is_none(
    one: list[object], other: list[object], kind: pa.DataType
) -> None:
    columns = [pa.chunked_array([[*given[:1]], given[1:]], kind) for given in (one, other)]
    assert same(*columns).tolist() == [True, True, False, False]
    assert same(columns[0], columns[0]).all()
    if kind == pa.string():
        assert same(*(column.dictionary_encode() for column in columns)).sum() == 2
