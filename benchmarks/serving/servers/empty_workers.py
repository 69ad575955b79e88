"""The empty ASGI application in several processes, over which the system spreads connections.

python empty_workers.py PORT WORKERS
"""

import os
import socket
import sys

import uvicorn
from empty_asgi import app


def main(port: int, workers: int) -> None:
    """Serve until a signal ends the group."""
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
