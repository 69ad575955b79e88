"""What is judged: the candidate, the champion, and both models' answers for the same rows."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.reading import Loaded
from ..config.settings import Settings
from ..data import prepared

Array = np.ndarray


@dataclass(frozen=True)
class Judged:
    """A bundle with its answers for today's holdout rows."""

    folder: Path
    bundle: Loaded
    predictions: Array


@dataclass(frozen=True)
class Case:
    """Everything that rules look at; nothing in it changes.

    `settings` are those that the candidate was made with; `columns` and `target` are the
    holdout (conventions of data/prepared.py); `champion` is None for a first model, and where it
    cannot be scored, which rejects whatever needs it. `root` is the project, `base` the commit
    that declares the champion; `seed`, `resamples` and `confidence` are the policy's;
    `rederive` says that the candidate is to be made again.
    """

    root: Path
    settings: Settings
    candidate: Judged
    champion: Judged | None
    columns: dict[str, Array]
    target: Array
    seed: int = 0
    resamples: int = 1000
    confidence: float = 0.95
    base: str | None = None
    rederive: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def matrix(self) -> Array:
        """The holdout as the candidate's float32 matrix."""
        return self.candidate.bundle.encoder.matrix(self.columns)

    @property
    def train(self) -> Path:
        """The prepared training rows."""
        return self.root / "data/prepared/train.parquet"

    @property
    def holdout(self) -> Path:
        """The prepared holdout rows."""
        return self.root / "data/prepared/holdout.parquet"

    @cached_property
    def train_columns(self) -> dict[str, Array]:
        """The training rows as plain arrays."""
        return prepared.read(self.train, self.settings.data)
