"""What Prometheus reads at /metrics, kept in plain numbers and arrays until it asks."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .distributions import Distributions
from .histograms import Histograms
from .joined import Joined

if TYPE_CHECKING:
    from ..predictor import Predictor

PREDICT = "/predict"
OTHER = "other"
MODELS = 4  # bundles whose distributions are kept: those that serve, and one that just went
VALUES = 64  # how many values a label takes, whatever is handed in
SECONDS = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class Tried(Protocol):
    """What is asked of an experiment."""

    stopped: str
    shared: float

    @property
    def counts(self) -> Mapping[tuple[str, str], int]: ...


class Chosen(Protocol):
    """What is asked of the requests that a shadow is asked, too."""

    def has(self, key: bytes) -> bool: ...


class Serving(Protocol):
    """What is asked of ServedModels."""

    @property
    def champion(self) -> "Predictor | None": ...
    @property
    def challenger(self) -> "Predictor | None": ...
    @property
    def shadow(self) -> "Predictor | None": ...
    @property
    def shadowed(self) -> Chosen: ...
    @property
    def trial(self) -> Tried | None: ...
    def count_shadow(self, failed: bool, disagreed: bool = False) -> None: ...
    def compare(self, requests: Sequence[Any], beside: np.ndarray | None = None) -> None: ...
    @property
    def outages(self) -> int: ...


class Metrics:
    """Everything that is counted.

    Where several workers serve, `joined` has what all of them counted.
    Nothing here is safe for threads: the event loop alone counts and renders. `served` is set by
    the application when it has one; `log_bytes` by the recorder.
    """

    def __init__(self, served: Serving | None = None) -> None:
        self.served = served
        self.in_flight = 0
        self.log_bytes = 0
        self.rows = 0
        self.requests: Counter[tuple[str, str]] = Counter()
        self.rejections: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.swaps: Counter[str] = Counter()
        self.seconds: dict[str, Histograms] = {}
        self.models: OrderedDict[str, Distributions] = OrderedDict()
        self.joined: Joined | None = None
        self._registry: Any = None

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer of any route but those that the recorder observes.

        `route` is the pattern that the path matched, never the path.
        """
        self._served(route, f"{status // 100}xx", np.array([seconds]))

    def rejected(self, reason: str) -> None:
        """Count a request that was refused."""
        self.rejections[_bounded(self.rejections, reason)] += 1

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that the prediction log lost."""
        self.drops[_bounded(self.drops, reason)] += rows

    def swapped(self, result: str) -> None:
        """Count an attempt to load another bundle."""
        self.swaps[_bounded(self.swaps, result)] += 1

    def observe(
        self,
        seconds: np.ndarray,
        predictor: "Predictor",
        matrix: np.ndarray,
        predictions: np.ndarray,
        route: str = PREDICT,
    ) -> None:
        """Count answered requests: `seconds` of each, and the rows of all of them together."""
        self._served(route, "2xx", seconds)
        self.rows += len(matrix)
        self.distributed(predictor, matrix, predictions)

    def distributed(
        self, predictor: "Predictor", matrix: np.ndarray, predictions: np.ndarray
    ) -> None:
        """Count encoded rows and predictions; alone, those of a shadow that answers nobody."""
        models = self.models
        counted = models.get(predictor.bundle_digest)
        if counted is None:
            counted = models[predictor.bundle_digest] = Distributions(predictor)
        models.move_to_end(predictor.bundle_digest)
        if len(models) > MODELS:
            models.popitem(last=False)
        counted.add(matrix, predictions)

    def render(self) -> tuple[bytes, str]:
        """Return the exposition in Prometheus' text format, and its content type."""
        from prometheus_client import exposition  # 40 ms, which nobody should wait for at start

        told = self._collected() if self.joined is None else _All(self.joined, self._collected())
        return exposition.generate_latest(told), exposition.CONTENT_TYPE_PLAIN_0_0_4

    def share(self) -> None:
        """Let the other workers know what was counted here."""
        if self.joined is not None:
            self.joined.write(self._collected().collect())

    def collect(self) -> Iterator[Any]:
        """Yield the metric families, as a collector of prometheus_client does."""
        from .families import families

        return families(self)

    def _collected(self) -> Any:
        """Return the registry of this process."""
        if self._registry is None:
            from prometheus_client import CollectorRegistry, ProcessCollector

            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        return self._registry

    def _served(self, route: str, status: str, seconds: np.ndarray) -> None:
        route = _bounded(self.seconds, route)
        self.requests[route, status] += len(seconds)
        if route not in self.seconds:
            self.seconds[route] = Histograms([SECONDS])
        self.seconds[route].add(seconds[:, None])


class _All:
    """A registry of what all workers counted."""

    def __init__(self, joined: Joined, own: Any) -> None:
        self._joined = joined
        self._own = own

    def collect(self) -> Iterator[Any]:
        """Yield the metric families."""
        return self._joined.all(self._own.collect())


def _bounded(known: Any, value: str) -> str:
    """Return the value, or OTHER where the label has as many as it may."""
    return value if value in known or len(known) < VALUES else OTHER
