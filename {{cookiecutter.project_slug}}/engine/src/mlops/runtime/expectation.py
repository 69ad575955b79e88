"""What is worth most by the probabilities of several labels: no threshold, and one action a row."""

from typing import NamedTuple, Self

import numpy as np

from ..config.settings import Settings
from ..config.value import Value, split
from ..contract import Contract


class Expected(NamedTuple):
    """The actions of a value table, and what each is worth by the label that turns out.

    `worth` has a row for each action and a column for each label: what it brings, less its cost.
    """

    actions: tuple[str, ...]
    currency: str
    worth: np.ndarray

    @classmethod
    def of(cls, value: Value, contract: Contract) -> Self:
        """Return what a table says of the labels of a contract, all of its amounts numbers."""
        worth = []
        for action in value.actions.values():
            by_label, cost = action.by_label(), split(action.cost)[1]
            worth.append([split(by_label[label])[1] - cost for label in contract.labels])
        return cls(tuple(value.actions), value.currency, np.array(worth, dtype=np.float64))

    @classmethod
    def find(cls, settings: Settings) -> Self | None:
        """Return what decides by these settings; None where no table is, or of two labels."""
        value = settings.evaluation.value
        if value is None or settings.data.task != "multiclass":
            return None
        return cls.of(value, settings.data)

    def codes(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the number of each row's action: that of the greatest expected worth.

        Of equals, the one that is declared first. (Elkan, The foundations of cost-sensitive
        learning, IJCAI 2001.)
        """
        # Summed row by row, so that a row's action is the same alone and among others.
        each = [(probabilities * one).sum(axis=1) for one in self.worth]
        return np.argmax(np.column_stack(each), axis=1)

    def earned(self, codes: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return what each row is worth by its action and by the code of the label it has."""
        return self.worth[codes, target]
