"""The answer to a request that nobody made a task for: written in one piece."""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from .transport import Protocol

CLOSE = b"connection: close\r\n"


class Reply:
    """What is still to be answered on a connection, in place of uvicorn's cycle.

    It is there from the last byte of a request to the last of its answer.
    """

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")

    body = b""
    more_body = False
    response_started = False
    scope: Any = None
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, protocol: "Protocol") -> None:
        self._protocol = protocol
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the whole answer, and let the connection go on."""
        protocol = self._protocol
        if self.disconnected:
            return
        self.response_complete = True
        defaults = protocol.default_headers()
        ending = b"\r\n" if self.keep_alive else CLOSE + b"\r\n"
        protocol.transport.write_whole(
            b"".join((STATUS_LINE[status], defaults, headers, ending, body))
        )
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
