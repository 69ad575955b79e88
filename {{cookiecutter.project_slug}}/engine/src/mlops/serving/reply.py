"""How answers leave: by one system call, with a task behind them or none."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

ENOUGH = 1 << 16  # bytes that wait for nothing
CLOSE = b"connection: close\r\n"


class Connection(Protocol):
    """What is asked of the connection that a request came by."""

    transport: Any

    def default_headers(self) -> bytes: ...
    def on_response_complete(self) -> None: ...


class Reply:
    """What is still to be answered on a connection, in place of uvicorn's cycle.

    It is there from the last byte of a request to the last of its answer.
    """

    __slots__ = ("_connection", "disconnected", "keep_alive", "response_complete")

    body = b""
    more_body = False
    response_started = False
    scope: Any = None
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the whole answer, and let the connection go on; `headers` as they are sent."""
        if self.disconnected:
            return
        self.response_complete = True
        connection = self._connection
        ending = b"\r\n" if self.keep_alive else CLOSE + b"\r\n"
        told = STATUS_LINE[status], connection.default_headers(), headers, ending, body
        connection.transport.write_whole(b"".join(told))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()


class Joining:
    """A transport that sends all that is written in one turn of the event loop together."""

    __slots__ = ("_lingers", "_loop", "_size", "_transport", "_waiting", "is_closing")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        lingers: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._lingers = lingers
        self._waiting: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing  # asked at every request

    def write(self, data: bytes) -> None:
        """Take bytes, and send them at the end of the turn."""
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > ENOUGH:
            self._send()

    def write_whole(self, data: bytes) -> None:
        """Take an answer that nothing is to be joined to."""
        if self._waiting:
            self.write(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what waits, and close where the client need not send all before it reads."""
        self._send()
        if not self._lingers():
            self._transport.close()

    def _send(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting:
            self._transport.write(b"".join(waiting))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
