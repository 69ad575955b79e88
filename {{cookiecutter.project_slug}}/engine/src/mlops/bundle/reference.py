"""The reference of a monitor: the rows that a model was made of and measured on, counted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..config.settings import Settings
from ..contract import Contract
from ..data import prepared
from ..features.encoding import Encoder
from .cells import Layout, Limits
from .counting import Counts, Tally, equal_chance, hashes
from .losses import Outcomes, outcomes

WEEKLY = 3  # days between the days of a table, on the median, up to which it is cut into weeks


class Period(msgspec.Struct, frozen=True):
    """The rows from one day to before another: the features' cells, and the holdout's outputs."""

    start: str
    end: str
    rows: int
    features: list[int]
    outputs: list[int] = []


class Reference(msgspec.Struct, frozen=True):
    """What a window of traffic is compared with.

    `seen` are all rows that the model was made of or measured on, `held` those of the holdout with
    what they are answered, `outcomes` what was true of these. `periods` are the rows of `seen` by
    week or month of the contract's time. `equal` is the chance that two rows of `seen` are equal.
    """

    seen: Counts
    held: Counts
    outcomes: Outcomes
    periods: list[Period] = []
    equal: float = 0.0


def layout(profile: Mapping[str, Any], settings: Settings) -> Layout:
    """Return how the rows of a bundle are counted, which its profile and settings say."""
    asked = settings.evaluation
    limits = Limits(asked.slices.max_categories, asked.threshold)
    return Layout.of(profile, settings.data, limits)


def reference(
    profile: Mapping[str, Any],
    settings: Settings,
    encoder: Encoder,
    files: Mapping[str, Path],
    matrices: Mapping[str, np.ndarray],
    predictions: np.ndarray,
) -> Reference:
    """Return the reference of a bundle.

    `files` and `matrices` are the prepared rows of each role and their matrix, `predictions` what
    the rows of the holdout are answered.
    """
    contract, cells = settings.data, layout(profile, settings)
    seen, repeats, moments = Tally(cells), [], []
    periods: dict[str, Tally] = {}
    for role, matrix in matrices.items():
        values = encoder.by_feature(matrix)
        columns = prepared.read(files[role], contract, _read(contract, cells))
        seen.add(values, None, columns)
        repeats.append(hashes(np.ascontiguousarray(values.T)))
        if contract.time is not None:
            answered = predictions if role == "holdout" else None
            moments.append((values, columns[contract.time], answered))
    unit = _unit([times for _, times, _ in moments])
    for values, times, answered in moments:
        _count(periods, values, times, answered, unit, cells)
    columns = prepared.read(files["holdout"], contract, [*cells.sliced, contract.target])
    held = Tally(cells)
    held.add(encoder.by_feature(matrices["holdout"]), predictions, columns)
    true = prepared.target(columns, contract)
    return Reference(
        seen.counts(),
        held.counts(),
        outcomes(cells, true, predictions, columns, contract.labels),
        [_period(start, periods[start]) for start in sorted(periods)],
        equal_chance(np.concatenate(repeats)),
    )


def _read(contract: Contract, cells: Layout) -> list[str]:
    return list(dict.fromkeys([*cells.sliced, *([contract.time] if contract.time else [])]))


def _unit(times: list[np.ndarray]) -> str:
    """Return whether rows of those times are counted by week or by month."""
    if not times:
        return "M"
    days = np.unique(np.concatenate(times).astype("datetime64[D]"))
    days = days[~np.isnat(days)]
    gaps = np.diff(days).astype(np.int64)
    return "W" if len(gaps) and np.median(gaps) <= WEEKLY else "M"


def _count(
    periods: dict[str, Tally],
    values: np.ndarray,
    times: np.ndarray,
    answered: np.ndarray | None,
    unit: str,
    cells: Layout,
) -> None:
    """Count rows into the periods of their times."""
    bare = cells._replace(sliced={})
    starts = times.astype(f"datetime64[{unit}]")
    for start in np.unique(starts[~np.isnat(starts)]):
        within = starts == start
        first, end = start.astype("datetime64[D]"), (start + 1).astype("datetime64[D]")
        tally = periods.setdefault(f"{first}/{end}", Tally(bare))
        tally.add(values[within], None if answered is None else answered[within], {})


def _period(name: str, tally: Tally) -> Period:
    start, _, end = name.partition("/")
    counted = tally.counts()
    return Period(start, end, counted.rows, counted.features, counted.outputs)
