"""What was answered, from the hot path to the metrics and the prediction log, in slices."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import msgspec
import numpy as np
from pydantic import SecretStr

from ...rollout.actions import Assigned
from ...views.online import hidden_text
from ..comparison import decisions
from ..problem import Problem
from ..telemetry.logs import told
from ..telemetry.metrics import MODELS, PREDICT, Metrics, Serving
from .log import Log
from .segment import Answers, Outcomes, encode
from .selection import Declared, declared, sampled

if TYPE_CHECKING:
    from ..models import Arms
    from ..online.lookup import Looked
    from ..predictor import Predictor

REQUESTS = 256  # a slice: its drain must not be felt by the requests beside it
ROWS = 2048
SECONDS = 1.0

logger = logging.getLogger("mlops.serving")


class Settings(Protocol):
    """What is asked of ServingSettings."""

    @property
    def log_folder(self) -> Path | None: ...
    @property
    def log_sample(self) -> float: ...
    @property
    def log_max_bytes(self) -> int: ...
    @property
    def log_buffer_rows(self) -> int: ...
    @property
    def log_key(self) -> SecretStr | None: ...
    @property
    def workers(self) -> int: ...


Drawn: TypeAlias = tuple[str, float | None]  # an arm, and its probability


class Request(NamedTuple):
    """One answered request, as it waits for its slice."""

    predictor: "Predictor"
    route: str
    arms: "Arms"
    key: bytes | None
    request_id: str
    rows: Sequence[Any]
    matrix: np.ndarray
    predictions: np.ndarray
    seconds: float
    time: float
    looked: "Looked | None" = None
    assigned: Sequence[Assigned] = ()


class Recorder:
    """Counts every answer and records a sample of them, without the request's having to wait.

    Everything but writing happens in the event loop, in slices: a thread beside it would take
    the interpreter for milliseconds whenever a model lets go of it.
    """

    def __init__(self, settings: Settings, models: Serving, metrics: Metrics) -> None:
        self._settings = settings
        self._models = models
        self._metrics = metrics
        self._log: Log | None = None
        self._buffer: list[tuple[Any, ...]] = []
        self._rows = 0
        self._most = max(1, min(ROWS, settings.log_buffer_rows // 2))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = False
        self._ticking: asyncio.Task[None] | None = None
        # By digest and not by predictor, which would keep a model that is unloaded in memory.
        self._declarations: dict[str, Declared] = {}
        self._alike: dict[tuple[str, str], bool] = {}

    async def start(self) -> None:
        """Open the log, where there is one; raises RecordingError where its folder is no use."""
        self._loop = asyncio.get_running_loop()
        settings = self._settings
        if settings.log_folder is not None:
            self._log = Log(
                *(settings.log_folder, settings.log_max_bytes, settings.log_buffer_rows),
                self._metrics,
                settings.log_key.get_secret_value().encode() if settings.log_key else None,
                settings.workers,
            )
            await self._log.start()
        self._ticking = self._loop.create_task(self._tick())

    async def stop(self) -> None:
        """Drain and write what waits, and have it compacted."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
        self.drain()
        log, self._log = self._log, None
        if log is not None:
            await log.stop()

    @property
    def records(self) -> bool:
        """Whether there is a prediction log."""
        return self._log is not None

    def add(
        self,
        predictor: "Predictor",
        request_id: str,
        rows: Sequence[Any],
        matrix: np.ndarray,
        predictions: np.ndarray,
        seconds: float,
        arms: "Arms",
        key: bytes | None,
        route: str = PREDICT,
        looked: "Looked | None" = None,
        assigned: Sequence[Assigned] = (),
    ) -> None:
        """Take one answered request; everything else is done in a later turn of the loop.

        `key` is the routing key, where the client sent one, `looked` what was looked up, `assigned`
        what is to be done with each row.
        """
        buffer = self._buffer
        what = (predictor, route, arms, key, request_id, rows, matrix, predictions, seconds, time())
        buffer.append((*what, looked, assigned))
        self._rows += len(rows)
        if (self._rows >= self._most or len(buffer) >= REQUESTS) and not self._due:
            self._due = True
            assert self._loop is not None
            self._loop.call_soon(self.drain)

    def drain(self) -> None:
        """Count and record what waits; no failure of it may reach whoever is being answered."""
        self._due = False
        taken, self._buffer, self._rows = list(map(Request._make, self._buffer)), [], 0
        groups: dict[tuple[Predictor, str, Arms], list[Request]] = {}
        for request in taken:
            groups.setdefault(request[:3], []).append(request)
        for (predictor, route, arms), requests in groups.items():
            try:
                self._observe(predictor, route, arms.of(predictor), requests)
            except Exception as error:
                self._metrics.dropped("error", sum(len(r.rows) for r in requests))
                logger.error("recording failed", extra={"reason": told(error)})
        try:
            self._models.compare(taken)
        except Exception as error:
            logger.error("comparison failed", extra={"reason": told(error)})

    async def feedback(self, outcomes: Outcomes) -> bool:
        """Record true outcomes, and say whether they are kept."""
        if self._log is None:
            return False
        return await self._log.written(encode(outcomes, len(outcomes.ids)), len(outcomes.ids))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            self.drain()
            if self._log is not None:
                await self._log.turn()

    def _observe(
        self, predictor: "Predictor", route: str, drawn: Drawn, requests: list[Request]
    ) -> None:
        matrix = _joined([request.matrix for request in requests])
        predictions = _joined([request.predictions for request in requests])
        seconds = np.array([request.seconds for request in requests])
        self._metrics.observe(seconds, predictor, matrix, predictions, route)
        self._record(predictor, drawn[0], drawn, requests, predictions)
        shadow = self._models.shadow
        if shadow is None or shadow is predictor:
            return
        has = self._models.shadowed.has
        chosen = [has(request.key or request.request_id.encode()) for request in requests]
        if not all(chosen):
            requests = [one for one, keep in zip(requests, chosen, strict=True) if keep]
            if not requests:
                return
            matrix = _joined([request.matrix for request in requests])
        try:
            self._score(shadow, predictor, drawn, requests, matrix)
        except Exception:
            for _ in requests:
                self._models.count_shadow(failed=True)
            raise

    def _score(
        self,
        shadow: "Predictor",
        predictor: "Predictor",
        drawn: Drawn,
        requests: list[Request],
        matrix: np.ndarray,
    ) -> None:
        """Have the shadow answer what the champion answered."""
        pair = (shadow.bundle_digest, predictor.bundle_digest)
        if pair not in self._alike:
            self._alike = {pair: _alike(shadow, predictor)}
        if not self._alike[pair]:
            requests = self._reread(shadow, predictor, requests)
            if not requests:
                return
            matrix = _joined([request.matrix for request in requests])
        rows = [row for request in requests for row in request.rows]
        predictions = shadow.after(rows, shadow.predict(matrix))
        self._metrics.distributed(shadow, matrix, predictions)
        self._record(shadow, "shadow", drawn, requests, predictions)
        said = decisions(predictor, _joined([request.predictions for request in requests]))
        differs = said != decisions(shadow, predictions)
        start = 0
        for request in requests:
            stop = start + len(request.rows)
            self._models.count_shadow(False, disagreed=bool(differs[start:stop].any()))
            start = stop
        self._models.compare(requests, predictions)

    def _reread(
        self, shadow: "Predictor", predictor: "Predictor", requests: list[Request]
    ) -> list[Request]:
        """Return the requests as the shadow's own contract reads them, where it can."""
        found = []
        for request in requests:
            try:
                found.append(_reread(shadow, predictor, request))
            except (Problem, KeyError):
                self._metrics.dropped("shadow", len(request.rows))
        return found

    def _features(
        self, predictor: "Predictor", requests: list[Request]
    ) -> tuple[list[Any], list[Any]]:
        """Return of each row when its features were known, and whose they are.

        The requests were all answered by one predictor.
        An entity that is named by personal data is known as a routing key is: by a keyed hash.
        """
        if predictor.lookup is None:
            return [], []
        assert self._log is not None
        unit, hidden = self._log.unit, predictor.lookup.private
        is_same = _looks_up_alike(predictor, requests[0].predictor)
        as_of: list[Any] = []
        entities: list[Any] = []
        for request in requests:
            looked = request.looked if is_same else None
            if looked is None:
                nothing = (None,) * len(hidden)
                as_of += [nothing] * len(request.rows)
                entities += [nothing] * len(request.rows)
                continue
            as_of += looked.used
            if True not in hidden:
                entities += looked.keys  # which become texts where somebody has time
                continue
            for keys in looked.keys:
                named = zip(hidden, keys, strict=True)
                entities.append([hidden_text(one, unit) if hides else one for hides, one in named])
        return as_of, entities

    def _declared(self, predictor: "Predictor") -> Declared:
        known = self._declarations
        if predictor.bundle_digest not in known:
            if len(known) >= MODELS:
                known.clear()
            known[predictor.bundle_digest] = declared(predictor)
        return known[predictor.bundle_digest]

    def _record(
        self,
        predictor: "Predictor",
        role: str,
        drawn: Drawn,
        requests: list[Request],
        predictions: np.ndarray,
    ) -> None:
        if self._log is None:
            return
        share = self._settings.log_sample
        if share < 1:
            kept = [sampled(request.request_id, share) for request in requests]
            counts = [len(request.rows) for request in requests]
            predictions = predictions[np.repeat(kept, counts)]
            requests = [request for request, keep in zip(requests, kept, strict=True) if keep]
        if not requests:
            return
        declaration, take = self._declared(predictor)
        rows = [take(row) for request in requests for row in request.rows]
        answers = Answers(
            predictor.bundle_digest,
            role,
            [request.request_id for request in requests],
            [len(request.rows) for request in requests],
            [request.time for request in requests],
            rows,
            np.ascontiguousarray(predictions, dtype="<f8").tobytes(),
            [self._log.unit(request.key) if request.key else None for request in requests],
            *drawn,
            *self._features(predictor, requests),
            assigned=_assigned(requests) if predictor is requests[0].predictor else [],
        )
        self._log.write(encode(answers, len(rows)), len(rows), predictor.bundle_digest, declaration)


def _assigned(requests: list[Request]) -> list[tuple[str, str, float] | None]:
    """Return what is to be done with each row; nothing where nobody's was assigned."""
    if not any(request.assigned for request in requests):
        return []
    nothing: tuple[None] = (None,)
    return [
        one for request in requests for one in (request.assigned or nothing * len(request.rows))
    ]


def _looks_up_alike(one: "Predictor", other: "Predictor") -> bool:
    """Say whether both read the same tables of the store: a shadow may read others."""
    if one.lookup is None or other.lookup is None:
        return False
    return one.lookup.tables == other.lookup.tables


def _alike(one: "Predictor", other: "Predictor") -> bool:
    """Say whether both make the same matrix of the same row."""
    return one.loaded.encoder == other.loaded.encoder and one.schema.columns == other.schema.columns


def _reread(shadow: "Predictor", predictor: "Predictor", request: Request) -> Request:
    """Return a request as the shadow's own contract reads it; raises Problem or KeyError."""
    records = map(predictor.schema.record, request.rows)
    body = msgspec.json.encode([{name: r[name] for name in shadow.schema.columns} for r in records])
    rows = shadow.decode(body)
    return request._replace(rows=rows, matrix=shadow.matrix(rows))


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
