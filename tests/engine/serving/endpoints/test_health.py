"""Alive is not ready, and ready has a reason when something is wrong."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from mlops.bundle import manifest
from mlops.serving.app import App, create
from mlops.serving.settings import ServingSettings

KEY = "correct horse battery"


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to replace."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def served(work: Callable[[App, AsyncClient], Awaitable[None]], **settings: Any) -> None:
    """Run an application that has started, and who asks it."""

    async def main() -> None:
        app = create(ServingSettings(**{"watch_seconds": 0, **settings}))
        client = AsyncClient(transport=ASGITransport(app), base_url="http://served")
        async with app.router.lifespan_context(app), client:
            await work(app, client)

    asyncio.run(main())


def test_alive_and_ready(folder: Path) -> None:
    async def work(_: App, client: AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {
            "ready": True,
            "reason": "",
            "model": manifest.bundle_digest(folder),
            "challenger": None,
        }

    served(work, bundle=folder)


def test_alive_and_not_ready(tmp_path: Path) -> None:
    async def work(_: App, client: AsyncClient) -> None:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        assert "absent is no bundle" in answer.json()["reason"]

    served(work, bundle=tmp_path / "absent")


def test_stopping_is_not_ready(folder: Path) -> None:
    async def work(app: App, client: AsyncClient) -> None:
        app.state.models.draining = True
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["reason"]) == (503, "the server is stopping")
        assert (await client.get("/healthz")).status_code == 200

    served(work, bundle=folder)


def test_reload_tells_of_a_bad_bundle_and_takes_a_good_one(folder: Path) -> None:
    old = manifest.bundle_digest(folder)

    async def work(_: App, client: AsyncClient) -> None:
        client.headers["x-api-key"] = KEY
        assert (await client.get("/readyz")).json()["challenger"] == old
        (folder / "added.txt").write_text("x")
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(f"{text}\n")
        bad = await client.post("/reload")
        assert bad.status_code == 200
        assert "added.txt" in bad.json()["reason"]
        assert bad.json()["model"] == old
        (folder / "added.txt").unlink()
        good = (await client.post("/reload")).json()
        assert good["reason"] == ""
        assert good["model"] == good["challenger"] == manifest.bundle_digest(folder) != old

    served(work, bundle=folder, challenger=folder, api_key=KEY)


@pytest.mark.parametrize(
    ("api_key", "given", "status"),
    [(None, None, 403), (None, KEY, 403), (KEY, None, 401), (KEY, "another", 401)],
)
def test_reload_is_for_who_has_the_key(
    api_key: str | None, given: str | None, status: int, folder: Path
) -> None:
    async def work(_: App, client: AsyncClient) -> None:
        headers = {} if given is None else {"x-api-key": given}
        answer = await client.post("/reload", headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/readyz")).status_code == 200

    served(work, bundle=folder, api_key=api_key)
