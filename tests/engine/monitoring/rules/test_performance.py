"""A loss beyond its margin is an alert; too few outcomes, or none, are not judged."""

import math
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats
from windows import AT, KIND, case, world

from mlops.bundle.losses import Outcomes
from mlops.monitoring.case import Case
from mlops.monitoring.judge import ruling
from mlops.monitoring.policy import Policy
from mlops.monitoring.rule import Rule
from mlops.monitoring.rules.performance import (
    Calibration,
    EstimatedPerformance,
    Performance,
    expected,
    mean,
    sequence,
    since,
)
from mlops.monitoring.statistics import ever, half_width

LOSS = Performance(loss="log_loss", margin=0.1, min_rows=200)
CALIBRATED = Calibration(least=0.03)
ESTIMATED = EstimatedPerformance(margin=0.1)


def found(rule: Rule, of: Case) -> dict[tuple[str, str], dict[str, Any]]:
    (entry,) = ruling(Policy(of.settings, {"it": rule}), of)
    return {(one["verdict"], one["part"]): one for one in entry["findings"]}


def test_outcomes_as_on_the_holdout_are_quiet() -> None:
    every = found(LOSS, case())
    parts = {"", "kind=flat", "kind=house", "kind=villa"}
    assert set(every) == {("quiet", part) for part in parts}


def test_a_loss_beyond_its_margin_is_an_alert_with_its_figures() -> None:
    of = case(since=28, wrong=0.3)
    one = found(LOSS, of)["alert", ""]
    reference = mean(of.reference.outcomes, "", "log_loss")
    assert reference is not None
    assert one["threshold"] == pytest.approx(reference.value * 1.1)
    assert one["value"] > one["threshold"]
    assert one["low"] < one["value"] < one["high"]
    assert one["window"] == "outcomes"
    assert "on the holdout" in one["reason"]


def test_the_chance_of_a_start_is_that_of_the_sequence() -> None:
    """One day alone has one start: nothing is corrected but for the four groups (Holm)."""
    of = case(since=1, days=1, rows=3000, wrong=0.12)
    group = Performance(loss="brier", margin=0.1, min_rows=200)
    (one,) = [finding for finding in group.judge(of) if not finding.part]
    now, was = (mean(x, "", "brier") for x in (of.mature[str(AT)], of.reference.outcomes))
    assert now is not None
    assert was is not None
    variance = now.variance + now.rows * 1.1**2 * was.variance / was.rows
    chance = ever(now.rows, now.value - 1.1 * was.value, variance, was.rows, 0.005)
    assert one.p == pytest.approx(chance)


def test_a_slice_that_is_worse_is_found_when_it_has_enough_outcomes() -> None:
    def wrong(values: np.ndarray, _: np.random.Generator) -> None:
        values[values[:, KIND] == 2, 0] *= 3  # answers are surer there, and no truer

    every = found(LOSS, case(wrong, since=28, rows=400))
    assert ("quiet", "kind=flat") in every
    few = found(Performance(loss="log_loss", margin=0.1, min_rows=3000), case(rows=400))
    assert ("quiet", "kind=flat") in few
    assert few["not judged", "kind=villa"]["reason"].startswith("the holdout has fewer than 3000")


def test_a_group_without_mature_outcomes_is_not_judged_by_its_name() -> None:
    def none(values: np.ndarray, _: np.random.Generator) -> None:
        values[values[:, KIND] == 2, KIND] = 0

    every = found(LOSS, case(none, since=28))
    assert every["not judged", "kind=villa"]["reason"] == "fewer than 200 outcomes are mature"


def test_outcomes_that_are_not_mature_are_not_judged() -> None:
    of = case(since=28, wrong=0.3, maturity_days=30)
    (one,) = found(LOSS, of).values()
    assert one["verdict"] == "not judged"
    assert one["reason"] == "no outcome is known of answers that are 30 days old"
    assert ("alert", "") in found(LOSS, case(since=28, wrong=0.3, maturity_days=7))


def test_days_of_which_nothing_was_heard_are_not_judged() -> None:
    of = case()
    days = {
        day: msgspec.structs.replace(about, outcomes=Outcomes()) for day, about in of.days.items()
    }
    (one,) = found(LOSS, msgspec.structs.replace(of, days=days)).values()
    assert one["reason"] == "no outcome is known of answers that are 0 days old"


def test_a_loss_that_the_holdout_has_not_is_told_with_those_that_it_has() -> None:
    (one,) = found(Performance(loss="squared_error", margin=0.1, min_rows=200), case()).values()
    assert one["verdict"] == "not judged"
    assert one["reason"] == "the holdout has no squared_error: choose from log_loss, brier, error"


def test_means_from_each_week_on() -> None:
    mature = case().mature
    found = dict(since(mature, "", "brier"))
    starts = [AT - timedelta(days=days) for days in (27, 20, 13, 6)]
    assert list(found) == starts
    last = [mature[(AT - timedelta(days=back)).isoformat()] for back in range(7)]
    rows = sum(day.losses[""]["brier"][0] for day in last)
    value = sum(day.losses[""]["brier"][1] for day in last) / rows
    assert (found[starts[-1]].rows, found[starts[-1]].value) == (2800, pytest.approx(value))


def test_the_sequence_narrows_around_the_cumulative_mean() -> None:
    of = case()
    every = list(sequence(of, "", "log_loss", 0.005))
    assert len(every) == 28
    halves = [half for _, _, half in every]
    assert halves == sorted(halves, reverse=True)
    _, last, half = every[-1]
    planned = of.reference.outcomes.losses[""]["log_loss"][0]
    assert half == pytest.approx(half_width(11_200, last.variance, planned, 0.005))


def test_a_mean_has_the_variance_of_its_rows() -> None:
    values = np.random.default_rng(0).random(50)
    known = Outcomes({"": {"x": (50, values.sum(), (values**2).sum())}})
    found = mean(known, "", "x")
    assert found is not None
    assert found.value == pytest.approx(values.mean())
    assert found.variance == pytest.approx(values.var(ddof=1))
    assert mean(known, "", "y") is mean(known, "z", "x") is None


def told(rows: int, said: float, came: int) -> Case:
    """A case of one day of whose rows so many came true."""
    of = case(days=1)
    cells = [(0, 0.0, 0.0)] * world().layout.outputs[0].size
    cells[1] = (rows, said * rows, float(came))
    day = msgspec.structs.replace(of.days[str(AT)], outcomes=Outcomes({}, [cells]))
    return msgspec.structs.replace(of, days={str(AT): day})


def test_answers_that_are_too_high_are_noted() -> None:
    one = found(CALIBRATED, told(4000, 0.5, 1760))["note", ""]
    assert one["value"] == pytest.approx(-0.06)
    spread = math.sqrt(0.47 * 0.53 / 4000)  # where all but 0.03 of it were chance
    assert one["p"] == pytest.approx(stats.norm.sf(0.03 / spread))
    assert one["reason"] == "44.0% came true and 50.0% was predicted"


def test_a_rare_label_of_which_none_came_yet_is_no_miscalibration() -> None:
    """With 4 % predicted, none of 100 rows comes true once in sixty times."""
    assert ("quiet", "") in found(CALIBRATED, told(100, 0.04, 0))
    assert ("note", "") in found(CALIBRATED, told(4000, 0.04, 0))


def test_calibration_of_few_outcomes_is_not_judged() -> None:
    assert ("not judged", "") in found(CALIBRATED, told(99, 0.5, 0))
    assert ("quiet", "") in found(CALIBRATED, case())


def test_an_estimate_is_the_log_loss_that_the_holdouts_rates_bring() -> None:
    """Of two cells: answers of 0.2 came true in 0.25, of 0.8 in 0.75."""
    known = world(0)
    size = known.layout.outputs[0].size
    cells = [(0, 0.0, 0.0)] * size
    cells[1], cells[2] = (100, 20.0, 25.0), (200, 160.0, 150.0)
    reference = msgspec.structs.replace(known.reference, outcomes=Outcomes({}, [cells]))
    of = case(of=known._replace(reference=reference))
    rates = (0.25, 0.2), (0.75, 0.8)
    low, high = (-(rate * math.log(p) + (1 - rate) * math.log(1 - p)) for rate, p in rates)
    counted = [0, 30, 10, *[0] * (size - 3)]
    assert expected(of, counted) == pytest.approx((30 * low + 10 * high) / 40)
    assert expected(of, [0] * size) is None


def test_an_estimate_rises_where_answers_get_less_sure_and_is_a_note_at_most() -> None:
    def unsure(values: np.ndarray, _: np.random.Generator) -> None:
        values[:, 0] /= 10

    one = found(ESTIMATED, case(unsure, since=7))["note", ""]
    assert one["value"] > one["threshold"]
    assert one["window"] == "week"
    assert ("quiet", "") in found(ESTIMATED, case())
    assert found(ESTIMATED, case(rows=10))["not judged", ""]["reason"] == (
        "the week has too few rows"
    )
