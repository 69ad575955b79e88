"""What moves further than matters is noted with its part, window and effect; seasons are not."""

from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats
from windows import AT, KIND, NUMBER, RARE, Change, World, case, world

from mlops.monitoring.case import Case, dependence
from mlops.monitoring.judge import ruling
from mlops.monitoring.policy import Policy
from mlops.monitoring.rule import Rule
from mlops.monitoring.rules.drift import (
    AttributionDrift,
    FeatureDrift,
    PredictionDrift,
    SliceDrift,
)
from mlops.monitoring.statistics import share

FEATURES = FeatureDrift(least=0.02, label=0.01)
SLICES = SliceDrift(least=0.04, label=0.04)
ANSWERS = PredictionDrift(least=0.03)
RELIANCE = AttributionDrift(least=0.05)
ALL: list[Rule] = [FEATURES, SLICES, ANSWERS, RELIANCE]


def moved(by: float, where: Any = None) -> Change:
    def change(values: np.ndarray, _: np.random.Generator) -> None:
        rows = slice(None) if where is None else values[:, KIND] == where
        values[rows, NUMBER] += by

    return change


def relabelled(values: np.ndarray, random: np.random.Generator) -> None:
    """A tenth of the rows changes from the first kind to the second."""
    rows = (values[:, KIND] == 0) & (random.random(len(values)) < 0.2)
    values[rows, KIND] = 1


def found(rule: Rule, of: Case) -> dict[tuple[str, str, str], dict[str, Any]]:
    (entry,) = ruling(Policy(of.settings, {"it": rule}), of)
    return {(one["verdict"], one["part"], one["window"]): one for one in entry["findings"]}


def notes(rule: Rule, of: Case) -> dict[tuple[str, str], dict[str, Any]]:
    every = found(rule, of)
    assert not any(verdict == "alert" for verdict, _, _ in every)
    return {key[1:]: one for key, one in every.items() if key[0] == "note"}


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.named())
def test_weeks_as_before_are_quiet_and_few_rows_are_not_judged(rule: Rule) -> None:
    assert not notes(rule, case())
    (few,) = found(rule, case(rows=3)).values()
    assert few["verdict"] == "not judged"
    assert few["reason"] == "a window has fewer than 100 rows, of subjects once each"
    (young,) = found(rule, case(days=5)).values()
    assert young["reason"] == "the bundle has answered for less than a week"


def test_a_number_that_moves_is_noted_with_the_effect_that_a_normal_has() -> None:
    of = case(moved(0.5), since=7)
    effect = stats.norm.cdf(0.5 / np.sqrt(2)) - 0.5
    told = notes(FEATURES, of)
    assert {part for part, _ in told} == {"size"}
    assert told["size", "week"]["value"] == pytest.approx(effect, abs=0.015)
    longer = [one for key, one in found(FEATURES, of).items() if key[1:] == ("size", "four weeks")]
    assert longer[0]["value"] == pytest.approx(effect / 4, abs=0.015)
    assert told["size", "week"]["threshold"] == 0.02
    assert told["size", "week"]["reason"].startswith("values are higher, with a median of ")


def test_a_label_whose_share_moves_is_noted_with_both_shares() -> None:
    told = notes(FEATURES, case(relabelled, since=7))["kind", "week"]
    assert abs(told["value"]) == pytest.approx(0.1, abs=0.02)
    assert "%" in told["reason"]
    assert told["threshold"] == 0.01


def test_what_moves_less_than_the_least_is_quiet() -> None:
    assert not notes(FeatureDrift(least=0.2, label=0.2), case(moved(0.5), since=28))


def test_a_feature_of_few_values_is_not_judged_and_the_others_are() -> None:
    def gone(values: np.ndarray, _: np.random.Generator) -> None:
        values[:, RARE], values[:, KIND] = np.nan, np.nan

    every = found(FEATURES, case(gone, since=28))
    for window in ("week", "four weeks"):
        assert every["not judged", "rare", window]["reason"].startswith("0 values in the")
        assert ("not judged", "kind", window) in every
        assert ("quiet", "size", window) in every


def test_a_category_of_undeclared_labels_alone_fails_no_rule() -> None:
    def undeclared(values: np.ndarray, _: np.random.Generator) -> None:
        values[:, KIND] = 3

    for rule in ALL:
        reasons = [one["reason"] for one in found(rule, case(undeclared, since=28)).values()]
        assert not any("failed" in reason for reason in reasons)
    assert ("not judged", "kind", "week") in found(FEATURES, case(undeclared, since=28))


def seasonal() -> World:
    """A bundle whose rows of August lie a deviation higher than the others."""
    known = world()
    first, periods = AT - timedelta(days=364), []
    cells = known.layout.features[NUMBER]
    for week in range(52):
        start = first + timedelta(days=7 * (week - 26))
        high = abs((start - first).days) <= 21
        values = np.random.default_rng(week).standard_normal(400) + high
        counted = np.bincount(cells.of(values.astype(np.float32)), minlength=cells.size)
        rest = known.reference.periods[week % 26]
        ends = start.isoformat(), (start + timedelta(days=7)).isoformat()
        features = [*counted.tolist(), *rest.features[cells.size :]]
        periods.append(msgspec.structs.replace(rest, start=ends[0], end=ends[1], features=features))
    seen = np.sum([period.features for period in periods], axis=0).tolist()
    whole = msgspec.structs.replace(known.reference.seen, features=seen)
    reference = msgspec.structs.replace(known.reference, seen=whole, periods=periods)
    return known._replace(reference=reference)


def test_a_season_is_compared_with_the_same_one_of_the_year_before() -> None:
    known = seasonal()
    assert not notes(FEATURES, case(moved(1), since=28, of=known))
    told = notes(FEATURES, case(moved(0), since=28, of=known))["size", "week"]
    assert told["reason"].startswith("values are lower, with a median of ")
    assert "(against 2025-07-" in told["reason"]
    without = case(moved(0), since=28, of=known, season_rows=10**6)
    assert "against" not in found(FEATURES, without)["quiet", "size", "week"]["reason"]


def test_what_varies_from_week_to_week_is_no_drift() -> None:
    """The reference's own weeks vary by a quarter deviation; so may this one."""
    known, periods = world(), []
    cells = known.layout.features[NUMBER]
    for week, rest in enumerate(known.reference.periods):
        random = np.random.default_rng(week)
        values = random.standard_normal(400) + 0.25 * random.standard_normal()
        counted = np.bincount(cells.of(values.astype(np.float32)), minlength=cells.size)
        features = [*counted.tolist(), *rest.features[cells.size :]]
        periods.append(msgspec.structs.replace(rest, features=features))
    reference = msgspec.structs.replace(known.reference, periods=periods)
    of = {"of": known._replace(reference=reference), "season_rows": 10**6}
    assert ("size", "week") in notes(FEATURES, case(moved(0.3), since=7))
    assert ("size", "week") not in notes(FEATURES, case(moved(0.3), since=7, **of))
    assert ("size", "week") in notes(FEATURES, case(moved(2.0), since=7, **of))


def test_a_slice_that_moves_alone_is_noted_and_what_moves_everywhere_is_not() -> None:
    told = notes(SLICES, case(moved(1.0, where=2), since=7))
    assert ("size in kind=villa", "week") in told
    assert all("villa" in part for part, _ in told)
    assert not notes(SLICES, case(moved(1.0), since=7))


def summer(values: np.ndarray, random: np.random.Generator) -> None:
    """Most rows are of a villa, and everything is larger."""
    values[random.random(len(values)) < 0.7, KIND] = 2
    values[:, NUMBER] += 1.0


def test_a_label_that_is_common_in_one_season_is_compared_with_that_season() -> None:
    """Villas are of the summer, when all is larger: in winter they are smaller by no more."""
    seasons = world(season=summer)
    assert not notes(SLICES, case(days=28, of=seasons))
    assert not notes(SLICES, case(summer, since=28, of=seasons))
    told = notes(SLICES, case(moved(1.0, where=2), since=7, of=seasons))
    assert ("size in kind=villa", "week") in told
    # Without periods, nobody can know what a season was.
    unknown = seasons._replace(reference=msgspec.structs.replace(seasons.reference, periods=[]))
    assert notes(SLICES, case(days=28, of=unknown))


def test_what_comes_again_now_came_again_before() -> None:
    of = case()
    window = of.windows["week"]
    assert of.weight_before(window) == window.weight == 1.0
    assert of.weight_before(window._replace(weight=0.1)) == 0.1
    had, has = np.array([500.0, 500.0]), np.array([560.0, 440.0])
    alone = share(had, 1000, has, 1000, 0.02)
    repeated = share(had, 1000, has, 1000, 0.02, before=0.1)
    assert float(repeated.p[0]) > float(alone.p[0])
    errors = [np.sqrt(0.25 * (1 / n + 1 / 1000)) for n in (1000, 100)]
    assert [float(one.error[0]) for one in (alone, repeated)] == pytest.approx(errors, rel=0.01)


def test_slices_that_are_too_small_are_told_together() -> None:
    told = [one for key, one in found(SLICES, case(rows=40)).items() if key[0] == "not judged"]
    assert {one["window"] for one in told} == {"week", "four weeks"}
    assert any("kind=villa" in one["reason"] for one in told)


def test_answers_that_move_are_noted_and_a_small_holdout_is_not_judged() -> None:
    told = notes(ANSWERS, case(moved(0.5), since=7))["", "week"]
    assert told["value"] == pytest.approx(stats.norm.cdf(0.5 / np.sqrt(2)) - 0.5, abs=0.015)
    known = world(0)
    outputs = np.zeros(known.layout.outputs[0].size, dtype=int)
    outputs[1:4] = 1
    held = msgspec.structs.replace(known.reference.held, outputs=outputs.tolist())
    small = known._replace(reference=msgspec.structs.replace(known.reference, held=held))
    few = found(ANSWERS, case(moved(0.5), since=7, of=small))["not judged", "", "week"]
    assert few["reason"] == "3 values in the reference, of 100 at least"


def test_what_a_feature_explains_is_that_of_an_analysis_of_variance() -> None:
    """The answers hang on the size alone: within its cells they vary little."""
    shares = dict(dependence(world().layout, world().reference.held))
    assert shares["size"][0] > 0.95
    assert shares["kind"][0] < 0.01
    assert case().importance["size"] == shares["size"][0]


def test_a_feature_that_answers_come_to_rest_on_is_noted() -> None:
    def told(values: np.ndarray, _: np.random.Generator) -> None:
        values[:, KIND] = np.digitize(values[:, NUMBER], [-0.5, 0.5])

    one = notes(RELIANCE, case(told, since=28))["kind", "four weeks"]
    assert one["value"] > 0.7
    assert one["threshold"] == 0.05


def test_answers_that_are_all_the_same_tell_no_reliance() -> None:
    def same(values: np.ndarray, random: np.random.Generator) -> None:
        values[:, NUMBER], values[:, RARE] = 0.1, random.random(len(values))

    every = found(RELIANCE, case(same, since=28))
    assert {verdict for verdict, _, _ in every} == {"not judged"}
    assert "all of them have one answer" in every["not judged", "size", "four weeks"]["reason"]


def test_notes_are_ordered_by_how_much_the_model_relies_on_what_moved() -> None:
    def both(values: np.ndarray, random: np.random.Generator) -> None:
        moved(0.5)(values, random)
        relabelled(values, random)

    told = notes(FEATURES, case(both, since=28))
    assert told["size", "week"]["weight"] > 20 * told["kind", "week"]["weight"]


def test_a_day_of_the_year_before_is_found_across_the_new_year() -> None:
    known = seasonal()
    january = case(of=known, at=date(2027, 1, 1)).windows["day"]
    assert january.season == "2025-12-14 to 2026-01-18"
