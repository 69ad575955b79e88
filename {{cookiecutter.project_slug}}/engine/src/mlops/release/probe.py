"""Run inside a container, with nothing but Python: ask its server what it is told to, and tell."""

import http.client
import importlib.metadata
import json
import os
import sys
import time

WAIT, LONGEST = 0.01, 60.0


def ask(method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Return status and text of the server's answer."""
    port = int(os.environ["MLOPS_PORT"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def ready() -> None:
    """Wait until the server says that it is ready."""
    begun = time.monotonic()
    while time.monotonic() < begun + LONGEST:
        try:
            if ask("GET", "/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(WAIT)
    sys.exit(f"the server is not ready after {LONGEST:.0f} s")


def main() -> None:
    """Post the rows of standard input and print the answer, the model and what is installed."""
    ready()
    _, model = ask("GET", "/model")
    status, answer = ask("POST", "/predict", sys.stdin.read())
    found = importlib.metadata.distributions()
    told = {
        "model": json.loads(model),
        "status": status,
        "answer": json.loads(answer),
        "installed": sorted((one.metadata["Name"], one.version) for one in found),
        "user": os.getuid(),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
