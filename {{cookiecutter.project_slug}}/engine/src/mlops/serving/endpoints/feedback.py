"""POST /feedback: what turned out to be true of rows that were answered, and what came of it."""

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

CAPITALS = re.compile("[A-Z]{3}")
LAST_ROW = 2**31 - 1
CURRENCY = r"^[A-Z]{3}$"
PLACE = re.compile(r" - at `\$(?:\[(\d+)\])?(?:\.(\w+))?.*`")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one row of an answered request: at least an outcome, a value or an action."""

    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    outcome: Annotated[
        bool | int | float | str | None,
        msgspec.Meta(description="a label of the target, true or false, or a number"),
    ] = None
    row: Annotated[int, msgspec.Meta(ge=0, le=LAST_ROW, description="its index, from 0")] = 0
    value: Annotated[
        float | None, msgspec.Meta(description="what it was worth, a loss below 0; with `currency`")
    ] = None
    currency: (
        Annotated[str, msgspec.Meta(pattern=CURRENCY, description="of the value, as ISO 4217")]
        | None
    ) = None
    action: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="what was done")]
        | None
    ) = None


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
        reported = [reported]
    if not reported:
        raise Problem(422, "no-rows", "The list holds no outcome", "send at least one")
    for index, each in enumerate(reported):
        _check_whole(each, index)
    return reported


def _check_whole(outcome: Outcome, index: int) -> None:
    """Raise Problem for one that says nothing, or half of a value."""
    if (outcome.value is None) != (outcome.currency is None):
        lacking = "value" if outcome.value is None else "currency"
        detail = "send a value with its currency, like EUR, or neither"
        raise Problem(422, "bad-outcome", "An outcome has half of a value", detail, index, lacking)
    if outcome.currency is not None and not CAPITALS.fullmatch(outcome.currency):
        detail = "it must be three capital letters, like EUR"
        raise Problem(422, "bad-outcome", "A currency is none", detail, index, "currency")
    if outcome.outcome is None and outcome.value is None and outcome.action is None:
        title, detail = "An outcome says nothing", "send an outcome, a value or an action"
        raise Problem(422, "bad-outcome", title, detail, index, "outcome")


def outcomes(reported: Sequence[Outcome], contract: Contract, now: float) -> Outcomes:
    """Return what is recorded of outcomes; raises Problem for one that the target cannot have."""
    return Outcomes(
        [each.request_id for each in reported],
        [each.row for each in reported],
        [now] * len(reported),
        [_checked(each.outcome, contract, index) for index, each in enumerate(reported)],
        [each.value for each in reported],
        [each.currency for each in reported],
        [each.action for each in reported],
    )


def _checked(
    outcome: bool | float | str | None, contract: Contract, index: int
) -> str | float | None:
    """Return a classifier's outcome as its label, a regressor's as a number; none stays none."""
    if outcome is None:
        return None
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
        422: "An outcome that the target cannot have, or half of a value",
        503: "The outcomes cannot be kept now",
    }
    problem = {MEDIA_TYPE: {"schema": SCHEMA}}
    accepted = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    return {
        202: {"content": {"application/json": {"schema": accepted}}},
        **{status: {"description": text, "content": problem} for status, text in about.items()},
    }
