"""Which difference rows can tell: what a margin has to be for an equally good model to pass."""

import math
from statistics import NormalDist

POWER = 0.8  # of equally good models that pass at the margin that is proposed
NORMAL = NormalDist()


def detectable(error: float, inside: float, power: float = POWER) -> float:
    """Return the smallest margin at which an equally good model passes with this probability.

    `error` is the standard error of the difference, `inside` the share of draws inside the interval
    whose lower end is judged. Julious, "Sample sizes for clinical trials with normal data",
    Statistics in Medicine 23, 2004.
    """
    return (NORMAL.inv_cdf((1 + inside) / 2) + NORMAL.inv_cdf(power)) * error


def passing(error: float, inside: float, margin: float) -> float:
    """Return how probably an equally good model passes at a margin."""
    if error <= 0:
        return 1.0
    return NORMAL.cdf(margin / error - NORMAL.inv_cdf((1 + inside) / 2))


def upwards(value: float) -> float:
    """Return a figure of two digits, none smaller."""
    if not 0 < value < math.inf:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.2g}")


def said(error: float, inside: float, margin: float, rows: int) -> str:
    """Say what rows can tell at a margin, and what would let an equally good model pass."""
    if not math.isfinite(error) or error <= 0:
        return ""
    least = upwards(detectable(error, inside))
    if least <= margin:
        return f"these rows tell a loss of {least:g}"
    rows_needed = math.ceil(rows * (detectable(error, inside) / margin) ** 2) if margin else None
    enough = f", or {upwards(rows_needed):,.0f} holdout rows" if rows_needed else ""
    return (
        f"these rows cannot tell so small a loss: an equally good model that errs elsewhere passes "
        f"in {passing(error, inside, margin):.0%} of cases; a margin of {least:g}{enough}, would "
        f"let it pass in {POWER:.0%}"
    )
