"""Outcomes are taken as the target can have them, and found again by their request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlops.contract import Contract
from mlops.monitoring.outcomes import joined, unmatched
from mlops.serving.endpoints.feedback import decode, outcomes
from mlops.serving.problem import Problem

BAD = ("bad-outcome", 0)
TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "boolean": ("binary", {"type": "boolean"}),
    "category": ("binary", {"type": "category", "categories": ["no", "yes"]}),
    "number": ("regression", {"type": "number", "min": -10, "max": 10}),
    "integer": ("regression", {"type": "integer"}),
}


def contract(kind: str) -> Contract:
    task, target = TARGETS[kind]
    columns = {"fee": {"type": "number"}, "y": {**target, "role": "target"}}
    return msgspec.convert({"name": "c", "task": task, "columns": columns}, Contract)


@pytest.fixture
def logging(started: Callable[..., Any], tmp_path: Path) -> Any:
    """A client of an application that keeps a log."""
    return started(log_folder=tmp_path / "log")


def test_outcomes_find_their_predictions(
    logging: Any, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    answer = logging.post("/predict", json=rows[:3], headers={"x-request-id": "known"})
    label = answer.json()["predictions"][0]["prediction"]
    labels = logging.get("/model").json()["labels"]
    truth: Any = {"true": True, "false": False}.get(labels[0], labels[0])
    taken = logging.post("/feedback", json={"request_id": "known", "row": 2, "outcome": truth})
    assert (taken.status_code, taken.json()) == (202, {"accepted": 1})
    several = [{"request_id": "known", "outcome": truth}, {"request_id": "?", "outcome": truth}]
    assert logging.post("/feedback", json=several).json() == {"accepted": 2}
    logging.together(lambda _: logging.app.state.recorder.stop())
    table = joined(tmp_path / "log")
    assert table["outcome"].to_pylist() == [labels[0], None, labels[0]]
    assert table["prediction"].to_pylist()[0] == label
    assert unmatched(tmp_path / "log") == 1


@pytest.mark.parametrize(
    ("body", "status", "slug", "row", "field"),
    [
        (b"", 400, "malformed-json", None, None),
        (b"{", 400, "malformed-json", None, None),
        (b'{"request_id": "\xff"}', 400, "malformed-json", None, None),
        (b"[" * 5000, 422, "bad-outcome", 0, None),
        (b"[]", 422, "no-rows", None, None),
        (b"3", 422, "bad-outcome", None, None),
        (b"{}", 422, "bad-outcome", 0, None),
        (b'[{"request_id": "a", "outcome": true}, {"outcome": true}]', 422, "bad-outcome", 1, None),
        (b'{"request_id": 1, "outcome": true}', 422, "bad-outcome", 0, "request_id"),
        (b'{"request_id": "", "outcome": true}', 422, "bad-outcome", 0, "request_id"),
        (b'{"request_id": "a", "outcome": null}', 422, "bad-outcome", 0, "outcome"),
        (b'{"request_id": "a", "outcome": [1]}', 422, "bad-outcome", 0, "outcome"),
        (b'{"request_id": "a", "outcome": true, "row": -1}', 422, "bad-outcome", 0, "row"),
        (b'{"request_id": "a", "outcome": true, "row": 1e99}', 422, "bad-outcome", 0, "row"),
        (b'{"request_id": "a", "outcome": true, "more": 1}', 422, "bad-outcome", 0, None),
        (b'{"request_id": "a"}', 422, "bad-outcome", 0, "outcome"),
        (b'{"request_id": "a", "value": 1}', 422, "bad-outcome", 0, "currency"),
        (b'{"request_id": "a", "currency": "EUR"}', 422, "bad-outcome", 0, "value"),
        (b'{"request_id": "a", "outcome": true, "value": 1}', 422, "bad-outcome", 0, "currency"),
        (b'{"request_id": "a", "value": 1, "currency": "eur"}', 422, "bad-outcome", 0, "currency"),
        (b'{"request_id": "a", "value": 1, "currency": "EUR\\n"}', 422, *BAD, "currency"),
        (b'{"request_id": "a", "value": 1e999, "currency": "EUR"}', 422, *BAD, "value"),
        (
            b'{"request_id": "a", "value": NaN, "currency": "EUR"}',
            400,
            "malformed-json",
            None,
            None,
        ),
        (b'{"request_id": "a", "value": true, "currency": "EUR"}', 422, *BAD, "value"),
        (b'{"request_id": "a", "action": ""}', 422, "bad-outcome", 0, "action"),
        (b'{"request_id": "a", "action": "' + b"x" * 101 + b'"}', 422, *BAD, "action"),
    ],
)
def test_what_is_no_outcome(
    body: bytes, status: int, slug: str, row: int | None, field: str | None
) -> None:
    with pytest.raises(Problem) as refused:
        decode(body)
    problem = refused.value
    assert (problem.status, problem.slug, problem.row, problem.field) == (status, slug, row, field)


def test_a_value_and_an_action_need_no_outcome() -> None:
    reported = [
        {"request_id": "a", "value": -3, "currency": "EUR"},
        {"request_id": "b", "action": "called \u00e9"},
        {"request_id": "c", "outcome": True},
    ]
    body = json.dumps(reported).encode()
    found = outcomes(decode(body), contract("boolean"), 1.5)
    assert found.outcomes == [None, None, "true"]
    assert (found.values, found.currencies) == ([-3.0, None, None], ["EUR", None, None])
    assert found.actions == [None, "called \u00e9", None]


@pytest.mark.parametrize(
    ("kind", "outcome", "recorded"),
    [
        ("boolean", "true", "true"),
        ("boolean", "false", "false"),
        ("boolean", '"true"', None),
        ("boolean", "1", None),
        ("category", '"yes"', "yes"),
        ("category", '"maybe"', None),
        ("category", "true", None),
        ("category", "1", None),
        ("number", "2.5", 2.5),
        ("number", "-10", -10.0),
        ("number", "10.01", 10.01),
        ("number", "true", None),
        ("number", '"2"', None),
        ("integer", "3", 3.0),
        ("integer", "3.0", 3.0),
        ("integer", "3.5", None),
        ("integer", "1e308", 1e308),
        ("integer", "9" * 400, None),
    ],
)
def test_only_what_the_target_can_be(kind: str, outcome: str, recorded: Any) -> None:
    good = {"boolean": "true", "category": '"no"'}.get(kind, "1")
    body = "[" + ", ".join(f'{{"request_id": "a", "outcome": {o}}}' for o in (good, outcome)) + "]"
    if recorded is None:
        with pytest.raises(Problem) as refused:
            outcomes(decode(body.encode()), contract(kind), 1.5)
        assert refused.value.status in (400, 422)
        assert refused.value.field in ("outcome", None)
        return
    found = outcomes(decode(body.encode()), contract(kind), 1.5)
    assert found.outcomes[1] == recorded
    assert type(found.outcomes[1]) is type(recorded)


def test_a_refusal_is_a_problem_that_names_row_and_field(logging: Any) -> None:
    body = json.dumps({"request_id": "a", "outcome": "perhaps"})
    answer = logging.post("/feedback", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.json()["row"], answer.json()["field"]) == (0, "outcome")
    assert "perhaps" not in answer.text


def test_more_than_may_come_at_once_is_refused(started: Callable[..., Any], tmp_path: Path) -> None:
    client = started(log_folder=tmp_path / "log", max_rows=2)
    many = [{"request_id": "a", "row": row, "outcome": True} for row in range(3)]
    assert client.post("/feedback", json=many).status_code == 413


def test_without_a_log_there_is_nowhere_to_put_it(client: Any) -> None:
    answer = client.post("/feedback", json={"request_id": "a", "outcome": True})
    assert answer.status_code == 404
    assert "MLOPS_LOG_FOLDER" in answer.json()["detail"]


def test_what_cannot_be_kept_is_not_accepted(started: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "old").write_bytes(b"x" * (1 << 20))
    client = started(log_folder=tmp_path / "log", log_max_bytes=1 << 20)
    labels = client.get("/model").json()["labels"]
    truth: Any = {"true": True, "false": False}.get(labels[0], labels[0])
    answer = client.post("/feedback", json={"request_id": "a", "outcome": truth})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"


def test_it_is_described(client: Any) -> None:
    about = client.get("/openapi.json").json()["paths"]["/feedback"]["post"]
    one, many = about["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert set(one["required"]) == {"request_id"}
    assert set(one["properties"]) == {
        *("request_id", "outcome", "row", "value", "currency", "action")
    }
    assert many["items"] == one
    assert {"202", "422"} <= set(about["responses"])
