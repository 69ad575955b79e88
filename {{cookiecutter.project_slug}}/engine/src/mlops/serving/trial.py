"""The experiment that a server follows: the challenger's share, and what takes it back."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files import sha256_of
from ..rollout import stops
from ..rollout.assignment import edge
from ..rollout.declaration import Experiment, ExperimentError, parse
from ..rollout.guard import Guard
from .comparison import Answered, Comparison
from .telemetry.logs import logger

if TYPE_CHECKING:
    from .predictor import Predictor

Signature = tuple[int, int, int]
State = tuple[Experiment | None, str, list["Guarded"], float, Comparison | None, str, str]
UNKEPT = "a restart would bring it back, since {why}"


class Guarded:
    """Failures among requests, and whether they are too many."""

    def __init__(self, name: str, limit: float, alpha: float) -> None:
        self.name, self.limit = name, limit
        self.failures = self.requests = 0
        self._guard, self._alpha = Guard(limit), alpha

    def count(self, failed: bool) -> bool:
        """Count a request; return whether there are too many failures."""
        self.requests += 1
        if not failed:
            return False
        self.failures += 1
        return self._guard.is_above(self.failures, self.requests, self._alpha)


class Trial:
    """An experiment.yaml, as long as it is there and nothing stops it.

    What stopped an experiment is kept in the log's folder, so that a restart does not bring the
    challenger back, nor a worker or a server that starts there; another salt, other bundles or
    guardrails begin anew.
    """

    def __init__(self, path: Path, log_folder: Path | None = None) -> None:
        self.path = path
        self._log_folder = log_folder
        self.key = ""  # by which a stop is known
        self.stopped = ""
        self.shared = 0.0
        self.declared: Experiment | None = None
        self.guards: list[Guarded] = []
        self.slow = float("inf")
        self.comparison: Comparison | None = None
        self.digest = ""
        self._tried: Signature | None = None
        self._unread = self._unused = self._unkept = ""

    @property
    def reason(self) -> str:
        """Why the challenger answers nobody, or the file is not followed; else empty."""
        told = (self._unread, self.stopped or self._unused, self.stopped and self._unkept)
        return "; ".join(filter(None, told))

    @property
    def state(self) -> State:
        """What is declared and counted, to go back to."""
        told = self.stopped, self.key
        return self.declared, self.digest, self.guards, self.slow, self.comparison, *told

    def restore(self, state: State) -> None:
        """Go back to what was declared before, and try anew whatever the file has next."""
        self.declared, self.digest, self.guards, self.slow = state[:4]
        self.comparison, self.stopped, self.key = state[4:]
        self._tried = None

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """The requests by guardrail, and whether they kept it."""
        counts = {}
        for guard in self.guards:
            counts[guard.name, "yes"] = guard.requests - guard.failures
            counts[guard.name, "no"] = guard.failures
        return counts

    def share(self, champion: str, challenger: str) -> tuple[float, int, bytes]:
        """Return the share, below which place it is, and the salt, for two bundles' digests."""
        declared, self._unused, self.shared = self.declared, "", 0.0
        if declared is None or self.stopped:
            return 0.0, 0, b""
        if (champion, challenger) != (declared.champion, declared.challenger):
            self._unused = f"{self.path} is of other bundles than those that are loaded"
            return 0.0, 0, b""
        self.shared = declared.share
        return declared.share, edge(declared.share), declared.salt.encode()

    def refresh(self) -> bool:
        """Read the file where it changed; return whether what is declared did, or is stopped.

        One that cannot be read leaves the share as it was, and `reason` says why.
        """
        is_another = self._read()
        return self._recall() or is_another

    def _read(self) -> bool:
        now = signature(self.path)
        if now == self._tried and now is not None:
            return False
        self._tried = now
        if now is None:
            was = self.declared
            self._take(None, "")
            self._unread = f"there is no {self.path}"
            return was is not None
        try:
            content = self.path.read_bytes()
            declared = parse(content, str(self.path))
        except (OSError, ExperimentError) as error:
            self._unread = str(error)
            logger.warning("experiment refused", extra={"reason": self._unread})
            return False
        self._unread = ""
        digest = sha256_of(content.decode())
        if digest == self.digest:
            return False
        self._take(declared, digest)
        extra = {"share": declared.share, "step": declared.step, "experiment": digest[:12]}
        logger.log(logging.INFO, "experiment read", extra=extra)
        return True

    @property
    def is_shadow(self) -> bool:
        """Whether the challenger answers nobody, and is asked beside the champion."""
        return self.declared is not None and self.declared.mode == "shadow"

    def count(self, failed: bool, seconds: float = 0.0, disagreed: bool = False) -> bool:
        """Count a request that the challenger answered; return whether that stops it."""
        if self.stopped:
            return False
        went = {"errors": failed, "slow": seconds > self.slow, "disagree": disagreed}
        for guard in self.guards:
            if guard.count(went[guard.name]):
                self._stop(
                    f"the challenger is stopped: {guard.failures} of its {guard.requests} requests "
                    f"failed ({guard.name}), of which at most {guard.limit:g} may"
                )
                return True
        return False

    def compare(
        self,
        requests: Sequence[Answered],
        shadow: "Predictor | None" = None,
        beside: np.ndarray | None = None,
    ) -> bool:
        """Hold the answers of a slice of requests against each other; return whether that stops it.

        Those of both arms, or with `shadow` the champion's and what the shadow said `beside` them.
        """
        found = self.comparison
        if found is None or self.stopped:
            return False
        if shadow is None or beside is None:
            reason = found.count(requests)
        else:
            reason = found.count_both(requests, shadow, beside)
        if reason:
            self._stop(reason)
        return bool(reason)

    def _stop(self, reason: str) -> None:
        self.stopped = reason
        logger.error("experiment stopped", extra={"reason": reason})
        self._keep()

    def _keep(self) -> None:
        """Have a restart know of the stop, or say why it will not."""
        assert self.declared is not None
        if self._log_folder is None:
            self._unkept = UNKEPT.format(
                why="there is no log beside which that is kept: set MLOPS_LOG_FOLDER"
            )
        else:
            try:
                stops.keep(self._log_folder, self.declared, self.stopped)
            except OSError as error:
                why = f"{stops.place(self._log_folder, self.key)} cannot be written "
                why += f"({error.strerror}): give its folder to this user"
                self._unkept = UNKEPT.format(why=why)
        if self._unkept:
            logger.error("stop not kept", extra={"reason": self._unkept})

    def _recall(self) -> bool:
        """Take over what a server on this log stopped; return whether there is something new."""
        if self.stopped:
            return False
        self.stopped = self._known(self.key)
        return bool(self.stopped)

    def _known(self, key: str) -> str:
        """Return why a server on this log stopped the experiment of a key, if one did."""
        if not key or self._log_folder is None:
            return ""
        stopped = stops.kept(self._log_folder, key)
        if stopped:
            logger.error("experiment stays stopped", extra={"reason": stopped})
        return stopped

    def _take(self, declared: Experiment | None, digest: str) -> None:
        key = "" if declared is None else stops.key(declared)
        if key != self.key:  # a step that follows goes on with the counts of the one before
            self.stopped, self._unkept = self._known(key), ""  # before it could give any share
            self.key = key
            self._begin(declared)
        self.declared, self.digest = declared, digest

    def _begin(self, declared: Experiment | None) -> None:
        self.guards, self.slow, self.comparison = [], float("inf"), None
        if declared is None:
            return
        asked = declared.guardrails
        limits = {"errors": asked.errors}
        if asked.slow is not None:
            limits["slow"], self.slow = asked.slow.at_most, asked.slow.seconds
        if asked.disagree is not None:
            limits["disagree"] = asked.disagree
        alpha = asked.alpha / (len(limits) + (asked.drift is not None))
        self.guards = [Guarded(name, limit, alpha) for name, limit in limits.items()]
        if asked.drift is not None:
            self.comparison = Comparison(asked.drift, alpha, declared.salt.encode())


def signature(path: Path) -> Signature | None:
    """Return what changes when a file does; none where there is none."""
    try:
        said = path.stat()
    except OSError:
        return None
    return said.st_ino, said.st_size, said.st_mtime_ns
