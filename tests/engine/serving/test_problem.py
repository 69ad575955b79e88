"""A problem says what is known of it, and nothing else."""

import json

import pytest

from mlops.serving.problem import MEDIA_TYPE, SCHEMA, Problem


def test_members_are_those_of_rfc_9457_and_where_the_cause_is() -> None:
    problem = Problem(422, "bad-value", "A value does not fit", "fee must be a number", 3, "fee")
    body, kind = problem.body("/predict", "r-1")
    assert kind == MEDIA_TYPE
    assert json.loads(body) == {
        "type": "urn:mlops:problem:bad-value",
        "title": "A value does not fit",
        "status": 422,
        "detail": "fee must be a number",
        "row": 3,
        "field": "fee",
        "request_id": "r-1",
    }


def test_what_says_nothing_is_left_out_but_row_0_is_not() -> None:
    assert list(Problem(503, "busy", "Busy").content()) == ["type", "title", "status"]
    assert Problem(422, "no-row", "No row", row=0).content()["row"] == 0


@pytest.mark.parametrize("path", ["/v2", "/v2/models/x/infer"])
def test_clients_of_the_inference_protocol_find_a_sentence_under_error(path: str) -> None:
    problem = Problem(422, "bad-value", "A value does not fit", "fee must be a number", 3, "fee")
    body, kind = problem.body(path, "r-1")
    assert kind == "application/json"
    assert json.loads(body) == {
        "error": "A value does not fit: fee must be a number: row 3, input 'fee'"
    }
    assert problem.body("/v2x")[1] == MEDIA_TYPE


def test_it_reads_as_its_detail() -> None:
    assert str(Problem(503, "busy", "Busy", "come again")) == "come again"
    assert str(Problem(503, "busy", "Busy")) == "Busy"


def test_schema_has_every_member() -> None:
    every = Problem(422, "a", "b", "c", 0, "d").content("e")
    assert set(every) == set(SCHEMA["properties"])
    assert MEDIA_TYPE == "application/problem+json"
