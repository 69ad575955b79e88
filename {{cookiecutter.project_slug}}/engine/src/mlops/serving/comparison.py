"""What two models answer, held against each other by units while they serve."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..rollout.assignment import place
from ..rollout.drift import Drift
from .telemetry.distributions import PROFILE

if TYPE_CHECKING:
    from .predictor import Predictor

CELLS = 1 << 22  # bytes, in which a unit that came leaves a mark
QUARTERS = (0.25, 0.5, 0.75)


class Arms(Protocol):
    """What is asked of how a request was drawn."""

    @property
    def challenger(self) -> "Predictor | None": ...
    @property
    def share(self) -> float | None: ...
    @property
    def salt(self) -> bytes: ...


class Answered(Protocol):
    """What is asked of an answered request."""

    @property
    def predictor(self) -> "Predictor": ...
    @property
    def arms(self) -> Arms: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def request_id(self) -> str: ...
    @property
    def predictions(self) -> np.ndarray: ...


class Comparison:
    """Whether the shares of what two models answer lie further apart than they may.

    A unit counts by its first request that came here, since further ones say little more: one that
    falls on another's mark is left out, whatever it was answered. Of a request with several rows
    their mean counts. Compared are the share of the last of two labels, of each of more, and of
    numbers the shares above the quartiles of the champion's profile.
    """

    def __init__(self, margin: float, alpha: float, salt: bytes) -> None:
        self.margin = margin
        self._alpha, self._salt = alpha, salt
        self._marks = bytearray(CELLS)
        self._drift: Drift | None = None
        self._names: list[str] = []
        self._cuts = np.zeros(0)

    def count(self, requests: Iterable[Answered]) -> str:
        """Count a slice of requests of both arms; return why that is too much, or nothing."""
        drawn = [one for one in requests if _is_drawn(one.arms, self._salt)]
        new = [one for one in drawn if self._is_new(one)]
        sides = {
            side: [one for one in new if (one.predictor is one.arms.challenger) == side]
            for side in (False, True)
        }
        if self._drift is None and sides[False]:
            self._begin(sides[False][0].predictor)
        if self._drift is None or not new:
            return ""  # what is compared is known by the champion: a few are left out until then
        values = np.concatenate([self._shares(each) for each in sides.values() if each])
        new = [*sides[False], *sides[True]]
        challenger = np.arange(len(new)) >= len(sides[False])
        share = np.array([one.arms.share for one in new], dtype=float)
        self._drift.add(values, challenger, share)
        return self._told()

    def count_both(
        self, requests: Sequence[Answered], shadow: "Predictor", predictions: np.ndarray
    ) -> str:
        """Count requests that a shadow answered as well, all of one champion's."""
        new = np.array([self._is_new(one) for one in requests])
        if not new.any():
            return ""
        champion = requests[0].predictor
        if self._drift is None:
            self._begin(champion)
        assert self._drift is not None
        sizes = [len(one.predictions) for one in requests]
        theirs = _means(self._marked(shadow, predictions), sizes)
        ours = self._shares(requests)
        self._drift.add_both(ours[new], theirs[new])
        return self._told()

    def _begin(self, champion: "Predictor") -> None:
        labels = champion.loaded.contract.labels
        if champion.loaded.contract.task == "regression":
            about = json.loads(champion.loaded.files[PROFILE])["predictions"]
            edges = about.get("edges") or [about.get("mean", 0.0)]
            self._cuts = np.unique([edges[int(len(edges) * part)] for part in QUARTERS])
            self._names = [f"numbers above {cut:.4g}" for cut in self._cuts]
        else:
            self._names = [f"`{one}`" for one in (labels[1:] if len(labels) == 2 else labels)]
        self._drift = Drift(self.margin, len(self._names))

    def _is_new(self, request: Answered) -> bool:
        """Say whether a unit comes for the first time, and remember it."""
        # The lowest bits of what the arm is drawn by, the highest ones: neither tells of the other.
        cell = place(request.key or request.request_id.encode(), self._salt) & (CELLS - 1)
        is_new = not self._marks[cell]
        self._marks[cell] = 1
        return is_new

    def _shares(self, requests: Sequence[Answered]) -> np.ndarray:
        """Return what a model answered to each request: of its rows, the share of each output."""
        sizes = [len(one.predictions) for one in requests]
        rows = np.concatenate([one.predictions for one in requests])
        return _means(self._marked(requests[0].predictor, rows), sizes)

    def _marked(self, predictor: "Predictor", predictions: np.ndarray) -> np.ndarray:
        """Return of each row what it is answered, as (rows, outputs) of 0 and 1."""
        if predictor.loaded.contract.task == "regression":
            return predictions[:, None] > self._cuts
        labels = np.arange(len(predictor.loaded.contract.labels))
        return decisions(predictor, predictions)[:, None] == labels[-len(self._names) :]

    def _told(self) -> str:
        assert self._drift is not None
        if not self._drift.is_beyond(self._alpha):
            return ""
        apart = self._drift.apart
        return (
            f"the challenger is stopped: {self._names[apart.output]} are {apart.challenger:.3g} of "
            f"its answers and {apart.champion:.3g} of the champion's, to {apart.units} units "
            f"(drift), and {self.margin:g} may lie between"
        )


def decisions(predictor: "Predictor", predictions: np.ndarray) -> np.ndarray:
    """Return what is decided of each row: a label's code; of numbers nothing, so that all agree."""
    task = predictor.loaded.contract.task
    if task == "regression":
        return np.zeros(len(predictions), dtype=int)
    if task == "binary":
        return (predictions > predictor.threshold).astype(int)
    return predictions.argmax(axis=1)


def _is_drawn(arms: Arms, salt: bytes) -> bool:
    return arms.challenger is not None and bool(arms.share) and arms.salt == salt


def _means(rows: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Return the means of consecutive rows, so many of each."""
    starts = np.cumsum([0, *sizes[:-1]])
    return np.add.reduceat(rows.astype(float), starts, axis=0) / np.array(sizes)[:, None]
