"""The sockets of a server: every address of its host, bound before anything is loaded."""

import errno
import os
import socket
from typing import Any

from ..errors import ProjectError

UNREAD = 1 << 16  # bytes of each client that the system keeps, and hands over at once
ANY, ANY_V4 = "::", "0.0.0.0"
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ServerError(ProjectError):
    """The server cannot be started."""


def bind(host: str, port: int, shares: bool = False) -> list[socket.socket]:
    """Return a bound socket for each address of a host; none connects before the server listens.

    A name may have addresses of both kinds, of which a client chooses. `::` is every address of
    both, and every one of the older kind where the system has no other. With `shares`, other
    processes of this user may bind the same address so, and the system spreads clients over them.
    """
    addresses = _addresses(ANY_V4 if host == ANY and not _has_v6() else host, port)
    bound: list[socket.socket] = []
    try:
        for family, place in addresses:
            try:
                bound.append(_bound(family, (place[0], _port(bound, port), *place[2:]), shares))
            except OSError as error:
                if error.errno not in ABSENT or len(addresses) == 1:
                    raise
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for one in bound:
            one.close()
        raise ServerError(
            f"{host} port {port} cannot be used ({error.strerror}): stop what uses it, or set "
            "another with --port"
        ) from error
    return bound


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"there is no address {host} ({error}): set another host") from error
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _port(bound: list[socket.socket], port: int) -> int:
    """Return the port of the next address: that of the first, where any would do."""
    return int(bound[0].getsockname()[1]) if bound else port


def _bound(family: socket.AddressFamily, place: Any, shares: bool = False) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # as asyncio does; Windows means another thing by it
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(place[0] != ANY))
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


def _has_v6() -> bool:
    """Say whether the system takes addresses of the newer kind; containers may have none."""
    try:
        _bound(socket.AF_INET6, ("::1", 0)).close()
    except OSError:
        return False
    return True


def address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
