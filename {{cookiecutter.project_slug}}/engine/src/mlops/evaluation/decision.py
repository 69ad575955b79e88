"""The decision that a value table implies: chosen on training rows, confirmed on the holdout."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..config.value import TABLE, Action, Value, split
from ..contract import Contract
from ..data import prepared
from ..data.splitting import roles
from ..features.encoding import Encoder
from ..metrics.arrays import Array
from ..metrics.bootstrap import Estimate
from ..metrics.decisions import best_cut, most_above
from ..runtime.decision import HELD_OUT, Decision, DecisionError, most
from ..runtime.hooks import After
from ..runtime.periods import numbered
from .measurement import gained, rounded, worth_figures
from .units import Units

Columns = Mapping[str, NDArray[Any]]
FEW = 100  # rows, below which a threshold is chosen by chance


class Worth(NamedTuple):
    """What each row brings, less the costs, with the first action and with the second."""

    below: Array
    above: Array

    def of(self, acted: NDArray[np.bool_]) -> Array:
        """Return what each row brings where the second action is taken of some."""
        return np.where(acted, self.above, self.below)


class Choice(NamedTuple):
    """Training rows as they were predicted by fits that had not seen them, and what each brings.

    At most a `share` of the rows may get the second action.
    """

    predictions: Array
    brings: Worth
    share: float

    def decision(self, settings: Settings) -> Decision:
        """Return the decision that brings most on them."""
        value, gained = settings.evaluation.value, self.brings.above - self.brings.below
        threshold = best_cut(self.predictions, gained, self.share)
        is_free = value is None or value.capacity is None
        free = None if is_free else best_cut(self.predictions, gained)
        return Decision.of(settings, threshold, self.share, free)


class Confirmed(NamedTuple):
    """What a holdout row is worth: by the decision, otherwise, and by how much more.

    `others` and `gains` have nothing done, everyone acted on, and the threshold before, by name.
    `acted` is the share of rows that the second action is taken of, `chosen` what a training row
    was worth at the choice.
    """

    decision: Decision
    worth: Estimate
    others: dict[str, Estimate]
    gains: dict[str, Estimate]
    acted: float
    chosen: float

    def figures(self) -> dict[str, Any]:
        """Return what metrics.json says of it."""
        return {
            "threshold": self.decision.threshold,
            "break_even": self.decision.break_even,
            "share": rounded(self.decision.share),
            "acted": rounded(self.acted),
            "chosen": rounded(self.chosen),
            **worth_figures(self.worth, self.others, self.gains),
        }

    def told(self) -> list[str]:
        """Return what to look at before a decision is believed."""
        notes, (below, above) = [], self.decision.actions
        gain = self.gains["nothing"]
        if self.decision.threshold == 1:
            notes.append(f"no row is worth {above} by the value table: everyone gets {below}")
        elif not gain.low > 0:
            notes.append(
                f"{above} above {self.decision.threshold:g} may bring no more than {below} for "
                f"everyone: a row gains {gain.value:.4g} {self.decision.currency} "
                f"({gain.low:.4g} to {gain.high:.4g})"
            )
        if self.acted > self.decision.share * 1.2:
            notes.append(
                f"{self.acted:.1%} of the holdout get {above}, and the capacity is "
                f"{self.decision.share:.1%}: probabilities moved since the training rows"
            )
        return notes


def worth(value: Value, contract: Contract, target: NDArray[Any], columns: Columns) -> Worth:
    """Return what rows bring: `target` has their codes, `columns` what amounts are read from."""
    return Worth(*(_worth(one, contract, target, columns) for one in value.actions.values()))


def chosen(settings: Settings, data: Path, model: Path) -> tuple[Decision, float]:
    """Return the decision that brings most on training rows, and what one of them brings by it.

    Raises DecisionError as `choice` does.
    """
    rows = choice(settings, data, model)
    decision = rows.decision(settings)
    return decision, float(rows.brings.of(rows.predictions > decision.threshold).mean())


def choice(settings: Settings, data: Path, model: Path) -> Choice:
    """Return the training rows that a decision is chosen on.

    Each is predicted by a fit that has not seen it. Raises DecisionError where there are none of
    these predictions.
    """
    value, contract = settings.evaluation.value, settings.data
    assert value is not None
    try:
        value.check(contract, settings.training.folds)
        held_out = np.load(model / HELD_OUT, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DecisionError(f"{error}: then run `dvc repro`") from error
    encoder = Encoder.build(contract, settings.features)
    names = [*dict.fromkeys([*value.columns, contract.target])]
    columns = prepared.read(data / "train", contract, names)
    predictions = _served(held_out, data / "train", contract, encoder)
    known = np.isfinite(predictions)
    if known.sum() < FEW:
        raise DecisionError(
            f"evaluation.value chooses a threshold on {int(known.sum())} training rows, which "
            f"chance would do: give {FEW} or more, or leave it out"
        )
    brings = worth(value, contract, prepared.target(columns, contract), columns)
    share = capacity(value, data, contract)
    return Choice(predictions[known], Worth(brings.below[known], brings.above[known]), share)


def capacity(value: Value, data: Path, contract: Contract) -> float:
    """Return the share of rows that the second action may be taken of, as the rows come."""
    asked = value.capacity
    if asked is None:
        return 1.0
    if asked.share is not None:
        return asked.share
    rows = most(value)
    if rows is None or asked.per in (None, TABLE):  # how large a table will be, nobody knows
        return 1.0
    return min(1.0, rows / _rows_a_period(data, contract, asked.per))


def confirmed(
    decision: Decision,
    chosen: float,
    settings: Settings,
    columns: Columns,
    target: NDArray[Any],
    predictions: Array,
    units: Units,
) -> Confirmed:
    """Measure on the holdout what a decision is worth, and what it gains, drawn as metrics are."""
    asked = settings.evaluation
    assert asked.value is not None
    brings = worth(asked.value, settings.data, target, columns)
    rows = dict(_alternatives(decision, asked.threshold, brings, predictions))
    acted = predictions > decision.threshold
    mine = brings.of(acted)
    found = gained(mine, rows, asked, settings.seed, units)
    return Confirmed(decision, *found, float(acted.mean()), chosen)


def _alternatives(
    decision: Decision, before: float, brings: Worth, predictions: Array
) -> Iterator[tuple[str, Array]]:
    """Yield what each row brings by what else could be done, within the same capacity."""
    yield "nothing", brings.below
    yield "everyone", brings.below + decision.share * (brings.above - brings.below)
    limit = max(before, most_above(predictions, decision.share))
    yield "default", brings.of(predictions > limit)


def _worth(action: Action, contract: Contract, target: NDArray[Any], columns: Columns) -> Array:
    by_label = action.by_label()
    brought = np.choose(target, [_amounts(by_label[one], columns) for one in contract.labels])
    return np.asarray(brought - _amounts(action.cost, columns), dtype=np.float64)


def _amounts(amount: Any, columns: Columns) -> Any:
    name, number = split(amount)
    return number * columns[name] if name else number


def _served(held_out: Array, rows: Path, contract: Contract, encoder: Encoder) -> Array:
    """Return predictions as they would be served: what `after` makes of them, if anything."""
    if (after := After.find(contract)) is None:
        return held_out
    answers, start = held_out.copy(), 0
    for columns in prepared.batches(rows, contract, encoder.inputs):
        end = start + len(columns[encoder.inputs[0]])
        known = np.flatnonzero(np.isfinite(held_out[start:end]))
        some = {name: values[known] for name, values in columns.items()}
        if len(known):
            answers[start + known] = after(some, held_out[start + known])
        start = end
    return answers


def _rows_a_period(data: Path, contract: Contract, per: str) -> float:
    """Return how many rows of all roles come in a day, a week or a month that has any."""
    assert contract.time is not None
    each = [
        prepared.read(data / role, contract, [contract.time])[contract.time]
        for role in roles(contract)
    ]
    moments = np.concatenate(each)
    known = numbered(moments[~np.isnat(moments)], per)
    return len(moments) / max(1, len(np.unique(known)))
