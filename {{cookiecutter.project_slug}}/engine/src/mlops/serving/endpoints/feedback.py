"""POST /feedback: what turned out to be true of rows that were answered."""

import math
import re
import time
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ...contract import Contract
from ..problem import MEDIA_TYPE, SCHEMA, Problem
from ..recording.segment import Outcomes

LAST_ROW = 2**31 - 1
PLACE = re.compile(r" - at `\$(?:\[(\d+)\])?(?:\.(\w+))?.*`")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The true outcome of one row of an answered request."""

    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    outcome: Annotated[
        bool | int | float | str,
        msgspec.Meta(description="a label of the target, true or false, or a number"),
    ]
    row: Annotated[int, msgspec.Meta(ge=0, le=LAST_ROW, description="its index, from 0")] = 0


Reported: TypeAlias = list[Outcome] | Outcome
_decoder = msgspec.json.Decoder(Reported)


def router() -> APIRouter:
    """Return the route that takes outcomes."""
    routes = APIRouter(tags=["model"])

    @routes.post(
        "/feedback",
        status_code=202,
        summary="What turned out to be true",
        response_class=JSONResponse,
        responses=_responses(),
        openapi_extra={"requestBody": _request_body()},
    )
    async def feedback(request: Request) -> JSONResponse:
        state = request.app.state
        if not state.recorder.records:
            detail = "set MLOPS_LOG_FOLDER for the server"
            raise Problem(404, "no-log", "The server keeps no prediction log", detail)
        contract = state.models.route(b"").loaded.contract
        reported = decode(await request.body())
        if len(reported) > state.settings.max_rows:
            most = f"send at most {state.settings.max_rows}"
            raise Problem(413, "too-many-rows", "There are too many outcomes", most)
        if not await state.recorder.feedback(outcomes(reported, contract, time.time())):
            wait = {"retry-after": "10"}
            raise Problem(503, "log-full", "The outcomes cannot be kept now", headers=wait)
        return JSONResponse({"accepted": len(reported)}, 202)

    return routes


def decode(body: bytes) -> Sequence[Outcome]:
    """Return the outcomes of a body: one object, or a list of them; raises Problem."""
    try:
        reported = _decoder.decode(body)
    except msgspec.ValidationError as error:
        found = PLACE.search(str(error))
        alone = body.lstrip().startswith(b"{")
        row = int(found[1]) if found and found[1] else 0 if alone else None
        detail = str(error).partition(" - at ")[0][:200]
        field = found[2] if found else None
        raise Problem(422, "bad-outcome", "An outcome cannot be read", detail, row, field) from None
    except UNREADABLE:
        raise Problem(400, "malformed-json", "The body is not JSON") from None
    if isinstance(reported, Outcome):
        return [reported]
    if not reported:
        raise Problem(422, "no-rows", "The list holds no outcome", "send at least one")
    return reported


def outcomes(reported: Sequence[Outcome], contract: Contract, now: float) -> Outcomes:
    """Return what is recorded of outcomes; raises Problem for one that the target cannot have."""
    return Outcomes(
        [each.request_id for each in reported],
        [each.row for each in reported],
        [now] * len(reported),
        [_checked(each.outcome, contract, index) for index, each in enumerate(reported)],
    )


def _checked(outcome: bool | float | str, contract: Contract, index: int) -> str | float:
    """Return a classifier's outcome as its label, a regressor's as a number."""
    column = contract.columns[contract.target]
    match column.type:
        case "boolean":
            expected, fits = "true or false", isinstance(outcome, bool)
        case "category":
            expected = f"one of {', '.join(column.categories)}"
            fits = outcome in column.categories
        case _:
            # Beyond the bounds of the contract as well: those are the outcomes that surprise.
            expected = "a whole number" if column.type == "integer" else "a number"
            fits = _is_number(outcome, column.type == "integer")
    if not fits:
        title = "An outcome is none that the target can have"
        raise Problem(422, "bad-outcome", title, f"it must be {expected}", index, "outcome")
    if isinstance(outcome, bool):
        return contract.labels[outcome]
    return outcome if isinstance(outcome, str) else float(outcome)


def _is_number(value: Any, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        number = float(value)
    except OverflowError:
        return False
    return math.isfinite(number) and not (whole and number != math.floor(number))


def _request_body() -> dict[str, Any]:
    (one,), defined = msgspec.json.schema_components([Outcome])
    schema = defined[one["$ref"].rpartition("/")[2]]
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [schema, {"type": "array", "minItems": 1, "items": schema}]}
            }
        },
    }


def _responses() -> dict[int | str, dict[str, Any]]:
    about = {
        400: "The body is not JSON",
        404: "The server keeps no prediction log",
        413: "Too much at once",
        422: "An outcome that the target cannot have",
        503: "The outcomes cannot be kept now",
    }
    problem = {MEDIA_TYPE: {"schema": SCHEMA}}
    accepted = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    return {
        202: {"content": {"application/json": {"schema": accepted}}},
        **{status: {"description": text, "content": problem} for status, text in about.items()},
    }
