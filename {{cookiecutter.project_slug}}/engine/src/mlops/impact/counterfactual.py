"""What another policy would have earned on what was logged, by the probabilities of its actions."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from ..rollout.declaration import ExperimentError
from .assigned import Logged

FOLDS = 5
ENOUGH = 50.0  # effective rows and units, below which nothing is said
APART = 4.0  # standard errors that the mean weight may be from 1
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
    units than it is used for. Intervals are by unit: rows of one are not independent; Student's t
    has as many degrees of freedom as there are effective rows. Raises ExperimentError where the log
    cannot tell.
    """
    units = int(logged.unit.max()) + 1
    agrees = logged.action == wanted
    weight = np.where(agrees, 1 / logged.propensity, 0.0)
    total = weight.sum()
    effective = float(total**2 / np.square(weight).sum()) if total else 0.0
    acting = len(np.unique(logged.unit[agrees]))
    _check(logged, wanted, agrees, min(effective, float(acting)))
    freedom = min(effective, float(acting)) - 1
    weighed = _mean(weight, logged.unit, units, freedom)
    error = (weighed.high - weighed.value) / stdtrit(freedom, (1 + CONFIDENCE) / 2)
    if abs(weighed.value - 1) > APART * error + 1e-9:
        raise ExperimentError(
            f"the log does not support this policy: its rows weigh {weighed.value:.3f} in the mean "
            "where 1 is due, so that some of what it does was never drawn, or not with the "
            "probability that is logged: draw each action that it takes with some share of all "
            "units (engine/docs/value.md)"
        )
    net = logged.net
    snips = float((weight * net).sum() / total)
    spread = _mean(weight * (net - snips) / weight.mean(), logged.unit, units, freedom)
    here, there = _rewards(logged, wanted)
    robust = there + weight * (net - here)
    return Counterfactual(
        len(net),
        units,
        effective,
        float(agrees.mean()),
        weighed,
        Found(snips, *(snips + one - spread.value for one in (spread.low, spread.high))),
        _mean(robust, logged.unit, units, freedom),
        _mean(net, logged.unit, units, units - 1),
        _mean(robust - net, logged.unit, units, freedom),
    )


def report(found: Counterfactual) -> dict[str, Any]:
    """Return the figures as plain data."""
    return {
        name: _rounded(one)
        if not isinstance(one, tuple)
        else {key: _rounded(number) for key, number in zip(Found._fields, one, strict=True)}
        for name, one in zip(found._fields, found, strict=True)
    }


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


def _mean(each: np.ndarray, unit: np.ndarray, units: int, freedom: float) -> Found:
    """Return the mean of rows with its interval, by the spread of the units' sums."""
    mean = float(each.mean())
    sums = np.bincount(unit, each - mean, units)
    error = np.sqrt(np.square(sums).sum() * units / max(1, units - 1)) / len(each)
    half = float(stdtrit(max(1.0, freedom), (1 + CONFIDENCE) / 2) * error)
    return Found(mean, mean - half, mean + half)


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
