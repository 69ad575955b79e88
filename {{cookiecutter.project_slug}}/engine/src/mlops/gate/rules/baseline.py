"""What any model must beat: models that take a minute to think of."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...config.settings import Model, Training
from ...contract import Task
from ...data import prepared
from ...metrics.bootstrap import estimate
from ...runtime.model import estimator
from ..case import Case
from ..resampling import By, bounded, figures, level, signs
from ..rule import Finding, Rule

Baseline = Literal["dummy", "linear"]


class BetterThanBaseline(Rule, frozen=True, kw_only=True):
    """The candidate beats simple models, fitted now on its training rows, by more than a margin.

    `dummy` predicts class shares or the mean; `linear` is a logistic or ridge regression. What
    they are is written here and not read from conf/, where a branch could weaken them. More
    than `rows` training rows are thinned out.
    """

    source: ClassVar[str] = (
        'Breck et al., "The ML test score", IEEE Big Data 2017, test Model 5: a simpler model is '
        "not better"
    )

    metric: str
    margin: float
    baselines: list[Baseline]
    rows: int
    by: By

    def __post_init__(self) -> None:
        if not math.isfinite(self.margin) or self.margin < 0:
            raise ValueError("`margin` is a finite number of 0 or more")
        if not self.baselines or self.rows < 1:
            raise ValueError("`baselines` names at least one, and `rows` is 1 or more")

    def judge(self, case: Case) -> list[Finding]:
        """Score the baselines on the holdout, under the candidate's draws."""
        models = [case.candidate.predictions, *self._predictions(case)]
        values, drawn = figures(case, [self.metric], models)
        sign = float(signs([self.metric]).item())
        found = []
        for at, name in enumerate(self.baselines, start=1):
            gained = float(sign * (values[0] - values[at]).item())
            paired = estimate(gained, sign * (drawn[:, 0] - drawn[:, at]).ravel(), level(case))
            said = (
                f"{self.metric} {values[0].item():.4g} against {values[at].item():.4g} of the "
                f"{name} baseline: what it gains"
            )
            found.append(bounded(paired, self.margin, said, name, by=self.by, strictly=True))
        return found

    def _predictions(self, case: Case) -> list[NDArray[np.float64]]:
        contract = case.settings.data
        target = prepared.target(case.train_columns, contract)
        chosen: Any = slice(None)
        if len(target) > self.rows:
            chosen = np.random.default_rng(case.seed).choice(len(target), self.rows, False)
        known = target[chosen]
        return [
            _shares(contract.task, known, len(contract.labels), len(case.target))
            if name == "dummy"
            else _linear(case, known, chosen)
            for name in self.baselines
        ]


def _shares(task: Task, target: NDArray[Any], classes: int, rows: int) -> NDArray[np.float64]:
    """Return the share of each class, or the mean, for every row: nothing has to be imported."""
    if task == "regression":
        return np.full(rows, float(np.mean(target)))
    shares = np.bincount(target, minlength=classes) / len(target)
    return np.full(rows, shares[1]) if task == "binary" else np.tile(shares, (rows, 1))


def _linear(case: Case, target: NDArray[Any], chosen: Any) -> NDArray[np.float64]:
    from threadpoolctl import threadpool_limits

    from ...training import estimators
    from ...training.layout import Layout

    task, encoder = case.settings.data.task, case.candidate.bundle.encoder
    matrix = encoder.matrix({name: case.train_columns[name][chosen] for name in encoder.inputs})
    with threadpool_limits(1):
        columns = Layout(encoder.names, encoder.categorical, encoder.features)
        unfitted: Any = estimators.build(
            _model(task), Training(), task, columns, case.settings.seed
        )
        return estimator(unfitted.fit(matrix, target), task)(case.matrix)


def _model(task: Task) -> Model:
    """Return the linear model for a task."""
    if task == "regression":
        return Model("sklearn.linear_model.Ridge", "onehot", [task], {"alpha": 1.0})
    parameters = {"C": 1.0, "max_iter": 1000}
    return Model("sklearn.linear_model.LogisticRegression", "onehot", [task], parameters)
