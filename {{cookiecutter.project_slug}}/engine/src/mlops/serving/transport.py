"""One connection: how much a client may send, and which of its requests need a task."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .problem import Problem
from .reply import Joining, Reply
from .telemetry.metrics import PREDICT

OUTSIDE = 1 << 15  # bytes of a request beside its body: its head, what frames chunks, trailers
FRAME = 8  # bytes of these that a chunk has for nothing, since it cannot come without
HEADERS = 100
UNREAD = 1 << 26  # bytes of a body that is answered already: clients read only when all is sent
PIECE = 1 << 12  # bytes that are parsed before the bounds are looked at
BODY = 1 << 14  # the same, where nothing but a body comes
PARTS = HIGH_WATER_LIMIT // BODY  # that wait for a request to be whole
SPARSE = 1 << 9  # bytes of a chunk; below, the parser has more to do than to copy

DIRECT = PREDICT.encode()  # whose requests may be answered without a task

# Takes the headers and the body of such a request, and says whether the reply gets its answer.
Answering: TypeAlias = Callable[[Mapping[bytes, bytes], bytes, Reply], bool]

PROTOCOL = Problem(
    400,
    "malformed-http",
    "The request is no HTTP/1.1",
    "set the client to HTTP/1.1, which a proxy that speaks HTTP/2 does by itself",
)
HEAD = Problem(
    431,
    "head-too-large",
    "The head of the request is too large",
    f"send at most {OUTSIDE} bytes before the body, in at most {HEADERS} headers",
)
FRAMES = Problem(
    413,
    "framing-too-large",
    "More frames the body than is in it",
    f"send chunks of {SPARSE} bytes and more, without extensions and trailers",
)


class Flow(FlowControl):
    """Flow control that goes on with what is held back before it reads more.

    It is told to whenever an answer is complete.
    """

    def __init__(self, transport: Any, go_on: Callable[[], object]) -> None:
        super().__init__(transport)
        self.held = False
        self._go_on = go_on

    def resume_reading(self) -> None:
        """Go on, or read on."""
        if self.read_paused:  # as it always is while something is held back
            if self.held:
                self._go_on()
            else:
                super().resume_reading()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a bound on every byte that is not a body, counted as it arrives.

    The parser itself bounds nothing. What arrives at once is parsed in pieces: one turn of the
    event loop takes little of each client, and what follows a request that waits for its turn is
    not parsed before that has come. `refused` is told what is refused here. A prediction that is
    here whole is given to `direct`; whatever it does not take, uvicorn makes a task for.
    """

    flow: Flow

    def __init__(
        self,
        *given: Any,
        refused: Callable[[Problem], None] = lambda _: None,
        direct: Answering = lambda headers, body, reply: False,
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._refused = refused
        self._direct = direct
        self._is_pending = False  # whether a request waits for its body before anything begins
        self._has_answered = False  # whether this turn took one without a task: one of each client
        self._parts: list[bytes] = []
        self._defaults: tuple[Any, bytes] = None, b""
        self._outside = 0
        self._unread = UNREAD
        self._chunks = 0
        self._held = memoryview(b"")
        self._size = PIECE
        self._about: Any = None
        self._over = False
        self._lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection."""
        joining = Joining(transport, self.loop, self._lingers)
        super().connection_made(joining)  # type: ignore[arg-type]
        self.flow = Flow(self.transport, lambda: self.loop.call_soon(self._feed))
        super().on_message_begin()
        self._about = self.scope

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        timeout = self.timeout_keep_alive_task
        if timeout is not None:
            timeout.cancel()
            self.timeout_keep_alive_task = None
        if self._over:
            return
        self._has_answered = False
        if len(data) <= PIECE and not self.pipeline and not self._held:
            self._parse(data)
        else:
            self._held = memoryview(bytes(self._held) + data if self._held else data)
            self._feed()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has closed its half after a whole request, and then close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            self.transport.close()
        else:
            cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what has arrived: protocol and transport hold each other until a collection."""
        super().connection_lost(exc)
        self.url, self.headers, self._held = b"", [], memoryview(b"")
        self.scope = None  # type: ignore[assignment]
        self.pipeline.clear()

    def on_message_begin(self) -> None:
        """Begin with a request; what its scope says of the connection is always the same."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.scope = self._about.copy()
        self.scope["headers"] = self.headers
        self.scope["state"] = {}

    def on_headers_complete(self) -> None:
        """Begin with a request, or wait for its body where it may need no task."""
        self._is_pending = self._may_be_direct()
        if not self._is_pending:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; what comes after the answer is passed over, up to a bound."""
        if self._is_pending:
            self._outside -= len(body)
            self._parts.append(body)
            if len(self._parts) > PARTS:
                self._begin()
            return
        cycle = self.cycle
        if cycle.response_complete:
            self._unread -= len(body)
            if self._unread > 0:
                self._outside -= len(body)
            return
        self._outside -= len(body)
        self._take(body)

    def on_message_complete(self) -> None:
        """Say that a body is whole; that of an offer comes again."""
        if self._is_pending:
            self._reply()
        self._outside, self._unread = 0, UNREAD
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_chunk_header(self) -> None:
        """Count a chunk; what follows are no headers of the request, but trailers."""
        if self._is_pending:
            self._begin()
        self._outside -= FRAME
        self._chunks += 1
        if 0 < len(self.headers) <= HEADERS:
            self.headers = []

    def default_headers(self) -> bytes:
        """Return what each answer says of the server, which is another list each second."""
        given = self.server_state.default_headers
        if self._defaults[0] is not given:
            self._defaults = given, b"".join(b"%b: %b\r\n" % header for header in given)
        return self._defaults[1]

    def _may_be_direct(self) -> bool:
        """Say whether a head is of a prediction that asks for nothing but its answer."""
        cycle, parser = self.cycle, self.parser
        return (
            self.url == DIRECT
            and not self._has_answered
            and (cycle is None or cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and len(self.headers) <= HEADERS
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _begin(self) -> None:
        """Begin with a request as uvicorn does, with what is here of its body."""
        self._is_pending = False
        parts, self._parts = self._parts, []
        super().on_headers_complete()
        if parts:
            self._take(b"".join(parts))

    def _take(self, body: bytes) -> None:
        """Add to the body of a request that has begun."""
        cycle = self.cycle
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _reply(self) -> None:
        """Have a whole request answered, by a task where it has to be."""
        before = self.cycle
        reply = Reply(self)
        self._unset_keepalive_if_required()  # one that was refused at once may stand before it
        self.cycle = reply  # type: ignore[assignment]
        if self._direct(dict(self.headers), b"".join(self._parts), reply):
            self._is_pending, self._has_answered, self._parts = False, True, []
        else:
            self.cycle = before
            self._begin()

    def _lingers(self) -> bool:
        """Say, once, whether to close later: a client that sends on would not read its answer."""
        cycle = self.cycle
        if self._over or self._lingering or cycle is None or not cycle.response_complete:
            return False
        self._lingering = cycle.more_body and not self.parser.should_keep_alive()
        return self._lingering

    def _should_upgrade(self) -> bool:
        return True  # so that no request is begun before `_stay` has read it again

    def _feed(self) -> None:
        """Parse what is held back, as far as one turn of the loop and the pipeline allow."""
        if self._over or self.parser is None or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._has_answered = False
        size, spare = self._size, 2 * PIECE
        while self._held and spare > 0 and not self.pipeline and not self._is_full():
            piece, self._held = self._held[:size], self._held[size:]
            cycle, outside, chunks = self.cycle, self._outside, self._chunks
            if not self._parse(piece, goes_on=bool(self._held)):
                return
            if (self._chunks - chunks) * SPARSE > len(piece):
                size, spare = SPARSE, 0
            elif self.cycle is cycle and self._outside <= outside:
                size = BODY
            else:
                size, spare = PIECE, spare - len(piece)
        if self._is_pending:
            self._begin()
        self._size = min(size, PIECE)
        self.flow.held = bool(self._held)
        if self.flow.held:
            self.flow.pause_reading()
            if not self.pipeline and not self._is_full():
                self.loop.call_soon(self._feed)
        elif not self._is_full():
            self.flow.resume_reading()

    def _is_full(self) -> bool:
        """Say whether so much of a body waits that its request is to ask for it first."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return len(cycle.body) > HIGH_WATER_LIMIT

    def _parse(self, data: bytes | memoryview, goes_on: bool = False) -> bool:
        """Parse a piece, and say whether what follows may be parsed, too.

        Unless the same turn `goes_on` with more, what has no whole body by then begins with a task.
        """
        self._outside += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._stay(bytes(data[upgrade.args[0] :]))
        except HttpParserError:
            return self._end(PROTOCOL)
        if self._is_pending and not goes_on:
            self._begin()
        if self._outside > OUTSIDE or len(self.headers) > HEADERS:
            return self._end(FRAMES if self._is_inside() and self._outside > OUTSIDE else HEAD)
        if self._outside < 0:
            self._outside = 0
        return True

    def _stay(self, rest: bytes) -> bool:
        """Read a request again without its offer of another protocol, which is not taken up.

        The parser leaves the body to the other protocol; who offers HTTP/2, as Java does, expects
        an answer to it.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            return self._end(PROTOCOL)
        version = self.parser.get_http_version().encode()
        kept = [b": ".join(header) for header in self.headers if header[0] != b"upgrade"]
        lines = [b"%s %s HTTP/%s" % (method, self.url, version), *kept, b"", rest]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return self._parse(b"\r\n".join(lines))

    def _is_inside(self) -> bool:
        """Say whether what is being parsed belongs to a request whose head is whole."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            return False
        return cycle.more_body or len(self.headers) > HEADERS

    def _end(self, problem: Problem) -> bool:
        """Refuse what is being parsed, after the answers to what came before it, and close."""
        self._over, self._is_pending, self._held = True, False, memoryview(b"")
        self._refused(problem)
        cycle, is_inside = self.cycle, self._is_inside()
        if cycle is None or (cycle.response_complete and not is_inside):
            self._close(problem)
        elif cycle.response_started and is_inside:
            self._close()
        elif is_inside and not self.pipeline:
            self._close(problem)
        else:
            if is_inside:
                self.pipeline[0] = cycle, _refusal(problem)
            cycle.keep_alive = False
            self.flow.held = True
            self.flow.pause_reading()
        return False

    def _close(self, problem: Problem | None = None) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if problem is not None:
            body, kind = problem.body("")
            about = "content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            head = STATUS_LINE[problem.status] + (about % (kind, len(body))).encode()
            self.transport.write(head + body)
        self.transport.close()


def _refusal(problem: Problem) -> Any:
    """Return an application that answers with a problem."""
    body, kind = problem.body("")
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse
