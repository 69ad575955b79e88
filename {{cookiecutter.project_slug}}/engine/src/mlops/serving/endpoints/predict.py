"""POST /predict as a bare ASGI application, since a framework's route costs more than the model."""

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import perf_counter
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from ...rollout.actions import Assigned
from ..actions import ActionTrial
from ..coalescing import Coalescing, Done, answered
from ..models import ROUTING_KEY, Arms, ServedModels
from ..online.lookup import Looked, Lookup
from ..predictor import Predictor
from ..problem import Problem
from ..recording.recorder import Recorder
from ..rows import Row
from ..settings import ServingSettings
from ..telemetry.logs import Refusals, logger
from ..telemetry.metrics import PREDICT, Metrics
from ..telemetry.traces import Trace, Traces

LARGE = 1 << 16  # bytes of a body that is worked on in a thread
PLACES = 3  # for bodies that are larger
PATIENCE = 1.0  # seconds that one waits for a place
BUFFERED = 1 << 26  # bytes of all bodies that still arrive, or wait for a thread
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@+=-]{1,100}")
JSON = re.compile(rb"application/json[ \t]*(;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.IGNORECASE)
TRACEPARENT, NAMED = b"traceparent", b"x-request-id"
QUICK = "onnx"  # the runtime that answers within a turn of the loop
CONTENT_TYPE = (b"content-type", b"application/json")
RETRY = {"retry-after": "1"}


class GoneError(Exception):
    """The client has left."""


class Bodies:
    """What the bodies of all requests hold at this moment: bytes, and places for large ones."""

    def __init__(self) -> None:
        self.size = 0
        self._places = asyncio.Semaphore(PLACES)

    def take(self, more: int) -> None:
        """Count what is in memory from now on; whoever takes gives back, also when refused."""
        self.size += more

    def check(self) -> None:
        """Raise Problem 503 where they hold more than they may."""
        if self.size > BUFFERED:
            raise _busy("too many bodies are arriving or waiting")

    def give_back(self, size: int) -> None:
        """Count what is no longer in memory."""
        self.size -= size

    async def enter(self) -> bool:
        """Wait for a place, so that many that come at once are read one after the other.

        Return whether there was one in time: those who send slowly hold nobody up for long.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._places.acquire()
        except TimeoutError:
            return False

    def leave(self, entered: bool) -> None:
        """Leave the place, if there was one."""
        if entered:
            self._places.release()


class RequestIds:
    """Names requests: as the client does, or by a prefix of this process and a number."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    def choose(self, given: bytes | None) -> str:
        """Return the client's id where it is short and plain, and else a new one."""
        if given is not None and REQUEST_ID.fullmatch(given):
            return given.decode()
        return f"{self._prefix}-{next(self._numbers):x}"


class Asked:
    """One request: when it came and what it is called, and who answers it."""

    __slots__ = ("arms", "headers", "predictor", "request_id", "started")

    arms: Arms

    def __init__(self, headers: Mapping[bytes, bytes], request_id: str) -> None:
        self.started = perf_counter()
        self.headers = headers
        self.request_id = request_id
        self.predictor: Predictor | None = None

    @property
    def unit(self) -> bytes:
        """What decides who answers, and what is done: the routing key, or the request's id."""
        return self.headers.get(ROUTING_KEY) or self.request_id.encode()


class Predict:
    """Decodes, predicts and answers; everything else of a request is telemetry's."""

    def __init__(
        self,
        settings: ServingSettings,
        models: ServedModels,
        recorder: Recorder,
        metrics: Metrics,
        traces: Traces,
        refusals: Refusals,
        ids: RequestIds,
    ) -> None:
        self._settings = settings
        self._models = models
        self._recorder = recorder
        self.metrics = metrics
        self._traces = traces
        self._tracing = traces.active
        self._refusals = refusals
        self._ids = ids
        self._max_in_flight = settings.max_in_flight
        self._max_body_bytes = settings.max_body_bytes
        self._max_rows = settings.max_rows
        self.coalescing = Coalescing(settings.deadline_seconds)
        self._thread = ThreadPoolExecutor(1, "large-requests")
        self.actions = (
            ActionTrial(settings.actions, settings.watch_seconds) if settings.actions else None
        )
        self.bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with 200 or a problem."""
        asked = self.asked(dict(scope["headers"]))
        headers, trace = asked.headers, None
        if self.is_traced(headers):
            trace = self._traces.begin(headers.get(TRACEPARENT))
        try:
            self.check(headers)
            message = await receive()
            body = message.get("body", b"")
            if len(body) > self._max_body_bytes or message.get("more_body", True):
                body = await self._gathered(message, receive)
            predictor = self.route(asked)
            done = await self.answered(predictor, body)
            answer, assigned = self.said(asked, predictor, done)
        except GoneError:
            self.metrics.rejected("client-gone")
        except Exception as error:
            await self._refuse(asked, error, send, trace)
        else:
            await send(_start(200, CONTENT_TYPE, answer, asked.request_id, trace))
            await send({"type": "http.response.body", "body": answer})
            self.record(asked, predictor, done, assigned)
            if trace is not None:
                self._traces.end(trace, 200)

    async def _refuse(
        self, asked: Asked, error: Exception, send: Send, trace: Trace | None
    ) -> None:
        """Reply with what is wrong.

        In the frame that caught it, a name for it would keep that frame, and the body in it, until
        a collection.
        """
        problem = self.refused(asked, error, trace)
        await refuse(problem, asked.request_id, send, trace)
        if trace is not None:
            self._traces.end(trace, problem.status, {"error.type": problem.slug})

    def asked(self, headers: Mapping[bytes, bytes]) -> Asked:
        """Return what is known of a request before it is looked at."""
        return Asked(headers, self._ids.choose(headers.get(NAMED)))

    def is_traced(self, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a request has a trace."""
        return self._tracing or TRACEPARENT in headers

    def route(self, asked: Asked) -> Predictor:
        """Return who answers; raises Problem 503 where nobody does."""
        asked.predictor = self._models.route(asked.unit)
        asked.arms = self._models.arms
        return asked.predictor

    def said(
        self, asked: Asked, predictor: Predictor, done: Done
    ) -> tuple[bytes, Sequence[Assigned]]:
        """Return the answer, and what is to be done with each row."""
        rows, (_, predictions), looked = done
        assigned: Sequence[Assigned] = ()
        if self.actions is not None:
            assigned = self.actions.assigned(predictor, asked.unit, predictions)
        return predictor.answer(predictions, asked.request_id, rows, looked, assigned), assigned

    def record(
        self, asked: Asked, predictor: Predictor, done: Done, assigned: Sequence[Assigned]
    ) -> None:
        """Count and record what was answered."""
        rows, (matrix, predictions), looked = done
        seconds = perf_counter() - asked.started
        if predictor is asked.arms.challenger:
            self._models.count(predictor, failed=False, seconds=seconds)
        self._recorder.add(
            *(predictor, asked.request_id, rows, matrix, predictions, seconds),
            *(asked.arms, asked.headers.get(ROUTING_KEY), PREDICT, looked, assigned),
        )

    def refused(self, asked: Asked, error: Exception, trace: Trace | None = None) -> Problem:
        """Count and log what went wrong, and return what is said of it."""
        if isinstance(error, Problem):
            problem = error
        else:
            logger.error(
                "prediction failed", extra={"request_id": asked.request_id}, exc_info=error
            )
            problem = Problem(500, "failed", "The server failed")
        if asked.predictor is not None and problem.is_ours:
            self._models.count(asked.predictor, failed=True)
        seconds = perf_counter() - asked.started
        self.metrics.rejected(problem.slug)
        self.metrics.request(PREDICT, problem.status, seconds)
        trace_id = trace.trace_id if trace else ""
        told = (problem.status, problem.slug, asked.request_id, trace_id, seconds)
        self._refusals.add(*told)
        return problem

    def close(self) -> None:
        """Let the thread end when it is done."""
        self._thread.shutdown(wait=False)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise Problem for a body that need not be read, since it is too large or no JSON."""
        kind = headers.get(b"content-type")
        if kind is not None and kind != CONTENT_TYPE[1] and JSON.fullmatch(kind) is None:
            raise _unsupported("send application/json")
        if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
            raise _unsupported("send it without content-encoding")
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._max_body_bytes:
            raise self._too_large()

    async def _gathered(self, message: Message, receive: Receive) -> bytes:
        """Return a body that may come in parts; who sends it slowly is the server's to close."""
        body = bytearray()
        entered = False
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise GoneError
                part = message.get("body", b"")
                body += part
                self.bodies.take(len(part))
                if len(body) > self._max_body_bytes:
                    raise self._too_large()
                if not message.get("more_body", False):
                    break
                self.bodies.check()
                if len(body) > LARGE and not entered:
                    entered = await self.bodies.enter()
                message = await receive()
            return bytes(body)
        finally:
            self.bodies.leave(entered)
            self.bodies.give_back(len(body))

    def admit(self) -> None:
        """Raise Problem 503 where more requests are in flight than may be."""
        if self.metrics.in_flight >= self._max_in_flight:
            raise _busy("too many requests are in flight")

    async def answered(self, predictor: Predictor, body: bytes) -> Done:
        """Return the rows of a body, their answer and what was looked up for them.

        Raises Problem where a limit or the contract is not kept.
        """
        self.admit()
        metrics = self.metrics
        metrics.in_flight += 1
        try:
            if len(body) > LARGE:
                return await self._large(predictor, body)
            looked = None
            if predictor.lookup is None:
                rows = self.within(predictor.decode(body))
            elif is_quick(predictor):
                asked = self.within(predictor.request.decode(body))
                return await self.coalescing.look_up(predictor, asked)
            else:
                rows, looked = await self._looked_up(predictor, predictor.lookup, body)
            if predictor.loaded.model.runtime == QUICK:
                return rows, await self.coalescing.ask(predictor, rows), looked
            async with asyncio.timeout(self._settings.deadline_seconds):
                matrix = predictor.matrix(rows)
                predictions = await self._models.predict(predictor, matrix)
                return rows, (matrix, predictor.after(rows, predictions)), looked
        except TimeoutError:
            raise late() from None
        finally:
            metrics.in_flight -= 1

    async def _looked_up(
        self, predictor: Predictor, lookup: Lookup, body: bytes
    ) -> tuple[list[Row], Looked]:
        """Return rows with what is looked up: of a file at once, of what is remote in a thread."""
        asked = self.within(predictor.request.decode(body))
        keys = lookup.requested(asked)
        online = lookup.online
        found = await online.ask(keys) if online.remote else online.read(keys)
        return predictor.looked_up(asked, keys, found)

    async def _large(self, predictor: Predictor, body: bytes) -> Done:
        loop = asyncio.get_running_loop()
        self.bodies.take(len(body))
        entered = False
        try:
            self.bodies.check()
            entered = await self.bodies.enter()
            async with asyncio.timeout(self._settings.deadline_seconds):
                return await loop.run_in_executor(self._thread, self._work, predictor, body)
        finally:
            self.bodies.leave(entered)
            self.bodies.give_back(len(body))

    def within(self, rows: list[Row]) -> list[Row]:
        """Return rows; raises Problem 413 where they are too many."""
        if len(rows) > self._max_rows:
            detail = f"send at most {self._max_rows} rows at once"
            raise Problem(413, "too-many-rows", "There are too many rows", detail)
        return rows

    def _work(self, predictor: Predictor, body: bytes) -> Done:
        rows, looked = predictor.taken(body, self.within)
        return rows, answered(predictor, rows), looked

    def _too_large(self) -> Problem:
        detail = f"send at most {self._max_body_bytes} bytes at once"
        return Problem(413, "too-large", "The body is too large", detail)


async def refuse(
    problem: Problem,
    request_id: str,
    send: Send,
    trace: Trace | None = None,
    path: str = PREDICT,
) -> None:
    """Send a problem as the whole answer."""
    body, kind = problem.body(path, request_id)
    start = _start(problem.status, (b"content-type", kind.encode()), body, request_id, trace)
    start["headers"] += [(k.encode(), v.encode()) for k, v in problem.headers.items()]
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _start(
    status: int, kind: tuple[bytes, bytes], body: bytes, request_id: str, trace: Trace | None
) -> dict[str, Any]:
    headers = [
        kind,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
    ]
    if trace is not None:
        headers.append((b"traceparent", trace.header))
    return {"type": "http.response.start", "status": status, "headers": headers}


def is_quick(predictor: Predictor) -> bool:
    """Say whether a predictor answers without a thread: of what it looks up, too."""
    if predictor.loaded.model.runtime != QUICK:
        return False
    return predictor.lookup is None or not predictor.lookup.online.remote


def late() -> Problem:
    """Return what is said where the deadline came before the answer."""
    return Problem(503, "deadline", "The answer took too long", headers=RETRY)


def _busy(detail: str) -> Problem:
    return Problem(503, "busy", "The server is busy", detail, headers=RETRY)


def _unsupported(detail: str) -> Problem:
    return Problem(415, "unsupported-media-type", "The body is of another kind", detail)
