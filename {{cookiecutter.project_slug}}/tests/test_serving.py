"""What src/project/serving.py adds to the server, asked of the server without a network."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops.serving.app import App, create
from mlops.serving.settings import ServingSettings

CANDIDATE = Path("candidate")


@pytest.fixture
def ask() -> Iterator[Callable[..., httpx.Response]]:
    """Ask an application; all in one event loop, as a server has it."""
    with asyncio.Runner() as runner:

        async def answer(app: App, method: str, path: str, **options: Any) -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
                return await client.request(method, path, **options)

        yield lambda *asked, **options: runner.run(answer(*asked, **options))


def test_the_server_takes_what_serving_adds(ask: Callable[..., httpx.Response]) -> None:
    assert ask(create(ServingSettings()), "GET", "/healthz").status_code == 200


@pytest.mark.skipif(not CANDIDATE.is_dir(), reason="there is no candidate: run `dvc repro`")
def test_golden_rows_are_answered_as_recorded(ask: Callable[..., httpx.Response]) -> None:
    golden = json.loads((CANDIDATE / "golden.json").read_text(encoding="utf-8"))
    app = create(ServingSettings(bundle=CANDIDATE))
    app.state.models.load()
    for one in golden:
        answer = ask(app, "POST", "/predict", json=one["row"])
        assert answer.status_code == 200, answer.text
        (prediction,) = answer.json()["predictions"]
        if "probabilities" not in prediction:
            assert prediction["prediction"] == pytest.approx(one["prediction"], abs=1e-5)
            continue
        probabilities = list(prediction["probabilities"].values())
        expected = one["prediction"] if isinstance(one["prediction"], list) else [one["prediction"]]
        assert probabilities[-len(expected) :] == pytest.approx(expected, abs=1e-5)
