"""What actions by the greatest expected worth bring on the holdout, where labels are several."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config.settings import Settings
from ..metrics.arrays import Array
from ..metrics.bootstrap import Estimate
from ..runtime.decision import DecisionError
from ..runtime.expectation import Expected
from .measurement import gained, rounded, worth_figures
from .units import Units

BY_LABEL = "by the likeliest label"


class Expectation(NamedTuple):
    """What a holdout row is worth: by the probabilities, otherwise, and by how much more.

    `others` and `gains` have each action for everyone, and the one that is best for the likeliest
    label; `acted` is the share of rows of each action.
    """

    expected: Expected
    worth: Estimate
    others: dict[str, Estimate]
    gains: dict[str, Estimate]
    acted: dict[str, float]

    def figures(self) -> dict[str, Any]:
        """Return what metrics.json says of it."""
        return {
            "acted": {name: rounded(share) for name, share in self.acted.items()},
            **worth_figures(self.worth, self.others, self.gains),
        }

    @property
    def best(self) -> str:
        """The action that everyone would get, if all got the same."""
        names = self.expected.actions
        return max(names, key=lambda name: self.others[name].value)

    def told(self) -> list[str]:
        """Return what to look at before the actions are believed."""
        best, currency = self.best, self.expected.currency
        gain = self.gains[best]
        if gain.low > 0:
            return []
        return [
            f"actions by the value table may bring no more than {best} for everyone: a row gains "
            f"{gain.value:.4g} {currency} ({gain.low:.4g} to {gain.high:.4g})"
        ]


def confirmed(
    settings: Settings, target: NDArray[Any], predictions: Array, units: Units
) -> Expectation:
    """Measure what the value table brings on the holdout, drawn as metrics are.

    Raises DecisionError where the table does not fit the contract.
    """
    asked, contract = settings.evaluation, settings.data
    assert asked.value is not None
    try:
        asked.value.check(contract, settings.training.folds)
    except ValueError as error:
        raise DecisionError(f"{error}: then run `dvc repro`") from error
    expected = Expected.of(asked.value, contract)
    codes = expected.codes(predictions)
    mine = expected.earned(codes, target)
    rows = dict(_alternatives(expected, target, predictions))
    found = gained(mine, rows, asked, settings.seed, units)
    shares = np.bincount(codes, minlength=len(expected.actions)) / max(1, len(codes))
    return Expectation(expected, *found, dict(zip(expected.actions, shares.tolist(), strict=True)))


def _alternatives(
    expected: Expected, target: NDArray[Any], predictions: Array
) -> Iterator[tuple[str, Array]]:
    """Yield what each row brings by what else could be done."""
    for code, name in enumerate(expected.actions):
        yield name, expected.earned(np.full(len(target), code), target)
    for_label = expected.worth.argmax(axis=0)
    yield BY_LABEL, expected.earned(for_label[predictions.argmax(axis=1)], target)
