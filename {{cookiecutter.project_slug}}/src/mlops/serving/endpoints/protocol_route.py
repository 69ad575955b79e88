"""How the Open Inference Protocol is refused: with a status, and a sentence under `error`."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..problem import Problem
from ..tensors import ProtocolError

LONGEST = 500  # of an error, which may quote what was sent
REFUSALS: dict[int | str, str] = {
    400: "What was sent is no inference request",
    404: "There is no such model or version",
    413: "The body is too large, or has too many rows",
    415: "The body is encoded",
    422: "A row does not fit the contract",
    503: "The server is busy, or not ready",
}

Refusal = Problem | ProtocolError | HTTPException | ClientDisconnect


class ProtocolRoute(APIRoute):
    """A route that refuses as the protocol does: a sentence under `error`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, and of what it raises."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, ProtocolError, HTTPException, ClientDisconnect) as error:
                return _refused(request, error)

        return guarded


def _refused(request: Request, error: Refusal) -> Response:
    problem = _problem(error)
    request.app.state.metrics.rejected(problem.slug)
    place = [f"row {problem.row}"] if problem.row is not None else []
    place += [f"input {problem.field!r}"] if problem.field is not None else []
    parts = [problem.title, problem.detail, ", ".join(place)]
    content = {"error": ": ".join(filter(None, parts))[:LONGEST]}
    return JSONResponse(content, problem.status, problem.headers)


def _problem(error: Refusal) -> Problem:
    match error:
        case Problem():
            return error
        case ProtocolError():
            return Problem(400, "bad-tensors", str(error))
        case HTTPException():
            slug = "too-large" if error.status_code == 413 else "bad-request"
            return Problem(error.status_code, slug, error.detail)
    return Problem(400, "client-gone", "The client has left")
