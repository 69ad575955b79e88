"""The bundles that a server answers with: the champion, a challenger, and how they are swapped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..rollout.assignment import PLACES, edge, place
from .batching import Batching
from .comparison import Answered
from .problem import Problem
from .settings import ServingSettings
from .slot import Slot
from .telemetry.logs import logger
from .trial import State, Trial

if TYPE_CHECKING:
    from .online.online import Online
    from .predictor import Predictor

ROUTING_KEY = b"x-routing-key"


class Arms(NamedTuple):
    """Between whom a request was drawn, as long as one pair of bundles serves.

    `share` is that of the challenger: 0 where it answers nobody, None where no lot was drawn,
    since the client itself named the version. The challenger answers below the place `edge`, of
    keys with the `salt`.
    """

    challenger: "Predictor | None" = None
    share: float | None = 0.0
    edge: int = 0
    salt: bytes = b""

    def of(self, predictor: "Predictor") -> tuple[str, float | None]:
        """Return the arm of who answered, and the probability with which it was to answer."""
        if self.challenger is None or predictor is not self.challenger:
            return "champion", None if self.share is None else 1 - self.share
        return "challenger", self.share


class Shadowed(NamedTuple):
    """Whose requests a shadow is asked beside the champion: keys below the place `edge`."""

    edge: int = 0
    salt: bytes = b""

    def has(self, key: bytes) -> bool:
        """Say whether a key is among them."""
        return self.edge == PLACES or place(key, self.salt) < self.edge


class ServedModels:
    """Champion and challenger of one server.

    `champion` and `challenger` are replaced by one assignment, so that a request sees one bundle
    from its first byte to its last; with them `arms`, by which the log knows how it was drawn.
    `reason` says what keeps the server from being ready, or what is wrong with a bundle that was
    to follow. `swapped` is told how each attempt went. Where several processes serve together,
    `elsewhere` has all look at the folders: each is told to `prepare`, and then to `settle`.
    """

    def __init__(
        self, settings: ServingSettings, swapped: Callable[[str], None] = lambda _: None
    ) -> None:
        self.champion: Predictor | None = None
        self.challenger: Predictor | None = None
        self.arms = Arms()
        self.shadowed = Shadowed()
        self.draining = False
        self.batching = Batching()
        self.online = _online(settings)
        self._champion = Slot(settings.bundle, settings, settings.expect, self.online)
        self._challenger = (
            Slot(settings.challenger, settings, online=self.online) if settings.challenger else None
        )
        self.trial = _trial(settings)
        self._sharing = self.trial is not None or settings.challenger_mode == "share"
        self._probability = settings.challenger_share
        self._watch_seconds = settings.watch_seconds
        self._unpaired = ""
        self._swapped = swapped
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "bundles")
        self._watch: asyncio.Task[None] | None = None
        self.elsewhere: Callable[[], Awaitable[None]] | None = None
        self.tell_stop: Callable[[str, str], None] | None = None  # the other workers
        self._before: State | None = None  # of the experiment
        self._prepared: list[tuple[Slot, Predictor | None, str]] = []

    @property
    def outages(self) -> int:
        """How often the online store did not answer."""
        return self.online.outages if self.online is not None else 0

    @property
    def ready(self) -> bool:
        """Whether requests are welcome."""
        return self.champion is not None and not self.draining

    @property
    def reason(self) -> str:
        """Why the server is not ready, or which bundle was not taken and why; else empty."""
        if self.draining:
            return "the server is stopping"
        challenger = self._challenger.reason if self._challenger else ""
        trial = self.trial.reason if self.trial and self.challenger else ""
        reasons = (self._champion.reason, challenger, self._unpaired, trial)
        return "; ".join(filter(None, reasons)) or ("" if self.champion else "no bundle is loaded")

    @property
    def shadow(self) -> "Predictor | None":
        """The challenger, where it answers nobody and is asked beside the champion."""
        return self.challenger if self.shadowed.edge else None

    def route(self, key: bytes) -> "Predictor":
        """Return who answers for a key: always the same, in any process.

        Raises Problem 503 where nothing is loaded.
        """
        champion, arms = self.champion, self.arms
        if champion is None:
            headers = {"retry-after": "1"}
            raise Problem(503, "not-ready", "No model is loaded", self.reason, headers=headers)
        if arms.edge and arms.challenger is not None and place(key, arms.salt) < arms.edge:
            return arms.challenger
        return champion

    def count(self, predictor: "Predictor", failed: bool, seconds: float = 0.0) -> None:
        """Count a request of who was drawn; enough that went wrong take the challenger back."""
        trial = self.trial
        if trial is not None and predictor is self.arms.challenger and trial.count(failed, seconds):
            self._taken_back(trial)

    def count_shadow(self, failed: bool, disagreed: bool = False) -> None:
        """Count a request that a shadow was asked; enough that went wrong end that."""
        trial = self.trial
        if trial is not None and trial.is_shadow and trial.count(failed, disagreed=disagreed):
            self._taken_back(trial)

    def compare(self, requests: Sequence[Answered], beside: np.ndarray | None = None) -> None:
        """Hold both models' answers against each other; too different ones take it back.

        `beside` is what the shadow said of the rows of these requests.
        """
        trial, shadow = self.trial, None if beside is None else self.shadow
        if trial is not None and trial.compare(requests, shadow, beside):
            self._taken_back(trial)

    def _taken_back(self, trial: Trial) -> None:
        self._take()
        if self.tell_stop is not None:
            self.tell_stop(trial.stopped, trial.key)

    def stop_trial(self, reason: str, key: str) -> None:
        """Take the challenger back, since another worker has, of the experiment of this key."""
        if self.trial is not None and self.trial.key == key:
            self.trial.stopped = self.trial.stopped or reason
            self._take()

    async def predict(self, predictor: "Predictor", matrix: np.ndarray) -> np.ndarray:
        """Predict in a thread, for a model that would hold the event loop up."""
        return await self.batching.predict(predictor, matrix)

    def load(self) -> None:
        """Load the champion before there is an event loop; raises what is wrong with it."""
        self._champion.load()
        if self._challenger:
            self._challenger.refresh()
        if self.trial:
            self.trial.refresh()
        self._take()

    async def start(self) -> None:
        """Load what is not loaded yet, and watch the folders."""
        if self.champion is None:
            await self._refresh(always=False)
        if self._watch_seconds:
            self._watch = asyncio.create_task(self._watched())

    async def stop(self) -> None:
        """Stop watching; the bundles keep answering."""
        if self._watch is not None:
            self._watch.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.batching.stop()
        if self.online is not None:
            self.online.close()

    async def reload(self) -> None:
        """Look at the folders now, and try again what was no good before."""
        if self.elsewhere is not None:
            await self.elsewhere()
        else:
            await self._refresh(always=True)

    @property
    def bundles(self) -> list[str]:
        """The digests of what is loaded: champion, challenger, experiment; empty for none."""
        found = [slot.predictor.bundle_digest if slot.predictor else "" for slot in self._slots]
        return found if self.trial is None else [*found, self.trial.digest]

    @property
    def refusal(self) -> str:
        """Why the last attempt to load a bundle failed; empty where it did not."""
        return "; ".join(filter(None, (slot.reason for slot in self._slots)))

    async def prepare(self) -> list[str]:
        """Load what changed without serving it, and return the digests of what is loaded."""
        loop = asyncio.get_running_loop()
        self._prepared = []
        if self.trial is not None:
            self._before = self.trial.state
            await loop.run_in_executor(self._thread, self.trial.refresh)
        for slot in self._slots:
            before = slot.predictor
            result = await loop.run_in_executor(self._thread, slot.refresh, True)
            self._prepared.append((slot, before, result))
        return self.bundles

    def settle(self, reason: str = "") -> None:
        """Serve what is prepared, or for a reason what was served before."""
        prepared, self._prepared = self._prepared, []
        if reason and self.trial is not None and self._before is not None:
            self.trial.restore(self._before)
        for at, (slot, before, _) in enumerate(prepared):
            if reason and slot.predictor is not before:
                slot.restore(before, reason)
                prepared[at] = slot, before, "refused"
        self._take()
        for slot, _, result in prepared:
            self._announce(slot, result)

    async def _watched(self) -> None:
        while True:
            await asyncio.sleep(self._watch_seconds)
            await self._refresh(always=False)

    async def _refresh(self, always: bool) -> None:
        async with self._lock:
            loop = asyncio.get_running_loop()
            trial = self.trial
            if trial is not None and await loop.run_in_executor(self._thread, trial.refresh):
                self._take()
            for slot in self._slots:
                result = await loop.run_in_executor(self._thread, slot.refresh, always)
                self._take()
                self._announce(slot, result)

    @property
    def _slots(self) -> list[Slot]:
        return [self._champion, *([self._challenger] if self._challenger else [])]

    def _announce(self, slot: Slot, result: str) -> None:
        if result:
            self._swapped(result)
            model = slot.predictor.bundle_digest if slot.predictor else ""
            level = logging.WARNING if slot.reason else logging.INFO
            extra = {"reason": slot.reason, "model": model}
            logger.log(level, f"bundle {result}", extra=extra)

    def _take(self) -> None:
        """Serve what the slots hold; a challenger only beside a champion that it compares with."""
        champion = self._champion.predictor
        challenger = self._challenger.predictor if self._challenger else None
        self._unpaired = ""
        if (
            champion is not None
            and challenger is not None
            and not _comparable(champion, challenger)
        ):
            self._unpaired = "the challenger takes other columns, or gives other labels"
            challenger = None
        self.champion, self.challenger = champion, challenger
        self.arms, self.shadowed = self._drawn(champion, challenger)

    def _drawn(
        self, champion: "Predictor | None", challenger: "Predictor | None"
    ) -> tuple[Arms, Shadowed]:
        """Return who answers whom, and whose requests a shadow is asked."""
        if champion is None or challenger is None:
            return Arms(), Shadowed()
        if not self._sharing:
            return Arms(), Shadowed(PLACES)
        if self.trial is None:
            return Arms(challenger, self._probability, edge(self._probability)), Shadowed()
        digests = champion.bundle_digest, challenger.bundle_digest
        share, below, salt = self.trial.share(*digests)
        if self.trial.is_shadow:
            return Arms(), Shadowed(below, salt)
        return Arms(challenger, share, below, salt), Shadowed()


def _trial(settings: ServingSettings) -> Trial | None:
    if settings.experiment is None:
        return None
    return Trial(settings.experiment, settings.log_folder)


def _online(settings: ServingSettings) -> "Online | None":
    """Return the store that the server is told of; its drivers are imported for nobody else."""
    if settings.online is None:
        return None
    from .online.online import Online

    return Online(settings.online.get_secret_value(), settings.online_seconds)


def routing_key(headers: Mapping[bytes, bytes], request_id: str) -> bytes:
    """Return what decides who answers a request, byte for byte: its own key, or its id.

    `headers` by their names in small letters; of one that comes twice, the last counts.
    """
    return headers.get(ROUTING_KEY) or request_id.encode()


def _comparable(one: "Predictor", other: "Predictor") -> bool:
    return (
        one.schema.columns == other.schema.columns
        and one.request.names == other.request.names
        and one.loaded.contract.task == other.loaded.contract.task
        and one.loaded.contract.labels == other.loaded.contract.labels
    )
