"""What the candidate costs: time of a prediction, size of the bundle, memory."""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from ...contract import Column
from ...evaluation.slices import UNSEEN
from ..case import Array, Case
from ..rule import Finding, Rule, compared

MILLI, MEGA = 1000.0, 1e6
WARM = 20
LEAST_REPEATS = 5


class Latency(Rule, frozen=True, kw_only=True):
    """Time the whole answer for 1 and 100 rows: a ceiling, and a ratio to the champion.

    An answer is what a server does with the body of a request: it reads the rows, asks `before`,
    computes features, predicts, asks `after`, and writes. Both answer alternately in the same run,
    each in its own process and timed from here, so that a busy machine slows both and neither can
    say that it was faster. Means of `repeats` runs are compared, without the slowest twentieth:
    what only some rows cost counts by their share. A ratio above `ratio` counts only where the
    candidate takes longer than `negligible_ms`.
    """

    one_row_ms: float
    hundred_rows_ms: float
    ratio: float
    negligible_ms: float
    repeats: int

    def __post_init__(self) -> None:
        if self.repeats < LEAST_REPEATS:
            raise ValueError(f"`repeats` must be {LEAST_REPEATS} or more")

    def judge(self, case: Case) -> list[Finding]:
        """Return the ceiling's finding, and the ratio's where there is a champion, for each."""
        found = []
        for rows, ceiling in ((1, self.one_row_ms), (100, self.hundred_rows_ms)):
            times = self._times(case, rows)
            part = "1 row" if rows == 1 else f"{rows} rows"
            said = f"the time for {part} in ms"
            found.append(compared(times[0], ceiling, at_least=False, said=said, part=part))
            if case.champion is not None:
                limit = max(self.ratio * times[1], self.negligible_ms)
                said = f"{said} (the champion's is {times[1]:.4g})"
                part = f"{part}, against the champion"
                found.append(compared(times[0], limit, at_least=False, said=said, part=part))
        return found

    def _times(self, case: Case, rows: int) -> list[float]:
        """Return the usual milliseconds of the candidate, and of the champion if there is one."""
        judged = [case.candidate] if case.champion is None else [case.candidate, case.champion]
        times: list[list[float]] = [[] for _ in judged]
        for turn in range(WARM + self.repeats):
            bodies: dict[tuple[str, ...], bytes] = {}
            for one, taken in zip(judged, times, strict=True):
                inputs = one.bundle.encoder.inputs
                body = bodies.get(inputs) or _body(case, inputs, rows, turn)
                bodies[inputs] = body
                start = perf_counter()
                one.bundle.served(body, rows)
                elapsed = (perf_counter() - start) * MILLI
                if turn >= WARM:
                    taken.append(elapsed)
        return [usual(taken) for taken in times]


def usual(times: Sequence[float]) -> float:
    """Return the mean without the slowest twentieth, one at least: a machine is busy at times."""
    kept = sorted(times)[: -max(1, len(times) // 20)]
    return sum(kept) / len(kept)


def _body(case: Case, inputs: Sequence[str], rows: int, turn: int) -> bytes:
    """Return a request for rows of the holdout, others each turn: an answer that was kept is none.

    It starts again where the holdout is short.
    """
    places = (np.arange(rows) + turn * rows) % len(case.target)
    declared = case.settings.data.columns
    columns = {name: list(_plain(case.columns[name][places], declared[name])) for name in inputs}
    sent = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return msgspec.json.encode(sent)


def _plain(values: Array, column: Column) -> Iterator[Any]:
    """Yield values as a client sends them: labels, dates as ISO 8601, null for what is missing."""
    labels = [*column.categories, UNSEEN]
    for value in values.tolist():
        if value is None or value != value:
            yield None
        elif column.type == "category":
            yield labels[int(value)]
        elif column.type == "datetime":
            yield value.isoformat()
        else:
            yield {"boolean": bool, "integer": int}.get(column.type, lambda one: one)(value)


class Size(Rule, frozen=True, kw_only=True):
    """Check the bytes of the bundle against a ceiling."""

    at_most_mb: float

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding."""
        files = [path for path in case.candidate.folder.rglob("*") if path.is_file()]
        if not files:
            return [Finding("rejected", "the bundle has no files")]
        size = sum(path.stat().st_size for path in files) / MEGA
        said = "the size of the bundle in MB"
        return [compared(size, self.at_most_mb, at_least=False, said=said)]


class Memory(Rule, frozen=True, kw_only=True):
    """Check the peak memory of loading the model and predicting `rows` holdout rows.

    It is measured in a process of its own, Python and the libraries included.
    """

    at_most_mb: float
    rows: int

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError("`rows` must be 1 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding."""
        bundle, rows = case.candidate.bundle, min(self.rows, len(case.target))
        columns = {name: case.columns[name][:rows] for name in bundle.encoder.inputs}
        peak = bundle.peak_bytes(columns) / MEGA
        said = f"the peak memory for {rows} rows in MB"
        return [compared(peak, self.at_most_mb, at_least=False, said=said)]
