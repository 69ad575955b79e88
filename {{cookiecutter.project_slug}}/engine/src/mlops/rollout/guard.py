"""Whether a rate is above its limit, asked after every request, with one chance to be wrong."""

import math

import numpy as np

HIGHEST = 0.99
POINTS = 100
# How many times its limit a rate is that has to be found soon; others are found as well.
TIMES = (2.0, 10.0)


class Guard:
    """An e-process of failures among requests, against a limit of their rate.

    At or below the limit, `evidence` ever reaches 1/alpha with a chance of at most alpha, however
    often one looks: a mixture of likelihood ratios of rates above the limit is a martingale at it
    and falls below it (Ville, Étude critique de la notion de collectif, 1939; Wald, Sequential
    Analysis, 1947).
    """

    def __init__(self, limit: float) -> None:
        if not 0 < limit < 0.5:
            raise ValueError(f"a limit of {limit:g} is no rate between 0 and 0.5")
        rates = np.minimum(np.geomspace(limit * TIMES[0], limit * TIMES[1], POINTS), HIGHEST)
        self._of_failure = np.log(rates / limit)
        self._of_success = np.log1p(-rates) - math.log1p(-limit)
        self._start = -math.log(POINTS)

    def evidence(self, failures: int, requests: int) -> float:
        """Return the natural logarithm of the evidence that the rate is above its limit."""
        each = self._start + failures * self._of_failure + (requests - failures) * self._of_success
        most = float(each.max())
        return most + math.log(float(np.exp(each - most).sum()))

    def is_above(self, failures: int, requests: int, alpha: float) -> bool:
        """Say whether so many failures are too many."""
        return self.evidence(failures, requests) >= -math.log(alpha)
