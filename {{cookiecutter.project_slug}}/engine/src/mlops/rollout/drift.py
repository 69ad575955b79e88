"""Whether two models answer otherwise by more than they may, asked while answers come."""

import math
from typing import NamedTuple

import numpy as np

Array = np.ndarray
LEAST, MOST, BETS = 1 / 64, 0.95, 16  # parts of what may be staked at once without ruin


class Apart(NamedTuple):
    """The means of both models in one output, each weighted by how rarely it was drawn."""

    output: int
    champion: float
    challenger: float
    units: int


class Drift:
    """An e-process of the difference of two models' means, against the most that it may be.

    Of each unit there are `outputs` numbers from 0 to 1, by one of two models that was drawn, or by
    both. As long as no difference of the means is above `margin`, whatever comes to both alike by
    the hour and however the share of one changes, `evidence` ever reaches 1/alpha with a chance of
    at most alpha: a mixture of bets of a unit's weighted difference is a supermartingale (Waudby-
    Smith and Ramdas, Estimating means of bounded random variables by betting, Journal of the Royal
    Statistical Society B 86, 2024; the weights are those of Horvitz and Thompson, Journal of the
    American Statistical Association 47, 1952, around the mean so far).
    """

    def __init__(self, margin: float, outputs: int) -> None:
        if not 0 < margin < 1:
            raise ValueError(f"a margin of {margin:g} lies not between 0 and 1")
        self._margin = margin
        self._stakes = np.geomspace(LEAST, MOST, BETS)
        self._wealth = np.zeros((2, outputs, BETS))  # logarithms; of more, and of less
        self._sum = np.zeros(outputs)
        self._weights, self._weighted = np.zeros(2), np.zeros((2, outputs))
        self.units = 0

    def add(self, values: Array, challenger: Array, share: Array) -> None:
        """Count units that one model answered each: `values` is (units, outputs).

        `challenger` says whether that one was the challenger, `share` with which probability it was
        to be. To be looked at after a whole call alone: which arm came first in it means nothing.
        """
        level = (self._sum + 0.5) / (self.units + 1)  # known before these, so that it is fair
        weight = 1 / np.where(challenger, share, 1 - share)
        sign = np.where(challenger, 1.0, -1.0)
        reach = np.maximum(level, 1 - level) / np.minimum(share, 1 - share)[:, None]
        self._bet((sign * weight)[:, None] * (values - level), reach)
        self._sum += values.sum(axis=0)
        for side in (0, 1):
            of = challenger == bool(side)
            self._weights[side] += weight[of].sum()
            self._weighted[side] += weight[of] @ values[of]

    def add_both(self, champion: Array, challenger: Array) -> None:
        """Count units that both models answered, each (units, outputs)."""
        self._bet(challenger - champion, np.ones_like(champion))
        self._weights += len(champion)
        self._weighted += np.array([champion.sum(axis=0), challenger.sum(axis=0)])

    @property
    def evidence(self) -> float:
        """The natural logarithm of the evidence that some mean is further apart than it may be."""
        most = float(self._wealth.max())
        return most + math.log(float(np.exp(self._wealth - most).mean()))

    def is_beyond(self, alpha: float) -> bool:
        """Say whether the models answer too differently."""
        return self.evidence >= -math.log(alpha)

    @property
    def apart(self) -> Apart:
        """Where there is most evidence, and what the means are there."""
        output = int(self._wealth.max(axis=(0, 2)).argmax())
        means = self._weighted[:, output] / np.maximum(self._weights, 1.0)
        return Apart(output, float(means[0]), float(means[1]), self.units)

    def _bet(self, differences: Array, reach: Array) -> None:
        """Stake on differences of at most `reach`, each of (units, outputs)."""
        stakes = self._stakes / (reach + self._margin)[:, :, None]
        for side, sign in enumerate((1, -1)):
            excess = (sign * differences - self._margin)[:, :, None]
            self._wealth[side] += np.log1p(stakes * excess).sum(axis=0)
        self.units += len(differences)
