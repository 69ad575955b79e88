"""The experiment that a server follows: the challenger's share, and what takes it back."""

import logging
from pathlib import Path

from ..files import sha256_of
from ..rollout.assignment import edge
from ..rollout.declaration import Experiment, ExperimentError, Guardrails, parse
from ..rollout.guard import Guard
from .telemetry.logs import logger

Signature = tuple[int, int, int]
State = tuple[Experiment | None, str, list["Guarded"], float, str]


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

    What
    stopped an experiment is forgotten by a restart, and with another file: counting begins anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stopped = ""
        self.shared = 0.0
        self.declared: Experiment | None = None
        self.guards: list[Guarded] = []
        self.slow = float("inf")
        self.digest = ""
        self._tried: Signature | None = None
        self._unread = self._unused = ""

    @property
    def reason(self) -> str:
        """Why the challenger answers nobody, or the file is not followed; else empty."""
        return "; ".join(filter(None, (self._unread, self.stopped or self._unused)))

    @property
    def state(self) -> State:
        """What is declared and counted, to go back to."""
        return self.declared, self.digest, self.guards, self.slow, self.stopped

    def restore(self, state: State) -> None:
        """Go back to what was declared before, and try anew whatever the file has next."""
        self.declared, self.digest, self.guards, self.slow, self.stopped = state
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
        """Read the file where it changed; return whether what is declared did.

        One that cannot be read leaves the share as it was, and `reason` says why.
        """
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

    def count(self, failed: bool, seconds: float) -> bool:
        """Count a request that the challenger answered; return whether that stops it."""
        if self.stopped:
            return False
        slow = seconds > self.slow
        for guard in self.guards:
            if guard.count(failed if guard.name == "errors" else slow):
                self.stopped = (
                    f"the challenger is stopped: {guard.failures} of its {guard.requests} requests "
                    f"failed ({guard.name}), of which at most {guard.limit:g} may"
                )
                logger.error("experiment stopped", extra={"reason": self.stopped})
                return True
        return False

    def _take(self, declared: Experiment | None, digest: str) -> None:
        before = self.declared
        self.declared, self.digest = declared, digest
        if before is None or declared is None or _asked(before) != _asked(declared):
            self.stopped = ""
            self._begin(declared.guardrails if declared else None)

    def _begin(self, asked: Guardrails | None) -> None:
        self.guards, self.slow = [], float("inf")
        if asked is None:
            return
        limits = {"errors": asked.errors}
        if asked.slow is not None:
            limits["slow"], self.slow = asked.slow.at_most, asked.slow.seconds
        self.guards = [Guarded(n, one, asked.alpha / len(limits)) for n, one in limits.items()]


def _asked(declared: Experiment) -> tuple[str, str, str, Guardrails]:
    """Return what counting is of: a step that follows goes on with the counts of the one before."""
    return declared.champion, declared.challenger, declared.salt, declared.guardrails


def signature(path: Path) -> Signature | None:
    """Return what changes when a file does; none where there is none."""
    try:
        said = path.stat()
    except OSError:
        return None
    return said.st_ino, said.st_size, said.st_mtime_ns
