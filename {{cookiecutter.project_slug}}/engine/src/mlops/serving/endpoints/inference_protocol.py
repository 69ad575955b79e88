"""/v2: the Open Inference Protocol, which clients of KServe, Seldon and Triton speak."""

import asyncio
from time import perf_counter
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ..models import ROUTING_KEY, Arms, ServedModels, routing_key
from ..online.lookup import Looked
from ..predictor import Predictor
from ..problem import PROTOCOL, Problem
from ..protocol import EXTENSIONS, decode, encode, outputs, rows, schema
from ..protocol import Request as Inference
from ..tensors import count, datatype

LENGTH = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
LARGE = 1 << 16  # bytes of a body that is read in a thread
MODEL = "/models/{name}"
VERSION = "/models/{name}/versions/{version}"
REFUSALS = {
    400: "What was sent is no inference request",
    404: "There is no such model or version",
    413: "The body is too large, or has too many rows",
    415: "The body is encoded",
    422: "A row does not fit the contract",
    503: "The server is busy, or not ready",
}

Parsed = tuple[Inference, bytes]


def router() -> APIRouter:
    """Return the routes of the protocol; a version of the model is a bundle that serves."""
    routes = APIRouter(
        prefix=PROTOCOL,
        tags=["Open Inference Protocol"],
        responses={status: _described(text, "error") for status, text in REFUSALS.items()},
    )

    @routes.get("", summary="The server", responses=_answers("name", "version", "extensions"))
    async def server(request: Request) -> Response:
        about = {"name": "mlops", "version": request.app.version, "extensions": EXTENSIONS}
        return JSONResponse(about)

    @routes.get("/health/live", summary="Whether the server lives", responses=_answers("live"))
    async def live() -> Response:
        return JSONResponse({"live": True})

    @routes.get("/health/ready", summary="Whether it is ready", responses=_answers("ready"))
    async def ready(request: Request) -> Response:
        return _ready(request, {"live": True})

    @routes.get(MODEL, summary="Its tensors", responses=_answers("name", "inputs", "outputs"))
    async def model(request: Request, name: str) -> Response:
        return _metadata(request, name)

    @routes.get(VERSION, summary="Its tensors", responses=_answers("name", "inputs", "outputs"))
    async def version(request: Request, name: str, version: str) -> Response:
        return _metadata(request, name, version)

    @routes.get(MODEL + "/ready", summary="Whether it answers", responses=_answers("ready"))
    async def model_ready(request: Request, name: str) -> Response:
        return _model_ready(request, name)

    @routes.get(VERSION + "/ready", summary="Whether it answers", responses=_answers("ready"))
    async def version_ready(request: Request, name: str, version: str) -> Response:
        return _model_ready(request, name, version)

    @routes.post(MODEL + "/infer", **INFER)
    async def infer(request: Request, name: str) -> Response:
        return await _infer(request, name)

    @routes.post(VERSION + "/infer", **INFER)
    async def infer_version(request: Request, name: str, version: str) -> Response:
        return await _infer(request, name, version)

    return routes


def find(models: ServedModels, key: bytes, name: str, version: str) -> tuple[Predictor, Arms]:
    """Return the named model and how it was drawn, by the key or by the version's name.

    Raises Problem 404 where it is another, 503 where there is none.
    """
    predictor = models.route(key)
    if predictor.loaded.contract.name != name:
        raise Problem(404, "not-found", f"the model is {predictor.loaded.contract.name!r}")
    if not version:
        return predictor, models.arms
    for one in (models.champion, models.challenger):
        if one is not None and version_of(one) == version:
            return one, Arms(models.challenger, None)
    raise Problem(404, "not-found", f"{name!r} has no such version")


def version_of(predictor: Predictor) -> str:
    """Return the start of the digest, as people read it everywhere."""
    return predictor.bundle_digest[:12]


def described(models: ServedModels, predictor: Predictor) -> dict[str, Any]:
    """Return the metadata of a model: every tensor that it takes and gives."""
    contract = predictor.loaded.contract
    inputs = [
        {"name": name, "datatype": datatype(column), "shape": [-1]}
        for name, column in predictor.request.columns.items()
    ]
    answers: list[dict[str, Any]] = [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    if contract.labels:
        answers[0]["datatype"] = "BYTES"
        shape, labels = [-1, len(contract.labels)], {"labels": list(contract.labels)}
        answers.append(
            {"name": "probability", "datatype": "FP64", "shape": shape, "parameters": labels}
        )
    if actions := predictor.loaded.actions:
        named = {"labels": list(actions)}
        answers.append({"name": "action", "datatype": "BYTES", "shape": [-1], "parameters": named})
    if contract.intervals is not None:
        about: dict[str, Any] = {"coverage": contract.intervals.coverage}
        if contract.labels:
            kind = {"name": "set", "datatype": "BOOL", "shape": [-1, len(contract.labels)]}
            about["labels"] = list(contract.labels)
        else:
            kind = {"name": "interval", "datatype": "FP64", "shape": [-1, 2]}
        answers.append({**kind, "parameters": about})
    return {
        "name": contract.name,
        "versions": [version_of(p) for p in (models.champion, models.challenger) if p is not None],
        "platform": predictor.loaded.model.runtime,
        "inputs": inputs,
        "outputs": answers,
    }


def _metadata(request: Request, name: str, version: str = "") -> Response:
    models = request.app.state.models
    return JSONResponse(described(models, find(models, b"", name, version)[0]))


def _model_ready(request: Request, name: str, version: str = "") -> Response:
    find(request.app.state.models, b"", name, version)
    return _ready(request, {"name": name})


async def _infer(request: Request, name: str, version: str = "") -> Response:
    started = perf_counter()
    state = request.app.state
    request_id: str = request.state.request_id
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "unsupported-media-type", "send the body without content-encoding")
    body = await request.body()
    headers = dict(request.headers.raw)
    key = routing_key(headers, request_id)
    predictor, arms = find(state.models, key, name, version)
    header, most = request.headers.get(LENGTH), state.settings.max_rows
    if len(body) > LARGE:
        inference, sent = await asyncio.to_thread(parse, predictor, body, header, most)
    else:
        inference, sent = parse(predictor, body, header, most)
    try:
        decoded, (matrix, predictions), looked = await request.app.predict.answered(predictor, sent)
    except Problem as problem:
        if problem.is_ours:
            state.models.count(predictor, failed=True)
        raise
    content, length = encode(
        inference,
        outputs(
            predictions,
            predictor.loaded.contract,
            predictor.threshold,
            predictor.loaded.intervals,
            predictor.codes(decoded),
            predictor.loaded.actions,
            predictor.loaded.acted(predictions) if predictor.loaded.actions else None,
        ),
        {
            "model_name": name,
            "model_version": version_of(predictor),
            "parameters": {"request_id": request_id, **_age(looked)},
        },
    )
    seconds = perf_counter() - started
    state.models.count(predictor, failed=False, seconds=seconds)
    route = request.scope["route"].path
    state.recorder.add(
        *(predictor, request_id, decoded, matrix, predictions, seconds, arms),
        headers.get(ROUTING_KEY),
        route,
        looked,
    )
    if length == len(content):
        return Response(content, media_type="application/json")
    return Response(content, headers={LENGTH: str(length)}, media_type=BINARY)


def _age(looked: Looked | None) -> dict[str, float]:
    """Return how old the oldest value is that was looked up: parameters hold no more."""
    times = [at for row in looked.as_of for at in row if at is not None] if looked else []
    if looked is None or not times:
        return {}
    return {"features_age_seconds": round(max(0.0, looked.at - min(times) / 1e6), 3)}


def parse(predictor: Predictor, body: bytes, header: str | None, most: int) -> Parsed:
    """Return the request, and its rows as the body that /predict would be sent.

    Raises ProtocolError for what is no request, and Problem 413 for too many rows.
    """
    inference, binary = decode(body, header)
    if count(inference.inputs[0]) > most:
        raise Problem(413, "too-many-rows", f"send at most {most} rows at once")
    contract, schema = predictor.loaded.contract, predictor.request
    found = rows(inference, binary, contract, schema.names, schema.ignored)
    return inference, msgspec.json.encode(found)


def _ready(request: Request, about: dict[str, Any]) -> Response:
    ready = request.app.state.models.ready
    return JSONResponse({**about, "ready": ready}, 200 if ready else 503)


def _object(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required)}


def _described(text: str, *required: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": _object(*required)}},
    }


def _answers(*required: str) -> dict[int | str, dict[str, Any]]:
    return {200: _described("The answer", *required)}


def _request_body() -> dict[str, Any]:
    return {
        "required": True,
        "description": f"JSON; with {LENGTH}, the bytes of tensors stand behind it",
        "content": {"application/json": {"schema": schema()}},
    }


INFER: dict[str, Any] = {
    "summary": "Predict for rows that come as tensors, one for each column",
    "responses": _answers("model_name", "outputs"),
    "openapi_extra": {"requestBody": _request_body()},
}
