"""Every row that does not fit the contract is refused by row and field."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem

Change = Callable[[dict[str, Any]], Any]
DEEP = 100_000


def text(row: dict[str, Any], **changes: Any) -> str:
    return json.dumps(row | changes)


def again(row: dict[str, Any], member: str) -> str:
    """Return a row with one more member."""
    return text(row)[:-1] + "," + member + "}"


# What is done to a good row, and how the result is refused.
BAD: dict[str, tuple[Change, int, str, str | None]] = {
    "string for a number": (lambda r: text(r, monthly_fee="3"), 422, "bad-value", "monthly_fee"),
    "boolean for a number": (lambda r: text(r, monthly_fee=True), 422, "bad-value", "monthly_fee"),
    "list for a number": (lambda r: text(r, monthly_fee=[1]), 422, "bad-value", "monthly_fee"),
    "null": (lambda r: text(r, monthly_fee=None), 422, "bad-value", "monthly_fee"),
    "NaN": (lambda r: text(r, monthly_fee=float("nan")), 422, "bad-value", "monthly_fee"),
    "Infinity": (lambda r: text(r, usage_hours=float("inf")), 422, "bad-value", "usage_hours"),
    "-Infinity": (lambda r: text(r, usage_hours=-float("inf")), 422, "bad-value", "usage_hours"),
    "1e400": (
        lambda r: text(r, monthly_fee=12345.5).replace("12345.5", "1e400"),
        422,
        "bad-value",
        "monthly_fee",
    ),
    "400 digits": (lambda r: text(r, monthly_fee=10**400), 422, "bad-value", "monthly_fee"),
    "65 bits": (lambda r: text(r, tenure_months=2**63), 422, "bad-value", "tenure_months"),
    "fraction": (lambda r: text(r, tenure_months=3.5), 422, "bad-value", "tenure_months"),
    "large fraction": (lambda r: text(r, tenure_months=1e30), 422, "bad-value", "tenure_months"),
    "2 for true": (lambda r: text(r, auto_renew=2), 422, "bad-value", "auto_renew"),
    "'perhaps'": (lambda r: text(r, auto_renew="perhaps"), 422, "bad-value", "auto_renew"),
    "number for a category": (lambda r: text(r, plan=3), 422, "bad-value", "plan"),
    "number for a date": (lambda r: text(r, billed_at=1), 422, "bad-value", "billed_at"),
    "no date": (lambda r: text(r, billed_at="soon"), 422, "bad-value", "billed_at"),
    "no such date": (lambda r: text(r, billed_at="2025-02-29"), 422, "bad-value", "billed_at"),
    "year 0 in UTC": (
        lambda r: text(r, billed_at="0001-01-01T00:00:00+01:00"),
        422,
        "bad-value",
        "billed_at",
    ),
    "extra": (lambda r: text(r, more=1), 422, "unknown-field", "more"),
    "other case": (lambda r: text(r, Plan="basic"), 422, "unknown-field", "Plan"),
    "missing": (
        lambda r: json.dumps({k: v for k, v in r.items() if k != "plan"}),
        422,
        "missing-field",
        "plan",
    ),
    "no field": (lambda r: "{}", 422, "missing-field", "age_band"),
    "twice": (lambda r: again(r, '"plan": "basic"'), 422, "duplicate-field", "plan"),
    "twice, with space": (
        lambda r: again(r, '"monthly_fee" \n\t: 3'),
        422,
        "duplicate-field",
        "monthly_fee",
    ),
    "twice, escaped": (
        lambda r: again(r, '"pl\\u0061n": "basic"'),
        422,
        "duplicate-field",
        "plan",
    ),
    "twice, null beside null": (
        lambda r: again(r | {"region": None}, '"region": null'),
        422,
        "duplicate-field",
        "region",
    ),
    "twice, number beside null": (
        lambda r: again(r | {"region": None}, '"tenure_months": 3'),
        422,
        "duplicate-field",
        "tenure_months",
    ),
    "twice, beside a colon": (
        lambda r: again(r | {"plan": ':"'}, '"tenure_months": 3'),
        422,
        "duplicate-field",
        "tenure_months",
    ),
    "a list": (lambda r: "[]", 422, "no-row", None),
    "a number": (lambda r: "1", 422, "no-row", None),
    "null row": (lambda r: "null", 422, "no-row", None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_row_is_named_alone_and_in_a_list(
    name: str, champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    change, status, slug, field = BAD[name]
    bad = change(golden[0])
    bodies = {2: f"[{text(golden[1])}, {text(golden[2])}, {bad}]"}
    if slug != "no-row":
        bodies[0] = bad
    for row, body in bodies.items():
        with pytest.raises(Problem) as raised:
            champion.decode(body.encode())
        found = raised.value
        assert (found.status, found.slug, found.row, found.field) == (status, slug, row, field)


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "empty-body"),
        (b" \n", 400, "empty-body"),
        (b"[]", 422, "no-rows"),
        (b"3", 422, "no-rows"),
        (b"null", 422, "no-rows"),
        (b'"row"', 422, "no-rows"),
        (b"NaN", 422, "no-rows"),
        (b"{", 400, "malformed-json"),
        (b"{'plan': 1}", 400, "malformed-json"),
        (b"[{}", 400, "malformed-json"),
        (b"[{},]", 400, "malformed-json"),
        (b"{} {}", 400, "malformed-json"),
        (b"[" * DEEP, 400, "malformed-json"),
        (b'{"plan":' * DEEP, 400, "malformed-json"),
        (b'{"plan":' + b"[" * DEEP + b"]" * DEEP + b"}", 400, "malformed-json"),
        (b'{"plan": "\xff"}', 400, "bad-encoding"),
        (b'{"\xff": 1}', 400, "bad-encoding"),
        (b"\xef\xbb\xbf{}", 400, "malformed-json"),
        ('{"plan": 1}'.encode("utf-16"), 400, "bad-encoding"),
        (b'{"plan": "a\tb"}', 400, "malformed-json"),
        (b"\x00", 400, "malformed-json"),
    ],
)
def test_body_that_is_no_list_of_rows(
    body: bytes, status: int, slug: str, champion: Predictor
) -> None:
    with pytest.raises(Problem) as raised:
        champion.decode(body)
    assert (raised.value.status, raised.value.slug) == (status, slug)
