from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.gate.resampling import ResamplingError, bounded, draws, figures, level, signs
from mlops.metrics.arrays import mean
from mlops.metrics.bootstrap import Estimate
from mlops.metrics.catalogue import MetricError, compute

ESTIMATE = Estimate(0.5, 0.4, 0.6)


def test_figures_are_those_of_the_catalogue_for_every_model_and_part(workshop: Any) -> None:
    case = workshop.case()
    other = 1 - case.candidate.predictions
    parts = [np.arange(500), np.arange(400, 1500)[::-1]]
    names = ["roc_auc", "log_loss"]
    values, drawn = figures(case, names, [case.candidate.predictions, other], parts)
    for at, model in enumerate((case.candidate.predictions, other)):
        for place, part in enumerate(parts):
            wanted = compute("binary", names, case.target[part], model[part])
            assert values[at, place] == pytest.approx([wanted[name] for name in names])
    assert drawn.shape == (200, 2, 2, 2)
    assert drawn.mean(axis=0) == pytest.approx(values, abs=0.01)


def test_models_are_measured_under_the_same_draws(workshop: Any) -> None:
    case = workshop.case()
    mine = case.candidate.predictions
    _, drawn = figures(case, ["roc_auc"], [mine, mine.copy()])
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert drawn[:, 0].std() > 0.001


def test_groups_are_drawn_whole_whatever_the_order(workshop: Any) -> None:
    together = workshop.case(declare={"household": {"role": "group"}})
    alone = together.columns | {"household": np.arange(1500)}
    case = replace(together, columns=alone)
    same = np.repeat(np.random.default_rng(1).normal(size=375), 4)
    order = np.random.default_rng(2).permutation(1500)

    def spread(which: Any, rows: np.ndarray, order: np.ndarray | None) -> float:
        return float(draws(which, lambda w: mean(w, rows)[:, None], order).std())

    assert spread(together, same, None) > 1.6 * spread(case, same, None)
    assert spread(together, same[order], order) == pytest.approx(spread(together, same, None))


def test_models_that_skip_rows_are_refused(workshop: Any) -> None:
    case = workshop.case()
    for rows in (case.candidate.predictions[:-1], np.append(case.candidate.predictions, 0.5)):
        with pytest.raises(ResamplingError, match="every holdout row"):
            figures(case, ["roc_auc"], [rows])
    for model in (np.full(1500, np.nan), np.full(1500, 2.0)):
        with pytest.raises(MetricError):
            figures(case, ["roc_auc"], [model])
    with pytest.raises(MetricError, match="no metric 'rmse'"):
        figures(case, ["rmse"], [case.candidate.predictions])


def test_one_sided_intervals_have_the_whole_error_in_one_tail(workshop: Any) -> None:
    case = workshop.case()
    assert level(case) == 0.95
    assert level(case, "one") == pytest.approx(0.9)


@pytest.mark.parametrize(
    "changes", [{"confidence": 0.5}, {"confidence": 1.0}, {"resamples": 99}, {"resamples": 0}]
)
def test_intervals_that_no_draws_carry_are_refused(workshop: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ResamplingError, match="give"):
        level(workshop.case(**changes))


def test_signs_turn_every_metric_into_more_is_better() -> None:
    assert signs(["roc_auc", "log_loss", "rmse", "r2"]).tolist() == [1, -1, -1, 1]


@pytest.mark.parametrize(
    ("threshold", "options", "verdict"),
    [
        (0.4, {}, "passed"),
        (0.4, {"strictly": True}, "rejected"),
        (0.39, {"strictly": True}, "passed"),
        (0.41, {}, "rejected"),
        (0.5, {"by": "value"}, "passed"),
        (0.51, {"by": "value"}, "rejected"),
        (0.6, {"at_least": False}, "passed"),
        (0.59, {"at_least": False}, "rejected"),
        (0.5, {"at_least": False, "by": "value"}, "passed"),
        (0.49, {"at_least": False, "by": "value"}, "rejected"),
    ],
)
def test_limits(threshold: float, options: dict[str, Any], verdict: str) -> None:
    found = bounded(ESTIMATE, threshold, "it", "here", **options)
    assert (found.verdict, found.part, found.threshold) == (verdict, "here", threshold)
    assert (found.value, found.low, found.high) == ESTIMATE[:3]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_passes_that_is_not_finite(place: int, value: float) -> None:
    numbers = [0.5, 0.4, 0.6, 0.0]
    numbers[place] = value
    found = bounded(Estimate(*numbers[:3]), numbers[3], "it", by="value")
    assert found.verdict == "rejected"
    assert [found.value, found.low, found.high, found.threshold][place] is None


def test_what_has_no_interval_is_told_in_words() -> None:
    few = bounded(Estimate(0.9, np.nan, np.nan), 0.6, "roc_auc", by="value")
    assert few.reason == (
        "roc_auc is 0.9, but has no interval: too few rows of some class, or too few units, to "
        "draw them again; add rows to data/raw, or hold out more"
    )
    none = bounded(Estimate(np.nan, np.nan, np.nan), 0.6, "roc_auc")
    assert none.reason == "roc_auc cannot be computed on these rows"
