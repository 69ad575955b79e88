"""The answer to a request that nobody made a task for: written in one piece."""

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

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
