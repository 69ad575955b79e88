"""Clients that take too long, of which each holds a socket."""

from typing import Any

SWEEP_SECONDS = 0.5


class Slow:
    """Finds connections whose client takes too long, from one sweep to the next.

    A request may take `receiving` seconds to arrive (also the first, after connecting), and then
    as many to be read by the client, beside the `answering` that the server has. An idle
    connection that waits for another request is uvicorn's to close.
    """

    def __init__(self, receiving: float, answering: float) -> None:
        # What a sweep finds began up to one sweep before: it is closed in time, not late.
        self._receiving = max(receiving - 2 * SWEEP_SECONDS, SWEEP_SECONDS)
        self._answering = receiving + answering
        self._since: dict[Any, tuple[Any, float]] = {}

    def found(self, connections: set[Any], now: float) -> list[Any]:
        """Return those that are to be closed."""
        since, slow = {}, []
        for connection in connections:
            phase = _phase(connection)
            if phase is None:
                continue
            known = self._since.get(connection)
            began = known[1] if known is not None and known[0] == phase else now
            since[connection] = phase, began
            limit = self._receiving if phase[0] == "receiving" else self._answering
            if now - began >= limit:
                slow.append(connection)
        self._since = since
        return slow


def _phase(connection: Any) -> tuple[str, int] | None:
    """Return what a connection is at, and for which request; None where it is idle."""
    cycle = connection.cycle
    if connection.transport is None:
        return None
    if connection.transport.is_closing():
        return "answering", id(cycle)
    if cycle is None:
        return "receiving", 0
    if cycle.response_complete:
        waiting = connection.timeout_keep_alive_task is not None
        return None if waiting else ("receiving", -id(cycle))
    return ("receiving" if cycle.more_body else "answering"), id(cycle)
