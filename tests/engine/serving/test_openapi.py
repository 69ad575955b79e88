"""POST /predict is described as the routes of FastAPI are, by the bundle that serves."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.serving.app import create
from mlops.serving.predictor import Predictor
from mlops.serving.settings import ServingSettings


@pytest.fixture
def described(bundle_folder: Path) -> dict[str, Any]:
    app = create(ServingSettings(bundle=bundle_folder))
    app.state.models.load()
    return app.openapi()


def test_request_is_a_row_or_several(described: dict[str, Any], champion: Predictor) -> None:
    content = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    row = {"$ref": "#/components/schemas/Row"}
    assert content["schema"]["anyOf"] == [row, {"type": "array", "items": row, "minItems": 1}]
    assert described["components"]["schemas"]["Row"] == champion.schema.json_schema()


def test_examples_are_answered(described: dict[str, Any], champion: Predictor) -> None:
    content = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    sizes = []
    for example in content["examples"].values():
        rows = champion.decode(json.dumps(example["value"]).encode())
        sizes.append((len(rows), isinstance(example["value"], dict)))
    assert sizes == [(1, True), (2, False)]


def test_every_refusal_is_a_problem(described: dict[str, Any]) -> None:
    responses = described["paths"]["/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "415", "422", "503"}
    for status in set(responses) - {"200"}:
        assert list(responses[status]["content"]) == ["application/problem+json"]


def test_title_and_version_are_the_bundle_s(described: dict[str, Any], champion: Predictor) -> None:
    info = described["info"]
    assert (info["title"], info["version"]) == ("churn", champion.bundle_digest[:12])


def test_description_follows_the_bundle_that_serves(bundle_folder: Path) -> None:
    app = create(ServingSettings(bundle=bundle_folder))
    assert app.openapi()["info"]["title"] == "Predictions"
    app.state.models.load()
    assert app.openapi()["info"]["title"] == "churn"
    assert app.openapi() is app.openapi()


def test_key_is_declared_where_there_is_one(bundle_folder: Path) -> None:
    app = create(ServingSettings(bundle=bundle_folder, api_key="0123456789"))
    described = app.openapi()
    (name,) = described["security"][0]
    assert described["components"]["securitySchemes"][name]["name"] == "x-api-key"
    assert "401" in described["paths"]["/predict"]["post"]["responses"]
