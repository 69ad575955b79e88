"""POST /predict in OpenAPI: from the rows and golden rows of the bundle that serves."""

from typing import Any

from .endpoints.model import examples as golden_examples
from .predictor import Predictor
from .problem import MEDIA_TYPE, SCHEMA

REFUSALS = {
    400: "the body is no JSON",
    413: "the body is too large, or has too many rows",
    415: "the body is of another kind",
    422: "a row does not fit the contract",
    503: "the server is busy, or has no model",
}
KEY = "ApiKey"


def describe(schema: dict[str, Any], predictor: Predictor | None, has_key: bool) -> None:
    """Add what FastAPI does not know to its description of the routes."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = SCHEMA
    refusals = dict(REFUSALS)
    if has_key:
        scheme = {"type": "apiKey", "in": "header", "name": "x-api-key"}
        schema["components"]["securitySchemes"] = {KEY: scheme}
        schema["security"] = [{KEY: []}]
        refusals[401] = "the API key is missing or wrong"
    examples: list[Any] = []
    if predictor is None:
        schemas["Row"] = {"type": "object", "description": "no model is loaded"}
        schemas["Predictions"] = {"type": "object"}
    else:
        loaded = predictor.loaded
        schema["info"] |= {"title": loaded.contract.name, "version": predictor.bundle_digest[:12]}
        if loaded.contract.description:
            schema["info"]["description"] = loaded.contract.description
        schemas["Row"] = predictor.request.json_schema()
        schemas["Predictions"] = predictor.answer_schema()
        examples = golden_examples(predictor)
    predict = {"post": _operation(examples, refusals)}
    schema["paths"] = {"/predict": predict, **schema.get("paths", {})}  # what people look for


def _operation(examples: list[Any], refusals: dict[int, str]) -> dict[str, Any]:
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "minItems": 1}
    content: dict[str, Any] = {"schema": {"anyOf": [row, rows]}}
    if examples:
        content["examples"] = {
            "one row": {"value": examples[0]},
            "several rows": {"value": examples[:2]},
        }
    return {
        "tags": ["predictions"],
        "summary": "Predict for a row, or for a list of rows",
        "operationId": "predict",
        "parameters": [
            _header("x-request-id", "names the request in the answer and in the logs"),
            _header("x-routing-key", "who has the same key is answered by the same model"),
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": _response("one prediction for each row", "Predictions", "application/json"),
            **{str(s): _response(why, "Problem", MEDIA_TYPE) for s, why in refusals.items()},
        },
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _response(description: str, schema: str, media_type: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}
