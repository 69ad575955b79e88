"""What is to be done with the rows of a request: by lot or as the bundle decides."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from ..rollout.actions import Actions, Assigned, Draw, parse
from ..rollout.declaration import ExperimentError
from .telemetry.logs import logger
from .trial import Signature, signature

if TYPE_CHECKING:
    from .predictor import Predictor


class ActionTrial:
    """An actions.yaml, as long as it is there: looked at every `seconds`, while requests come.

    One that cannot be read changes nothing; without one, or with one of another bundle, nothing
    is assigned.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self._seconds = seconds
        self._due = 0.0
        self._tried: Signature | None = None
        self._declared: Actions | None = None
        self._draw: Draw | None = None
        self._said = self._unread = ""

    def reason(self, predictor: "Predictor | None") -> str:
        """Return why the file is not followed where this one answers; empty where it is."""
        if monotonic() >= self._due:
            self._look()
        lacks = self._lacks(predictor) if predictor is not None else ""
        return "; ".join(filter(None, (self._unread, lacks and f"{self.path}: {lacks}")))

    def assigned(
        self, predictor: "Predictor", key: bytes, predictions: np.ndarray
    ) -> Sequence[Assigned]:
        """Return what is to be done with each row of whoever has this key; nothing for none."""
        if monotonic() >= self._due:
            self._look()
        declared, draw = self._declared, self._draw
        if declared is None or draw is None:
            return ()
        if lacks := self._lacks(predictor):
            return self._nothing(lacks)
        arm, actions = draw.arm(key), predictor.loaded.actions
        if not actions:
            return [draw.assigned(arm, "")] * len(predictions)
        each = [draw.assigned(arm, name) for name in actions]
        return [each[code] for code in predictor.loaded.acted(predictions).tolist()]

    def _lacks(self, predictor: "Predictor") -> str:
        """Return why nothing that is declared can be done with answers of this one."""
        declared, draw = self._declared, self._draw
        if declared is None or draw is None:
            return ""
        if declared.model != predictor.bundle_digest:
            return "it is of another bundle than the one that answers"
        if draw.decides and not predictor.loaded.actions:
            return "a policy is `decision`, and the bundle has no value table"
        return ""

    def _look(self) -> None:
        """Read the file where it changed."""
        self._due = monotonic() + (self._seconds or float("inf"))
        now = signature(self.path)
        if now == self._tried and now is not None:
            return
        self._tried = now
        if now is None:
            self._declared = self._draw = None
            self._unread = f"there is no {self.path}"
            return
        try:
            declared = parse(self.path.read_bytes(), str(self.path))
        except (OSError, ExperimentError) as error:
            self._unread = str(error)
            logger.warning("actions refused", extra={"reason": self._unread})
            return
        self._declared, self._draw, self._said, self._unread = declared, Draw(declared), "", ""
        logger.info("actions read", extra={"reason": f"{len(declared.arms)} arms"})

    def _nothing(self, reason: str) -> Sequence[Assigned]:
        """Say once why nothing is assigned."""
        if reason != self._said:
            self._said = reason
            logger.warning("actions not taken", extra={"reason": f"{self.path}: {reason}"})
        return ()
