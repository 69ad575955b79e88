"""What the workers of one server count, as if it were one process.

Each worker writes what it has counted into a file of its own; whoever is asked for all writes its
own first and then reads them all. So no sum is ever less than one that was told before, which
Prometheus would take for a restart. What a worker had counted stays when it is gone.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ...files import atomic_file

PAST = "past"  # the file of those that are gone
SUFFIX = ".counts"
GROWS = ("counter", "histogram")
# Of gauges that are not the same in every worker; of the others the largest is told.
SUMMED = (
    "mlops_in_flight",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
)
LEAST = ("process_start_time_seconds",)


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One number of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric family, as prometheus_client collects it."""

    name: str
    kind: str
    about: str
    samples: list[Sample]


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What a file holds; `of` are the workers whose counts are in it beside its own."""

    families: list[Family]
    of: list[str] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Counts).decode


class Joined:
    """The files of all workers, as the worker of this name sees them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path = folder / (name + SUFFIX)

    def all(self, own: Iterable[Any]) -> Iterator[Any]:
        """Write the metrics of this worker, and yield those of all of them together."""
        from prometheus_client.core import Metric

        self.write(own)
        for family in merged(_read(self._folder)):
            metric = Metric(family.name, family.about, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric

    def write(self, own: Iterable[Any]) -> None:
        """Write the metrics of this worker, as prometheus_client collects them."""
        families = [
            Family(
                metric.name,
                metric.type,
                metric.documentation,
                [Sample(one.name, dict(one.labels), one.value) for one in metric.samples],
            )
            for metric in own
        ]
        _write(self._path, Counts(families))


def bury(folder: Path, name: str, restarts: int) -> None:
    """Keep what a worker that is gone had counted, and say how many were started anew."""
    path = folder / (name + SUFFIX)
    past, gone = _content(folder / (PAST + SUFFIX)), _content(path)
    grown = [
        [family for family in counts.families if family.kind in GROWS and family.name != RESTARTS]
        for counts in (past, gone)
    ]
    told = Family(RESTARTS, "counter", RESTARTED, [Sample(f"{RESTARTS}_total", {}, restarts)])
    _write(folder / (PAST + SUFFIX), Counts([*merged(grown), told], [*past.of, name]))
    with suppress(FileNotFoundError):
        path.unlink()


RESTARTS = "mlops_worker_restarts"
RESTARTED = "Workers that ended by themselves, and were started anew."


def merged(each: Iterable[list[Family]]) -> list[Family]:
    """Return the families of several processes as those of one."""
    heads: dict[str, Family] = {}
    values: dict[str, dict[tuple[Any, ...], float]] = {}
    for families in each:
        for family in families:
            heads.setdefault(family.name, family)
            known = values.setdefault(family.name, {})
            join = _joining(family)
            for sample in family.samples:
                key = (sample.name, *sample.labels.items())
                known[key] = join(known[key], sample.value) if key in known else sample.value
    return [
        Family(
            name,
            head.kind,
            head.about,
            [Sample(key[0], dict(key[1:]), value) for key, value in values[name].items()],
        )
        for name, head in heads.items()
    ]


def _joining(family: Family) -> Any:
    if family.kind in GROWS or family.name in SUMMED:
        return float.__add__
    return min if family.name in LEAST else max


def _read(folder: Path) -> Iterator[list[Family]]:
    """Yield the counts of every worker; of one that is being buried, not twice."""
    found = {path.stem: _content(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
    past = _content(folder / (PAST + SUFFIX))  # after the others: it says which it has by now
    for name, counts in found.items():
        if name != PAST and name not in past.of:
            yield counts.families
    yield past.families


def _content(path: Path) -> Counts:
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return Counts([])


def _write(path: Path, counts: Counts) -> None:
    with atomic_file(path) as staging:
        staging.write_bytes(_encode(counts))
