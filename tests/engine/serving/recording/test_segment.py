"""A block is read whole or not at all, whatever happened to the file."""

from hypothesis import given
from hypothesis import strategies as st

from mlops.serving.recording.segment import (
    HEADER,
    Block,
    Declaration,
    Outcomes,
    Torn,
    blocks,
    encode,
)

DECLARED = Declaration("d" * 64, "binary", ["no", "yes"], 0.5, [("fee", "number", True)], ["?"])


def outcomes(*ids: str) -> Outcomes:
    return Outcomes(list(ids), [0] * len(ids), [1.5] * len(ids), ["yes"] * len(ids))


WHOLE: list[Block] = [DECLARED, outcomes("a", "b"), outcomes("c"), outcomes("d", "e", "f")]
ENCODED = [encode(block, 0 if block is DECLARED else len(block.ids)) for block in WHOLE]  # type: ignore[union-attr]


def test_blocks_come_back_as_they_were() -> None:
    assert list(blocks(b"".join(ENCODED))) == WHOLE
    assert list(blocks(b"")) == []


@given(st.integers(0, sum(map(len, ENCODED))))
def test_a_torn_tail_costs_what_is_torn_and_no_more(size: int) -> None:
    data = b"".join(ENCODED)[:size]
    ends = [sum(map(len, ENCODED[: i + 1])) for i in range(len(ENCODED))]
    whole = sum(end <= size for end in ends)
    left = size - (ends[whole - 1] if whole else 0)
    found = list(blocks(data))
    assert found[:whole] == WHOLE[:whole]
    assert [torn.size for torn in found[whole:] if isinstance(torn, Torn)] == [left] * bool(left)


def test_rows_of_a_torn_block_are_known_from_its_header() -> None:
    assert list(blocks(ENCODED[3][:-1])) == [Torn(len(ENCODED[3]) - 1, 3)]
    assert list(blocks(ENCODED[3][: HEADER.size - 1])) == [Torn(HEADER.size - 1, 0)]


@given(st.integers(0, sum(map(len, ENCODED)) - 1), st.integers(1, 255))
def test_a_changed_byte_costs_its_block_alone(position: int, change: int) -> None:
    data = bytearray(b"".join(ENCODED))
    data[position] ^= change
    # The number of rows in a header is for counting alone: it is not under the checksum.
    found = [block for block in blocks(bytes(data)) if not isinstance(block, Torn)]
    assert len(found) >= len(WHOLE) - 1
    assert all(block in WHOLE for block in found)


def test_bytes_that_were_never_blocks_are_one_torn_part() -> None:
    noise = b"mlS1" * 10
    assert list(blocks(noise + ENCODED[1])) == [Torn(len(noise), len(noise)), WHOLE[1]]
