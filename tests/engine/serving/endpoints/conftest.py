"""Applications that have started, and clients that ask them from the same thread."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

from mlops.serving.app import App, create
from mlops.serving.settings import ServingSettings


class Client:
    """Asks one application; its event loop turns only while something is asked."""

    def __init__(self, app: App, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner
        self._client = AsyncClient(transport=ASGITransport(app), base_url="http://served")

    def get(self, path: str, **options: Any) -> Response:
        return self._runner.run(self._client.get(path, **options))

    def post(self, path: str, **options: Any) -> Response:
        return self._runner.run(self._client.post(path, **options))

    def together(self, asked: Callable[[AsyncClient], Any]) -> Any:
        """Return what a coroutine returns that may ask several things at once."""
        return self._runner.run(asked(self._client))


@pytest.fixture
def started(bundle_folder: Path) -> Iterator[Callable[..., Client]]:
    """Start applications with these settings; they stop with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Client:
            runner = stack.enter_context(asyncio.Runner())
            told = {"bundle": bundle_folder, "watch_seconds": 0, **settings}
            app = create(ServingSettings(**told))
            lifespan = app.router.lifespan_context(app)
            runner.run(lifespan.__aenter__())
            stack.callback(lambda: runner.run(lifespan.__aexit__(None, None, None)))
            return Client(app, runner)

        yield start


@pytest.fixture
def client(started: Callable[..., Client]) -> Client:
    """A client of an application with the standard settings."""
    return started()


@pytest.fixture
def rows(client: Client) -> list[dict[str, Any]]:
    """The golden rows of the bundle that serves."""
    return list(client.get("/model").json()["examples"])
