"""What an experiment would have said, had it been made: both models on rows whose outcome is known.

The very rows of a log are answered by both bundles, arms are drawn by the salt, and what a unit is
worth is judged by the code that judges a live experiment. What a model decides must not change what
turns out: of a value table, the outcome is taken as it was.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..bundle import reading
from ..bundle.contents import read as verified
from ..bundle.reading import Loaded
from ..contract import Contract
from ..data import prepared
from ..evaluation.decision import worth
from ..files import sha256_of
from ..log_layout import stored
from ..monitoring.outcomes import outcomes
from ..rollout.assignment import edge, place
from ..rollout.declaration import Experiment, ExperimentError, Primary, Step
from . import experiment, units


class Asked(NamedTuple):
    """What is replayed: days, the share of the challenger, the salt, and when a decision falls."""

    first: date
    last: date
    share: float = 0.5
    salt: str = "replay"
    planned: int = 10_000
    min_units: int = 500
    maturity: str = "1d"
    slices: tuple[str, ...] = ()


def replayed(log: Path, champion: Path, challenger: Path, asked: Asked) -> dict[str, Any]:
    """Return the sealed report of an experiment of two bundles on rows of the past, day by day.

    A row is worth what the champion's value table says of the decision and the outcome; without a
    table, 1 where the answer was right, and of a regression less the distance. Raises
    ExperimentError where rows cannot be answered, and BundleError for a bundle that is none.
    """
    models = [_loaded(folder) for folder in (champion, challenger)]
    digests = [digest for digest, _ in models]
    if digests[0] == digests[1]:
        raise ExperimentError(f"{champion} and {challenger} are the same bundle: name two")
    loaded = [one for _, one in models]
    _check_alike(loaded)
    since = datetime(asked.first.year, asked.first.month, asked.first.day, tzinfo=UTC)
    about = Experiment(
        format=1,
        champion=digests[0],
        challenger=digests[1],
        salt=asked.salt,
        steps=(Step(asked.share),),
        since=since,
        primary=Primary("value", units=asked.planned),
        maturity=asked.maturity,
        horizon=f"{max(1, (asked.last - asked.first).days + 1)}d",
        min_units=asked.min_units,
        slices=asked.slices,
    )
    rows = _rows(log, about, loaded, asked)
    found = units.collected(rows, about, asked.last)
    declared = sha256_of(repr((*digests, asked)))
    return experiment.report(about, declared, found, asked.last)


def _loaded(folder: Path) -> tuple[str, Loaded]:
    content = verified(folder)
    return content.bundle_digest, reading.parsed(content)


def _rows(
    log: Path, about: Experiment, loaded: Sequence[Loaded], asked: Asked
) -> Iterator[pa.Table | int]:
    """Yield the rows with a known outcome, as each unit's arm would have been worth."""
    names = [*dict.fromkeys(name for one in loaded for name in _inputs(one))]
    sliced = [stored(name) for name in asked.slices]
    wanted = ["unit", "time", "role", *map(stored, names), *sliced]
    for batch in outcomes(log, asked.first, asked.last, at=asked.last, columns=wanted):
        for name in (*map(stored, names), *sliced):
            if name not in batch.schema.names or pa.types.is_null(batch[name].type):
                raise ExperimentError(
                    f"the log has no {name}: replay bundles that read what it keeps"
                )
        batch = batch.filter(pc.not_equal(batch["role"].cast(pa.string()), "shadow"))
        batch = batch.filter(batch["outcome"].is_valid())
        known = batch.num_rows
        batch = batch.filter(batch["unit"].is_valid())
        yield known - batch.num_rows
        if not batch.num_rows:
            continue
        drawn = _drawn(batch["unit"], about)
        values = np.where(drawn, *(_valued(one, loaded[0], batch) for one in reversed(loaded)))
        columns = [batch["unit"], pa.array(drawn), batch["time"], pa.array(values)]
        columns += [batch[name].cast(pa.string()) for name in sliced]
        labels = ["unit", "challenger", "time", "y", *(f"s{n}" for n in range(len(sliced)))]
        yield pa.Table.from_arrays(columns, labels)


def _drawn(units: pa.Array, about: Experiment) -> np.ndarray:
    """Return whether each unit's lot is the challenger."""
    below, salt = edge(about.share), about.salt.encode()
    return np.array([place(one.encode(), salt) < below for one in units.to_pylist()], dtype=bool)


def _valued(one: Loaded, champion: Loaded, batch: pa.RecordBatch) -> np.ndarray:
    """Return what each row would have been worth, answered by a model."""
    contract = champion.contract
    columns = _columns(one, batch)
    if contract.is_private(contract.target):
        raise ExperimentError(f"{contract.target} is personal data: the log keeps no outcome")
    answers = one.answer(columns)
    if contract.task == "regression":
        return -np.abs(answers - batch["outcome"].to_numpy(zero_copy_only=False))
    target = prepared.codes(batch["outcome"].cast(pa.string()), contract.labels).astype(int)
    value = champion.settings.evaluation.value
    if value is None:
        decided = (
            answers > one.settings.evaluation.threshold
            if contract.task == "binary"
            else answers.argmax(axis=1)
        )
        return (decided == target).astype(float)
    if champion.expected is not None:
        return champion.expected.earned(champion.expected.codes(answers), target)
    more = {
        name: prepared.array(batch[stored(name)], contract.columns[name]) for name in value.columns
    }
    return worth(value, contract, target, more).of(answers > one.settings.evaluation.threshold)


def _columns(one: Loaded, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
    contract: Contract = one.contract
    return {
        name: prepared.array(batch[stored(name)], contract.columns[name])
        for name in one.encoder.inputs
    }


def _inputs(one: Loaded) -> list[str]:
    value = one.settings.evaluation.value
    private = [name for name in one.encoder.inputs if one.contract.is_private(name)]
    if private:
        raise ExperimentError(
            f"a bundle reads {private[0]}, which is personal data that no log keeps: replay "
            "bundles that read what it keeps"
        )
    return [*one.encoder.inputs, *(value.columns if value else ())]


def _check_alike(loaded: Sequence[Loaded]) -> None:
    one, other = (each.contract for each in loaded)
    if (one.task, one.labels, one.target) != (other.task, other.labels, other.target):
        raise ExperimentError(
            f"the bundles predict {one.target} and {other.target}, or other labels of it: name two "
            "that answer the same question"
        )
