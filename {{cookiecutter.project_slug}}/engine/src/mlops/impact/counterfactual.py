"""What another policy would have earned on what was logged, by the probabilities of its actions."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ..rollout.declaration import ExperimentError
from .assigned import Logged

FOLDS = 5
ENOUGH = 50.0  # effective rows and units, below which nothing is said
APART = 5.0  # standard errors that the mean weight may be from 1: weights are skewed
PARTS = 10  # of the rows, by their probability, in each of which a policy has to be supported
RARE = 1e-4  # chance of nobody's having got an action that was drawn
RIDGE = 1e-3
FEW = 30  # rows of an action, below which only their mean is known
CONFIDENCE = 0.95


class Found(NamedTuple):
    """What a row brings, with its interval."""

    value: float
    low: float
    high: float


class Counterfactual(NamedTuple):
    """What a row would have brought under a policy, by two estimators, and what it did bring.

    `gain` is the doubly robust estimate less what was logged, of the same rows. `effective` is how
    many rows that were acted on as the policy does would tell as much; `agreed` their share.
    """

    rows: int
    units: int
    effective: float
    agreed: float
    weight: Found
    snips: Found
    doubly_robust: Found
    logged: Found
    gain: Found


def evaluated(logged: Logged, wanted: np.ndarray) -> Counterfactual:
    """Return what rows would have brought, had `wanted` (an action for each) been done.

    Self-normalised inverse propensity scores (Swaminathan and Joachims, NIPS 2015) and the doubly
    robust estimator (Dudik, Langford and Li, ICML 2011), whose model of rewards is fitted on other
    units than it is used for. Intervals are by unit, since rows of one are not independent. Raises
    ExperimentError where the log cannot tell.
    """
    units = int(logged.unit.max()) + 1
    agrees = logged.action == wanted
    weight = np.where(agrees, 1 / logged.propensity, 0.0)
    total = weight.sum()
    effective = float(total**2 / np.square(weight).sum()) if total else 0.0
    acting = len(np.unique(logged.unit[agrees]))
    _check(logged, wanted, agrees, min(effective, float(acting)))
    _check_everywhere(logged, wanted, agrees)
    weighed = _mean(weight, logged.unit, units)
    if abs(weighed.value - 1) > APART * _error(weight, 1.0, logged.unit, units) + 1e-9:
        raise ExperimentError(
            f"the log does not support this policy: its rows weigh {weighed.value:.3f} in the mean "
            "where 1 is due, so that some of what it does was never drawn, or not with the "
            "probability that is logged: draw each action that it takes with some share of all "
            "units (engine/docs/value.md)"
        )
    net = logged.net
    snips = float((weight * net).sum() / total)
    spread = _mean(weight * (net - snips) / weight.mean(), logged.unit, units)
    here, there = _rewards(logged, wanted)
    robust = there + weight * (net - here)
    return Counterfactual(
        len(net),
        units,
        effective,
        float(agrees.mean()),
        weighed,
        Found(snips, *(snips + one - spread.value for one in (spread.low, spread.high))),
        _mean(robust, logged.unit, units),
        _mean(net, logged.unit, units),
        _mean(robust - net, logged.unit, units),
    )


def report(found: Counterfactual) -> dict[str, Any]:
    """Return the figures as plain data."""

    def plain(one: Any) -> Any:
        if isinstance(one, Found):
            return {key: _rounded(number) for key, number in one._asdict().items()}
        return one if isinstance(one, int) else _rounded(one)

    return {name: plain(one) for name, one in found._asdict().items()}


def _check(logged: Logged, wanted: np.ndarray, agrees: np.ndarray, effective: float) -> None:
    never = sorted(set(np.unique(wanted.astype(str))) - set(np.unique(logged.action.astype(str))))
    if never:
        raise ExperimentError(
            f"the policy takes the action {never[0]}, which was never drawn: nothing is known of "
            "it; draw it with some share of all units first (engine/docs/value.md)"
        )
    if effective < ENOUGH:
        raise ExperimentError(
            f"only {int(agrees.sum()):,} rows were acted on as the policy does, which tell as much "
            f"as {effective:.0f} alike, and {ENOUGH:.0f} are the least: wait for more of the log, "
            "or draw what the policy does with a larger share"
        )


def _check_everywhere(logged: Logged, wanted: np.ndarray, agrees: np.ndarray) -> None:
    """Raise ExperimentError where an action was never drawn for rows of some probability."""
    p = logged.probability
    if not np.isfinite(p).all():
        return
    part = np.searchsorted(np.quantile(p, np.arange(1, PARTS) / PARTS), p)
    for action in np.unique(wanted.astype(str)):
        least = float(logged.propensity[logged.action == action].min())
        for at in range(PARTS):
            rows = (part == at) & (wanted == action)
            units = len(np.unique(logged.unit[rows]))
            if not agrees[rows].any() and (1 - least) ** units < RARE:
                raise ExperimentError(
                    f"the log does not support this policy: of {units:,} units with a probability "
                    f"from {p[rows].min():.3g} to {p[rows].max():.3g} nobody was given {action}: "
                    "draw it for all of them with some share (engine/docs/value.md)"
                )


def _mean(each: np.ndarray, unit: np.ndarray, units: int) -> Found:
    """Return the mean of rows with its interval, by the spread of the units' sums.

    Where a few units carry most of it, that spread is itself known by so few alone: Student's t has
    as many degrees of freedom as equal squares would add up to the same.
    """
    mean = float(each.mean())
    squares = np.square(np.bincount(unit, each - mean, units))
    error = _error(each, mean, unit, units)
    alike = float(squares.sum() ** 2 / max(np.square(squares).sum(), 1e-300))
    half = float(stdtrit(max(1.0, alike), (1 + CONFIDENCE) / 2) * error)
    return Found(mean, mean - half, mean + half)


def _error(each: np.ndarray, mean: float, unit: np.ndarray, units: int) -> float:
    """Return the standard error of a mean of rows, of which those of a unit depend on another."""
    squares = np.square(np.bincount(unit, each - mean, units))
    return float(np.sqrt(squares.sum() * units / max(1, units - 1)) / len(each))


def _rewards(logged: Logged, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a row is expected to bring by what was done, and by what the policy does."""
    fold = np.random.default_rng(0).permutation(int(logged.unit.max()) + 1)[logged.unit] % FOLDS
    basis = _basis(logged.probability)
    here, there, net = np.zeros(len(fold)), np.zeros(len(fold)), logged.net
    for test in range(FOLDS):
        inside, outside = fold == test, fold != test
        for action in np.unique(logged.action):
            chosen = outside & (logged.action == action)
            expected = _fitted(basis[chosen], net[chosen])
            for out, done in ((here, logged.action), (there, wanted)):
                rows = inside & (done == action)
                out[rows] = basis[rows] @ expected
    return here, there


def _basis(probability: np.ndarray) -> np.ndarray:
    """Return what rewards are fitted on: 1, and powers of the probability where there is one."""
    if not np.isfinite(probability).all():
        return np.ones((len(probability), 1))
    return np.column_stack([probability**power for power in range(3)])


def _fitted(basis: np.ndarray, net: np.ndarray) -> np.ndarray:
    """Return the coefficients of a ridge regression; of few rows, their mean alone."""
    if len(net) < FEW:
        mean = float(net.mean()) if len(net) else 0.0
        return np.append(mean, np.zeros(basis.shape[1] - 1))
    penalty = RIDGE * len(net) * np.diag(np.append(0.0, np.ones(basis.shape[1] - 1)))
    return np.asarray(np.linalg.lstsq(basis.T @ basis + penalty, basis.T @ net, rcond=None)[0])


def _rounded(number: float) -> float:
    return float(f"{float(number):.6g}")
