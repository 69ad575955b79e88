"""What is recorded is chosen by the request's id and by the contract."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlops.log_layout import unit
from mlops.rollout.assignment import place
from mlops.serving.predictor import Predictor
from mlops.serving.recording.segment import Declaration, blocks
from mlops.serving.recording.selection import declared, sampled

SECRET = b"0" * 32
IDS = [f"request-{number}" for number in range(4000)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_is_kept(share: float) -> None:
    kept = sum(sampled(one, share) for one in IDS)
    assert abs(kept - share * len(IDS)) <= 0.02 * len(IDS)


def test_a_larger_share_keeps_what_a_smaller_one_does() -> None:
    assert all(sampled(one, 0.3) for one in IDS if sampled(one, 0.1))


def test_a_routing_key_is_known_by_a_hash_that_needs_the_secret() -> None:
    known = unit(b"customer 7", SECRET)
    assert known == unit(b"customer 7", SECRET) == "b98e57cad57e35ef"
    assert len({known, unit(b"customer 8", SECRET), unit(b"customer 7", b"1" * 32)}) == 3


def test_the_sample_says_nothing_about_who_answers() -> None:
    kept = [one for one in IDS if sampled(one, 0.2)]
    challenged = sum(place(one.encode()) < 0.2 * 2**64 for one in kept)
    assert abs(challenged - 0.2 * len(kept)) <= 0.05 * len(kept)


@pytest.mark.parametrize(
    ("personal", "left"),
    [
        ((), ["fee", "calls", "renews", "plan", "model", "billed", "paid"]),
        (("calls", "plan"), ["fee", "renews", "model", "billed", "paid"]),
        (("fee", "calls", "renews", "plan", "model", "billed"), ["paid"]),
        (("fee", "calls", "renews", "plan", "model", "billed", "paid"), []),
    ],
)
def test_personal_columns_are_left_out(
    personal: tuple[str, ...],
    left: list[str],
    make: Callable[..., Predictor],
    bill: Callable[..., dict[str, Any]],
) -> None:
    predictor = make(**{name: {"pii": True} for name in personal})
    declaration, take = declared(predictor)
    (about,) = blocks(declaration)
    assert isinstance(about, Declaration)
    assert [name for name, _, recorded in about.columns if recorded] == left
    rows = predictor.decode(json.dumps(bill(1)).encode())
    whole = predictor.schema.record(rows[0])
    assert take(rows[0]) == tuple(whole[name] for name in left)
