"""The application: the hot path before FastAPI, and FastAPI for everything around it."""

import asyncio
import gc
import hmac
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from ..runtime.hooks import Veto
from . import hooks, openapi
from .endpoints import docs, explain, feedback, health, inference_protocol, metrics, model, page
from .endpoints.direct import Direct
from .endpoints.predict import LARGE, Bodies, Predict, RequestIds, refuse
from .models import ServedModels
from .problem import PROTOCOL, Problem
from .recording.recorder import Recorder
from .reply import Reply
from .settings import ServingSettings
from .telemetry.logs import Refusals, logger
from .telemetry.metrics import OTHER, PREDICT, Metrics
from .telemetry.traces import traces
from .tensors import ProtocolError

ROUTES = (model, explain, feedback, inference_protocol, health, metrics, page)
RECORDED = "/infer"  # what a path of the protocol that ends so answers, the recorder counts
# What answers without the key: whether the server lives, and pages that hold nothing.
OPEN = ("/", "/docs", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
OPEN_BELOW = "/page/"
REQUEST_ID = b"x-request-id"
HANDLED = (
    *(Problem, Veto, ProtocolError, HTTPException, RequestValidationError, ClientDisconnect),
    Exception,
)
THRESHOLDS = (10_000, 20, 50)
# FastAPI's own would send messages of exceptions, which may quote a row, to a collector.
NO_TELEMETRY = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}


class App(FastAPI):
    """FastAPI that hands POST /predict to its endpoint before middleware and routing.

    `state` holds settings, models, recorder, metrics and ids, for every endpoint.
    """

    def __init__(self, settings: ServingSettings) -> None:
        super().__init__(
            title="Predictions",
            lifespan=_lifespan,
            docs_url=None,  # FastAPI's own takes its scripts from other people's servers
            redoc_url=None,
            redirect_slashes=False,
            openapi_url="/openapi.json" if settings.docs else None,
            servers=[{"url": settings.root_path}] if settings.root_path else None,
            telemetry=NO_TELEMETRY,  # type: ignore[arg-type]
        )
        state = self.state
        state.settings = settings
        state.models = ServedModels(settings, lambda result: state.metrics.swapped(result))
        state.metrics = Metrics(state.models)
        state.recorder = Recorder(settings, state.models, state.metrics)
        state.traces = traces()
        state.refusals = Refusals()
        state.ids = RequestIds()
        self.predict = Predict(
            settings,
            state.models,
            state.recorder,
            state.metrics,
            state.traces,
            state.refusals,
            state.ids,
        )
        self._direct = Direct(self.predict)
        self._key = settings.api_key and settings.api_key.get_secret_value().encode()
        self._max_body_bytes = settings.max_body_bytes
        self._root_path = settings.root_path
        self._described = ""
        # What routing is asked for is what `__call__` does not know: another method.
        self.router.routes.append(Route(PREDICT, self.predict, methods=["POST"]))
        engine = [*self.routes]
        for module in (*ROUTES, *([docs] if settings.docs else [])):
            routes = module.router()
            engine += routes.routes
            self.include_router(routes)
        if (own := hooks.router()) is not None:
            hooks.check_routes(own, engine)
            self.include_router(own)
        for kind in HANDLED:
            self.add_exception_handler(kind, _handle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what FastAPI routes is counted here, what the hot path answers by itself."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        is_prediction = scope["path"] == PREDICT and scope["method"] == "POST"
        if not is_prediction:
            scope = self._below(scope)
            is_prediction = scope["path"] == PREDICT and scope["method"] == "POST"
        if self._key is not None and not self._admitted(scope["path"], dict(scope["headers"])):
            await self._turn_away(scope, send)
        elif is_prediction:
            await self.predict(scope, receive, send)
        else:
            await self._route(scope, receive, send)

    def direct(self, headers: Mapping[bytes, bytes], body: bytes, reply: Reply) -> bool:
        """Answer a prediction that is here whole; say where it is to be asked as any request."""
        if self._key is not None and not self._admitted(PREDICT, headers):
            return False
        return self._direct(headers, body, reply)

    def openapi(self) -> dict[str, Any]:
        """Return the description of every route, with the rows of the bundle that serves."""
        champion = self.state.models.champion
        serving = champion.bundle_digest if champion else ""
        if self.openapi_schema is None or serving != self._described:
            self.openapi_schema = None
            self._described = serving
            openapi.describe(super().openapi(), champion, self._key is not None)
        return super().openapi()

    def _below(self, scope: Scope) -> Scope:
        """Return what is asked below the prefix of a proxy, which may have taken it off or not."""
        prefix = self._root_path or scope.get("root_path", "")
        path = scope["path"]
        if not prefix or not path.startswith(f"{prefix}/"):
            return scope
        # No root_path, by which routing would take it off again, after the key was asked for.
        return {**scope, "path": path.removeprefix(prefix), "root_path": ""}

    def _admitted(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a request has the key, or needs none."""
        if path in OPEN or path.startswith(OPEN_BELOW):
            return True
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                return False
        return hmac.compare_digest(given.strip(), self._key or b"")

    def refused(self, problem: Problem, request_id: str | None = None) -> None:
        """Count what is refused before any route of it is known."""
        state = self.state
        state.metrics.rejected(problem.slug)
        state.metrics.request(OTHER, problem.status, 0.0)
        state.refusals.add(problem.status, problem.slug, request_id or state.ids.choose(None))

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        headers = {"www-authenticate": "Bearer"}
        problem = Problem(401, "unauthorized", "The API key is missing or wrong", headers=headers)
        request_id = self.state.ids.choose(dict(scope["headers"]).get(REQUEST_ID))
        self.refused(problem, request_id)
        await refuse(problem, request_id, send, path=scope["path"])

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have FastAPI answer, with a bound on the body and an eye on the status."""
        started = perf_counter()
        status = 500
        request_id = self.state.ids.choose(dict(scope["headers"]).get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = request_id

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", []))
                if REQUEST_ID not in dict(headers):
                    headers.append((REQUEST_ID, request_id.encode()))
                message["headers"] = headers
            await send(message)

        # HEAD is answered as GET; the transport leaves the body out.
        asked: Scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        body = Bounded(receive, self._max_body_bytes, self.predict.bodies)
        try:
            await super().__call__(asked, body, sending)
        except Exception:  # answered already, by _handle
            logger.exception("request failed", extra={"request_id": request_id})
        finally:
            body.close()
        route = getattr(asked.get("route"), "path", OTHER)
        recorded = route.startswith(PROTOCOL) and route.endswith(RECORDED)
        if route != PREDICT and not (status == 200 and recorded):
            self.state.metrics.request(route, status, perf_counter() - started)


def create(settings: ServingSettings) -> App:
    """Return the application; its models are loaded when it starts, or before."""
    return App(settings)


@asynccontextmanager
async def _lifespan(app: App) -> AsyncIterator[None]:
    state = app.state
    await state.models.start()
    try:
        await state.recorder.start()
        try:
            with _collecting_little():
                yield
        finally:
            await state.recorder.stop()
    finally:
        await state.models.stop()
        app.predict.close()
        await asyncio.get_running_loop().run_in_executor(None, state.traces.close)


@contextmanager
def _collecting_little() -> Iterator[None]:
    """Keep the garbage collector from what will never be garbage: a tenth of a request's cost."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class Bounded:
    """Receives a body of at most `most` bytes, within what all bodies may hold."""

    def __init__(self, receive: Receive, most: int, bodies: Bodies) -> None:
        self._receive = receive
        self._most = most
        self._bodies = bodies
        self._size = 0
        self._entered = False

    async def __call__(self) -> Message:
        """Return the next message; raises HTTPException 413 and Problem 503."""
        if self._size > LARGE and not self._entered:
            self._entered = await self._bodies.enter()
        message = await self._receive()
        size = len(message.get("body", b""))
        self._size += size
        self._bodies.take(size)
        if self._size > self._most:
            raise HTTPException(413, f"send at most {self._most} bytes at once")
        self._bodies.check()
        return message

    def close(self) -> None:
        """Give back what the body held."""
        self._bodies.leave(self._entered)
        self._bodies.give_back(self._size)


def _handle(request: Request, error: Exception) -> Response:
    """Answer an exception as a problem."""
    problem = _problem(error)
    state = request.app.state
    state.metrics.rejected(problem.slug)
    request_id = request.state.request_id
    state.refusals.add(problem.status, problem.slug, request_id)
    body, kind = problem.body(request.scope["path"], request_id)
    return Response(body, problem.status, problem.headers, media_type=kind)


def _problem(error: Exception) -> Problem:
    """Return an exception as a problem that quotes nothing of what was sent."""
    match error:
        case Problem():
            return error
        case Veto():
            return Problem(422, "veto", "The request is refused", error.reason, error.row)
        case ProtocolError():
            return Problem(400, "bad-tensors", str(error))
        case ClientDisconnect():
            return Problem(400, "client-gone", "The client has left")
        case HTTPException():
            slug = str(SLUGS.get(error.status_code, error.status_code))
            headers = dict(error.headers or {})
            if "GET" in headers.get("Allow", ""):
                headers["Allow"] += ", HEAD"
            return Problem(error.status_code, slug, str(error.detail), headers=headers)
        case RequestValidationError():
            first: Mapping[str, Any] = next(iter(error.errors()), {})
            field = ".".join(map(str, first.get("loc", ()))) or None
            title = "The request does not fit"
            return Problem(422, "bad-request", title, str(first.get("msg", "")), field=field)
    return Problem(500, "failed", "The server failed")


SLUGS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
