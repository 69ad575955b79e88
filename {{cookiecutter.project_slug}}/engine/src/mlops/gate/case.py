"""What is judged: the candidate, the champion, and both models' answers for the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..config.settings import Settings
from ..contract import Contract
from ..data import prepared
from ..data.splitting import HOLDOUT, TRAIN, cutoff, roles
from ..evaluation.units import Units, units
from ..git.repository import Repository
from ..metrics.arrays import Index
from . import population

Array = np.ndarray


class Encodes(Protocol):
    """What makes the float32 matrix of a bundle from columns."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The contract columns that it reads."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the matrix."""

    @property
    def categorical(self) -> tuple[int, ...]:
        """The positions of those that hold category codes."""

    @property
    def features(self) -> Mapping[str, Sequence[int]]:
        """The positions of each feature; of a bundle that is judged, each column is one."""

    def matrix(self, columns: Mapping[str, Array]) -> Array:
        """Return the float32 matrix (rows, len(names))."""


class Answers(Protocol):
    """A verified bundle that answers, wherever it does: what judges runs none of its code."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What it holds, and what it came from."""

    @property
    def contract(self) -> Contract:
        """The contract that it answers for."""

    @property
    def settings(self) -> Settings:
        """What it was made with."""

    @property
    def encoder(self) -> Encodes:
        """What makes its matrix."""

    def answer(self, columns: Mapping[str, Array]) -> Array:
        """Return predictions, as runtime.model.Model.predict does."""

    def golden(self, rows: Sequence[Mapping[str, Any]]) -> Array:
        """Return the predictions for rows as a client sends them."""

    def served(self, body: bytes, rows: int) -> Array:
        """Return the predictions for the body of a request, NaN where a server would refuse it."""

    def peak_bytes(self, columns: Mapping[str, Array]) -> int:
        """Return the peak resident memory of a process that loads it and predicts."""


@dataclass(frozen=True)
class Judged:
    """A bundle with its answers for today's holdout rows."""

    folder: Path
    bundle: Answers
    predictions: Array


class Earlier(NamedTuple):
    """The answers of a champion before the champion, and what a reader calls it."""

    named: str
    predictions: Array


@dataclass(frozen=True)
class Case:
    """Everything that rules look at; nothing in it changes.

    `settings` are those that the candidate was made with; `columns` and `target` are the
    holdout (conventions of data/prepared.py); `champion` is None for a first model, and where it
    cannot be scored, which rejects whatever needs it. `repository` is the project, `base` the
    commit that declares the champion; `champions` are some before it, and `untold` says of
    others why they have no answers; `seed`, `resamples` and `confidence` are the policy's;
    `rederive` says that the candidate is to be made again. `remainder` says of a case on the
    champion's rows that a new cut-off has left only some of them.
    """

    repository: Repository
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
    champions: tuple[Earlier, ...] = ()
    untold: tuple[str, ...] = ()
    remainder: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def matrix(self) -> Array:
        """The holdout as the candidate's float32 matrix."""
        return self.candidate.bundle.encoder.matrix(self.columns)

    @cached_property
    def units(self) -> Units:
        """What of the holdout is drawn again for an interval."""
        return units(self.settings, self.columns)

    @cached_property
    def earlier(self) -> Index | None:
        """The rows that the champion was judged on, by place; None where nothing tells them."""
        if self.champion is None or not self.holdout.exists():
            return None
        contract = self.champion.bundle.contract
        known = population.known_rows(self.champion.folder, self.champion.bundle.manifest)
        if known is None or population.incomparable(contract, self.settings.data):
            return None
        return population.earlier(self.holdout, contract, known)

    @property
    def known(self) -> int:
        """How many rows the champion was judged on."""
        return 0 if self.champion is None else int(self.champion.bundle.manifest["holdout"]["rows"])

    @property
    def cutoff_moved(self) -> bool:
        """Whether the holdout begins later than the champion's did."""
        was = None if self.champion is None else self.champion.bundle.settings.split
        now = self.settings.split
        if was is None or was.method != "time" or now.method != "time":
            return False
        return bool(cutoff(now) > cutoff(was))

    @cached_property
    def before(self) -> "Case | None":
        """The case on the rows that the champion was judged on, where others came to them."""
        rows = self.earlier
        if rows is None or len(rows) == len(self.target):
            return None
        return replace(self.on(rows), remainder=self.cutoff_moved)

    def on(self, rows: Index) -> "Case":
        """Return the case on some of the rows; what the files hold stays whole."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        candidate, champion = (
            one and replace(one, predictions=one.predictions[rows])
            for one in (self.candidate, self.champion)
        )
        assert candidate is not None
        return replace(
            self,
            columns=columns,
            target=self.target[rows],
            candidate=candidate,
            champion=champion,
            champions=tuple(
                one._replace(predictions=one.predictions[rows]) for one in self.champions
            ),
        )

    @property
    def sides(self) -> dict[str, Path]:
        """The prepared rows of each role."""
        folder = self.repository.root / "data/prepared"
        return {role: folder / role for role in roles(self.settings.data)}

    @property
    def train(self) -> Path:
        """The prepared training rows."""
        return self.sides[TRAIN]

    @property
    def holdout(self) -> Path:
        """The prepared holdout rows."""
        return self.sides[HOLDOUT]

    @cached_property
    def train_columns(self) -> dict[str, Array]:
        """The training rows as plain arrays."""
        return prepared.read(self.train, self.settings.data)
