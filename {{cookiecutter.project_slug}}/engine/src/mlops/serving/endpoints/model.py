"""GET /model: what the bundle that serves is, was made from, and was measured at."""

import time
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ...bundle.reading import CARD, GOLDEN, METRICS
from ...contract import Column
from ..predictor import Predictor


class Measured(BaseModel):
    """A metric on the holdout, with the interval of its bootstrap distribution."""

    value: float | None
    low: float | None = None
    high: float | None = None


class ColumnOut(BaseModel):
    """A column that a row must have, as the contract declares it."""

    name: str
    type: str
    nullable: bool
    min: float | None
    max: float | None
    categories: list[str]
    description: str


class TrainedOn(BaseModel):
    """The data behind the model; when it ended is not known, since a bundle records no dates."""

    rows: int | None
    files: int


class ModelOut(BaseModel):
    """The bundle that serves."""

    name: str
    task: str
    target: str
    labels: list[str] = Field(description="of the classes, in the order of their codes")
    threshold: float | None = Field(description="above which the last of two labels is decided")
    actions: list[str] = Field(
        description="what follows at or below the threshold, and above it, by the value table"
    )
    coverage: float | None = Field(
        description="share of rows whose truth the interval or set of an answer holds"
    )
    description: str
    digest: str = Field(description="SHA-256 of the manifest: it names the bundle")
    challenger: str | None = Field(description="digest of the challenger, where there is one")
    runtime: str
    estimator: str
    features: list[str] = Field(description="what the model sees, derived features included")
    trained_on: TrainedOn
    holdout_rows: int
    confidence: float = Field(description="of the intervals")
    metrics: dict[str, Measured]
    loaded_seconds: float = Field(
        description="since this process loaded the bundle; the bundle itself has no date, because "
        "the same data and code make the same bundle on any day"
    )
    manifest: dict[str, Any] = Field(description="of the bundle, without the digests of its files")
    card: str = Field(description="the model card, Markdown")
    columns: list[ColumnOut]
    inputs: dict[str, Any] = Field(description="JSON schema of a row")
    examples: list[dict[str, Any]] = Field(
        description="the golden rows; a column of personal data is null in them"
    )


def router() -> APIRouter:
    """Return the route that describes the model."""
    routes = APIRouter(tags=["model"])

    @routes.get("/model", summary="The model that serves")
    async def model(request: Request) -> ModelOut:
        models = request.app.state.models
        challenger = models.challenger
        return described(models.route(b""), challenger and challenger.bundle_digest)

    return routes


def described(predictor: Predictor, challenger: str | None = None) -> ModelOut:
    """Return what is known of a predictor's bundle."""
    loaded = predictor.loaded
    contract, settings, origin = loaded.contract, loaded.settings, loaded.manifest["lineage"]
    metrics = msgspec.json.decode(loaded.files[METRICS])
    return ModelOut(
        name=contract.name,
        task=contract.task,
        target=contract.target,
        labels=list(contract.labels),
        threshold=predictor.threshold if contract.task == "binary" else None,
        actions=[*loaded.actions],
        coverage=contract.intervals.coverage if contract.intervals else None,
        description=contract.description,
        digest=predictor.bundle_digest,
        challenger=challenger,
        runtime=loaded.model.runtime,
        estimator=settings.model.target,
        features=list(loaded.encoder.features),
        trained_on=TrainedOn(rows=origin["rows"].get("train"), files=len(origin["data"])),
        holdout_rows=loaded.manifest["holdout"]["rows"],
        confidence=settings.evaluation.confidence,
        metrics=metrics["holdout"],
        loaded_seconds=round(max(0.0, time.time() - predictor.loaded_at), 3),
        manifest={name: part for name, part in loaded.manifest.items() if name != "files"},
        card=loaded.files[CARD].decode(errors="replace"),
        columns=[_column(name, column) for name, column in predictor.request.columns.items()],
        inputs=predictor.request.json_schema(),
        examples=examples(predictor),
    )


def golden(predictor: Predictor) -> list[dict[str, Any]]:
    """Return the golden rows as a client sends them."""
    return [one["row"] for one in msgspec.json.decode(predictor.loaded.files[GOLDEN])]


def examples(predictor: Predictor) -> list[dict[str, Any]]:
    """Return the golden rows as a request has them, without personal data.

    No bundle says whose row one was: the entity of an example is one that nobody has.
    """
    columns, contract = predictor.request.columns, predictor.loaded.contract
    return [
        {
            name: None if contract.is_private(name) else row.get(name, _nobody(column))
            for name, column in columns.items()
        }
        for row in golden(predictor)
    ]


def _nobody(column: Column) -> str | int:
    return 0 if column.type in ("number", "integer") else "nobody"


def _column(name: str, column: Column) -> ColumnOut:
    return ColumnOut(
        name=name,
        type=column.type,
        nullable=column.nullable,
        min=column.min,
        max=column.max,
        categories=column.categories,
        description=column.description,
    )
