"""How much of a target columns tell, alone and together: the statistics behind leakage."""

from collections.abc import Mapping

import numpy as np

LEAST_ROWS = 20
LEAST_CLASS = 10  # rows of the smaller class, below which a perfect order is luck
LEAST_ERRORS = 5  # of a constant guess, below which avoiding them all is luck
SUPPORT = 5  # rows of a level before it may vote
BINS = 50
ROWS_A_BIN = 10


def levels(values: np.ndarray, ordered: bool) -> np.ndarray:
    """Return each row's level: its value, or the quantile of one of many; 0 where it is missing."""
    missing = np.isnan(values)
    present = values[~missing]
    different, found = np.unique(present, return_inverse=True)
    if ordered and len(different) > BINS:
        bins = max(2, min(BINS, len(present) // ROWS_A_BIN))
        edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1]))
        found = np.searchsorted(edges, present, side="right")
    coded = np.zeros(len(values), dtype=np.int64)
    coded[~missing] = found + 1
    return coded


def avoided(levels: np.ndarray, classes: np.ndarray) -> float:
    """Return the share of a constant guess's errors that the majority of the same level avoids.

    The row itself has no vote, and levels with too few rows guess the constant.
    """
    count = int(classes.max()) + 1
    table = np.bincount(levels * count + classes, minlength=(levels.max() + 1) * count)
    table = table.reshape(-1, count)
    totals = table.sum(axis=0)
    errors = len(levels) - totals.max()
    if errors < LEAST_ERRORS:
        return 0.0
    votes = table[levels]
    votes[np.arange(len(levels)), classes] -= 1
    supported = table.sum(axis=1)[levels] >= SUPPORT
    guess = np.where(supported, votes.argmax(axis=1), totals.argmax())
    return float(1 - (guess != classes).sum() / errors)


def auc(values: np.ndarray, classes: np.ndarray) -> float:
    """Return the area under the ROC curve, in the better direction; 0 with few values."""
    present = ~np.isnan(values)
    positive = classes[present] == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if present.mean() < 0.5 or min(ones, zeros) < LEAST_CLASS:
        return 0.0
    _, inverse, counts = np.unique(values[present], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    area = (ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return float(max(area, 1 - area))


def explained(levels: np.ndarray, target: np.ndarray) -> float:
    """Return R² of the mean of the other rows of the same level."""
    counts = np.bincount(levels)[levels]
    others = (np.bincount(levels, weights=target)[levels] - target) / np.maximum(counts - 1, 1)
    return r2(target - np.where(counts >= SUPPORT, others, target.mean()), target)


def linear(values: np.ndarray, target: np.ndarray) -> float:
    """Return R² of a straight line, 0 where few rows have a value."""
    present = ~np.isnan(values)
    if present.sum() < LEAST_ROWS or present.mean() < 0.5:
        return 0.0
    values, target = values[present], target[present]
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return 0.0
    return float(np.corrcoef(values, target)[0, 1] ** 2)


def least_squares(
    numbers: Mapping[str, np.ndarray], target: np.ndarray
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return R², the slopes, and the spread of each column in units of the target's.

    Rows with a missing value are left out; R² is 0 where too few remain for so many columns.
    """
    names = [name for name, values in numbers.items() if np.isnan(values).mean() < 0.5]
    if len(names) < 2:
        return 0.0, {}, {}
    table = np.column_stack([numbers[name] for name in names])
    complete = ~np.isnan(table).any(axis=1)
    if complete.sum() < max(LEAST_ROWS, 10 * len(names)) or np.ptp(target[complete]) == 0:
        return 0.0, {}, {}
    table, wanted = table[complete], target[complete]
    table, wanted = table - table.mean(axis=0), wanted - wanted.mean()
    spread = table.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    slopes = np.linalg.lstsq(table / scale, wanted, rcond=1e-10)[0] / scale
    fit = r2(wanted - table @ slopes, wanted)
    return (
        fit,
        dict(zip(names, slopes.tolist(), strict=True)),
        dict(zip(names, (spread / wanted.std()).tolist(), strict=True)),
    )


def r2(residuals: np.ndarray, target: np.ndarray) -> float:
    """Return the share of the target's variance that the residuals do not hold."""
    spread = float(((target - target.mean()) ** 2).sum())
    return 1 - float((residuals**2).sum()) / spread if spread > 0 else 0.0
