"""POST /explain: which features brought an answer about, and by how much."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from ...features.encoding import Encoder
from ...runtime.terms import JOINED
from ..coalescing import answered
from ..explanation import SCALES, Explainer, Explanation, Scale, Summed
from ..models import routing_key
from ..predictor import Predictor
from ..problem import MEDIA_TYPE, Problem
from ..rows import Row
from .model import golden

ROWS = 20
SHOWN = 200  # characters of a text
WAITING = 8
RETRY = {"retry-after": "1"}


Method = Literal["sampling", "terms"]
Value = bool | int | float | str | None


class Contribution(BaseModel):
    """What one feature, or one term of the model, adds to the answer on the explanation's scale."""

    feature: str = Field(
        description="a feature of the model, derived ones included; of a term of several  `a & b`"
    )
    value: Value | list[Value] = Field(
        description="what the row has; null is missing; of a term of several a list"
    )
    contribution: float
    error: float | None = Field(description="standard error of sampling; 0 where terms are exact")


class RowExplained(BaseModel):
    """One row: the contributions sum to `output` less `base`."""

    prediction: bool | int | float | str
    probabilities: dict[str, float] | None = None
    label: str | None = Field(description="the class that is explained")
    base: float = Field(
        description="by sampling the mean answer of the background rows; by terms the intercept, "
        "to which terms are added"
    )
    output: float = Field(description="answer of the row")
    contributions: list[Contribution] = Field(description="largest first")


class Explained(BaseModel):
    """The explanations of a request's rows."""

    model: str = Field(description="digest of the bundle")
    request_id: str
    method: Method = Field(
        description="sampling: Shapley values by sampled permutations; terms: the model is a sum "
        "of these contributions, which are exact"
    )
    scale: Scale = Field(description="what contributions are measured in")
    background: int = Field(
        description="golden rows of the bundle that rows are compared with; 0 by terms"
    )
    permutations: int = Field(
        description="of the features, drawn for each background row; 0 by terms"
    )
    explanations: list[RowExplained]


def router() -> APIRouter:
    """Return the route that explains."""
    routes = APIRouter(tags=["predictions"])
    explaining = Explaining()

    @routes.post(
        "/explain",
        summary="Which features brought the answer for a row about",
        responses=_responses(),
        openapi_extra={"requestBody": _request_body()},
    )
    async def explain(request: Request) -> Explained:
        state = request.app.state
        request_id = request.state.request_id
        try:
            body = await request.body()
        except ClientDisconnect:
            raise Problem(400, "client-gone", "The client has left") from None
        predictor = state.models.route(routing_key(dict(request.headers.raw), request_id))
        until = time.monotonic() + state.settings.deadline_seconds
        return await explaining.run(explained, predictor, body, request_id, until)

    return routes


class Explaining:
    """One thread, which the server's other work hardly feels, and a short queue before it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "explanations")
        self._waiting = 0

    async def run(self, work: Callable[..., Explained], *arguments: Any) -> Explained:
        """Return what `work` returns; raises Problem 503 where too many wait."""
        if self._waiting >= WAITING:
            raise Problem(503, "busy", "Too many explanations are asked for", headers=RETRY)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1


def explained(
    predictor: Predictor, body: bytes, request_id: str, until: float = math.inf
) -> Explained:
    """Explain the rows of a body as /predict takes it.

    Raises Problem for what /predict refuses, for more than ROWS rows, and where the monotonic
    clock passes `until` before the end.
    """
    rows, _ = predictor.taken(body, _few)
    matrix, predictions = answered(predictor, rows)
    answers = msgspec.json.decode(predictor.answer(predictions, request_id))["predictions"]
    way = _way(predictor)
    found = []
    for row, encoded, answer in zip(rows, matrix, answers, strict=True):
        if time.monotonic() > until:
            title = "The explanation took too long"
            raise Problem(503, "deadline", title, "send fewer rows", headers=RETRY)
        values = _values(predictor, row, encoded)
        found.append(_row(predictor, values, answer, way.explain(encoded), way.parts))
    return Explained(
        model=predictor.bundle_digest,
        request_id=request_id,
        method=way.method,
        scale=way.scale,
        background=way.background,
        permutations=way.permutations,
        explanations=found,
    )


def _few(rows: list[Row]) -> list[Row]:
    if len(rows) > ROWS:
        raise Problem(413, "too-many-rows", "There are too many rows", f"send at most {ROWS}")
    return rows


class _Way(NamedTuple):
    """How rows are explained; `parts` has the features of each contribution."""

    explain: Callable[[np.ndarray], Explanation]
    parts: list[list[str]]
    method: Method
    scale: Scale
    background: int = 0
    permutations: int = 0


def _way(predictor: Predictor) -> _Way:
    """Return the model's own terms where it has some, else sampling against its golden rows."""
    loaded = predictor.loaded
    names, task, terms = loaded.encoder.names, loaded.contract.task, loaded.terms
    if terms is not None:
        summed = Summed(terms, predictor.predict, task, names)
        parts = [[axis.feature for axis in term.axes] for term in terms.terms]
        return _Way(summed.explain, parts, "terms", summed.scale)
    background = predictor.matrix(predictor.decode(msgspec.json.encode(golden(predictor))))
    features = loaded.encoder.features
    sampled = Explainer(predictor.predict, task, background, [*features.values()])
    alone = [[name] for name in features]
    drawn = 2 * sampled.pairs
    return _Way(sampled.explain, alone, "sampling", SCALES[task], len(background), drawn)


def _values(predictor: Predictor, row: Row, encoded: np.ndarray) -> dict[str, Value]:
    """Return what a row has of each feature and each column of the matrix."""
    record, encoder = predictor.schema.record(row), predictor.loaded.encoder
    columns = zip(encoder.names, map(_number, encoded), strict=True)
    features = encoder.features.items()
    return dict(columns) | {
        name: _value(name, record, encoder, encoded[places]) for name, places in features
    }


def _row(
    predictor: Predictor,
    values: dict[str, Value],
    answer: dict[str, Any],
    explanation: Explanation,
    parts: list[list[str]],
) -> RowExplained:
    contributions = [
        Contribution(
            feature=JOINED.join(names),
            value=values[names[0]] if len(names) == 1 else [values[name] for name in names],
            contribution=float(contribution),
            error=_number(error),
        )
        for names, contribution, error in zip(
            parts, explanation.contributions, explanation.errors, strict=True
        )
    ]
    contributions.sort(key=lambda each: -abs(each.contribution))
    label = explanation.label
    return RowExplained(
        **answer,
        label=None if label is None else predictor.loaded.contract.labels[label],
        base=explanation.base,
        output=explanation.output,
        contributions=contributions,
    )


def _value(name: str, record: dict[str, Any], encoder: Encoder, encoded: np.ndarray) -> Any:
    """Return what the row has: its own value, a derived number, or what several columns are of."""
    if name in record:
        return record[name]
    if len(encoded) == 1:
        return _number(encoded[0])
    read = encoder.derived[name].columns
    value = record[read[0]] if len(read) == 1 else None
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:SHOWN]


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _request_body() -> dict[str, Any]:
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": ROWS}
    return {
        "required": True,
        "content": {"application/json": {"schema": {"anyOf": [row, rows]}}},
    }


def _responses() -> dict[int | str, dict[str, Any]]:
    about = {
        400: "The body is not JSON",
        413: f"The body is too large, or has more than {ROWS} rows",
        422: "A row does not fit the contract",
        503: "The server is busy, or has no model",
    }
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": text, "content": problem} for status, text in about.items()}
