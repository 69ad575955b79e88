"""How the features and predictions of one bundle are distributed while it serves."""

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .histograms import Histograms

if TYPE_CHECKING:
    from ..predictor import Predictor

PROFILE = "profile.json"
LABELS = 50  # a category's later labels are counted together: each is a time series for good
OTHER = "(other)"


class Category(NamedTuple):
    """What was counted of a category feature."""

    feature: str
    labels: dict[str, int]
    unseen: int
    missing: int


class Number(NamedTuple):
    """What was counted of a number; `buckets` are (upper edge, cumulative count)."""

    name: str
    buckets: list[tuple[str, int]]
    total: float
    missing: int


class Reference(NamedTuple):
    """What the profile says of features and predictions, as far as rules compare with it."""

    missing: dict[str, float]
    unseen: dict[str, float]  # of categories
    means: dict[str, float]  # of predictions, and their deviations
    deviations: dict[str, float]


class Distributions:
    """The counts of one bundle, with the edges of its reference profile."""

    __slots__ = (
        "_by_feature",
        "_features",
        "_hidden",
        "_labels",
        "_names",
        "_outputs",
        "_predictions",
        "model",
        "reference",
    )

    def __init__(self, predictor: "Predictor") -> None:
        self.model = predictor.bundle_digest[:12]
        loaded = predictor.loaded
        profile = json.loads(loaded.files[PROFILE])
        self._by_feature = loaded.encoder.by_feature
        self._names = tuple(loaded.encoder.features)
        self._hidden = loaded.encoder.unshown(loaded.contract)
        self._labels = [profile["features"][name].get("labels") for name in self._names]
        self._features = Histograms(
            [
                range(len(labels)) if labels else profile["features"][name].get("edges", ())
                for name, labels in zip(self._names, self._labels, strict=True)
            ]
        )
        answers = profile["predictions"]
        outputs = answers if loaded.contract.task == "multiclass" else {"": answers}
        self._outputs = tuple(outputs)
        self._predictions = Histograms([about.get("edges", ()) for about in outputs.values()])
        self.reference = _reference(profile, outputs)

    def add(self, matrix: np.ndarray, predictions: np.ndarray) -> None:
        """Count encoded rows and what they were answered."""
        self._features.add(self._by_feature(matrix))
        self._predictions.add(predictions.reshape(len(matrix), -1))

    def numbers(self) -> Iterator[Number]:
        """Yield the features that are no category."""
        counted = zip(self._names, self._labels, self._features.edges, self._features, strict=True)
        for name, labels, edges, (counts, missing, total) in counted:
            if not labels:
                shown = math.nan if name in self._hidden else total  # of one row it is a value
                yield Number(name, buckets(edges, counts), shown, missing)

    def categories(self) -> Iterator[Category]:
        """Yield the features that are categories."""
        for name, labels, (counts, missing, _) in zip(
            self._names, self._labels, self._features, strict=True
        ):
            if labels:
                yield Category(name, _named(labels, counts[:-1]), int(counts[-1]), missing)

    def predictions(self) -> Iterator[Number]:
        """Yield the predictions: one distribution, or one a class, whose label is the name."""
        counted = zip(self._outputs, self._predictions.edges, self._predictions, strict=True)
        for label, edges, (counts, missing, total) in counted:
            yield Number(label, buckets(edges, counts), total, missing)


def _reference(profile: dict[str, Any], outputs: dict[str, Any]) -> Reference:
    """Return what a profile says; of what it does not say, there is no reference."""
    features, rows = profile["features"], profile.get("rows")
    return Reference(
        {n: about["missing"] for n, about in features.items() if "missing" in about},
        {n: about["unseen"] / rows for n, about in features.items() if rows and "unseen" in about},
        {label: about["mean"] for label, about in outputs.items() if "mean" in about},
        {label: about["std"] for label, about in outputs.items() if "std" in about},
    )


def buckets(edges: np.ndarray, counts: np.ndarray) -> list[tuple[str, int]]:
    """Return Prometheus buckets: the upper edge as text, and how many were up to it."""
    uppers: list[Any] = [*map(repr, edges.tolist()), "+Inf"]
    return list(zip(uppers, counts.cumsum().tolist(), strict=True))


def _named(labels: list[str], counts: np.ndarray) -> dict[str, int]:
    named = dict(zip(labels[:LABELS], counts[:LABELS].tolist(), strict=True))
    if len(labels) > LABELS:
        named[OTHER] = named.get(OTHER, 0) + int(counts[LABELS:].sum())
    return named
