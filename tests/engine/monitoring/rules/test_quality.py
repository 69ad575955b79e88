"""Broken data are an alert of the part, the window and the share; what is as it was is quiet."""

from typing import Any

import msgspec
import numpy as np
import pytest
from windows import KIND, NUMBER, RARE, case, world

from mlops.config.settings import Derived
from mlops.monitoring.case import Case
from mlops.monitoring.judge import ruling
from mlops.monitoring.policy import Policy
from mlops.monitoring.rule import Rule
from mlops.monitoring.rules.quality import Bounds, HeaviestValue, Missing, Units, Unseen

RULES = {
    "missing": Missing(least=0.01),
    "unseen": Unseen(least=0.002),
    "bounds": Bounds(least=0.005),
    "heaviest_value": HeaviestValue(least=0.01),
    "units": Units(least=0.3),
}


def some(share: float, at: int, value: Any) -> Any:
    """Return a change that puts a value into a share of the rows of a column."""

    def change(values: np.ndarray, random: np.random.Generator) -> None:
        rows = random.random(len(values)) < share
        values[rows, at] = value(values[rows, at]) if callable(value) else value

    return change


def found(rule: Rule, of: Case) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return what one rule alone finds, by verdict, part and window."""
    (entry,) = ruling(Policy(of.settings, {"it": rule}), of)
    return {(one["verdict"], one["part"], one["window"]): one for one in entry["findings"]}


def stands(rule: Rule, of: Case) -> set[tuple[str, str, str]]:
    return {key for key in found(rule, of) if key[0] in ("alert", "note")}


BROKEN = [
    (Missing(least=0.01), some(0.2, NUMBER, np.nan), "size", 0.2),
    (Unseen(least=0.002), some(0.05, KIND, 3), "kind", 0.05),
    (Bounds(least=0.005), some(0.05, NUMBER, lambda values: values * 100), "size", 0.05),
    (HeaviestValue(least=0.01), some(0.1, NUMBER, 0.25), "size", 0.1),
    (Units(least=0.3), some(1.0, NUMBER, lambda values: values + 5), "size", 0.5),
]


@pytest.mark.parametrize(("rule", "change", "part", "effect"), BROKEN)
def test_what_breaks_is_an_alert_within_the_day(
    rule: Rule, change: Any, part: str, effect: float
) -> None:
    alerts = {key: one for key, one in found(rule, case(change)).items() if key[0] == "alert"}
    assert {key[1] for key in alerts} == {part}
    day = alerts["alert", part, "day"]
    assert day["value"] == pytest.approx(effect, abs=0.035)
    assert day["threshold"] == rule.least  # type: ignore[attr-defined]
    assert day["p"] < 0.005


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("at", range(3))
def test_days_as_before_are_quiet(rule: Rule, at: int) -> None:
    (entry,) = ruling(Policy(case().settings, {"it": rule}), case(since=0, rows=400 + 50 * at))
    assert entry["verdict"] == "quiet"
    assert not stands(rule, case(since=0))


@pytest.mark.parametrize(("rule", "change", "part", "effect"), BROKEN)
def test_what_is_allowed_is_quiet_and_nothing_else(
    rule: Any, change: Any, part: str, effect: float
) -> None:
    assert stands(rule, case(change))
    assert not stands(msgspec.structs.replace(rule, allow=(part,)), case(change))
    assert stands(msgspec.structs.replace(rule, allow=("rare",)), case(change))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_allowed_name_that_is_misspelt_is_told(rule: Any) -> None:
    (entry,) = ruling(
        Policy(case().settings, {"it": msgspec.structs.replace(rule, allow=("sise",))}), case()
    )
    told = [one for one in entry["findings"] if one["part"] == "sise"]
    assert [one["verdict"] for one in told] == ["not judged"]
    assert "it is no feature of the bundle" in told[0]["reason"]
    assert entry["judged"]  # and the others are judged all the same


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_few_rows_are_not_judged(rule: Rule) -> None:
    (one,) = found(rule, case(rows=10)).values()
    assert one["verdict"] == "not judged"
    assert "has fewer than 100 rows" in one["reason"]


def test_a_day_of_few_rows_is_judged_by_its_week() -> None:
    stuck = some(0.3, NUMBER, np.nan)
    assert stands(Missing(least=0.01), case(stuck, since=7, rows=50)) == {("alert", "size", "week")}


@pytest.mark.parametrize("rule", [Bounds(least=0.005), HeaviestValue(least=0.01), Units(least=0.3)])
def test_a_feature_of_few_values_is_not_judged_and_the_others_are(rule: Rule) -> None:
    """A tenth of 400 rows has `rare`: 40 a day, and 280 a week."""
    all_of_it = found(rule, case(rows=400))
    assert "of 100 at least" in all_of_it["not judged", "rare", "day"]["reason"]
    assert ("quiet", "size", "day") in all_of_it
    assert (("quiet", "rare", "week") in all_of_it) == (not isinstance(rule, Units))


def test_a_feature_that_training_never_had_is_not_judged() -> None:
    """Its reference has one cell for all values, and no bound."""
    known = world()
    rare = known.layout.features[RARE]
    empty = rare._replace(edges=np.empty(0, np.float32))
    layout = known.layout._replace(
        features=(known.layout.features[0], empty, known.layout.features[2])
    )
    rows = known.reference.seen.rows

    def without(flat: Any) -> list[Any]:
        parts = [part.tolist() for _, part in known.layout.split(flat)]
        return [*parts[0], 0, rows, *parts[2]]

    whole = known.reference.seen
    cells, answered = without(whole.features), without(whole.answered)
    seen = msgspec.structs.replace(whole, features=cells, answered=answered, slices={})
    reference = msgspec.structs.replace(known.reference, seen=seen, held=seen, periods=[])
    of = case(of=known._replace(layout=layout, reference=reference))
    assert "saw no value" in found(Bounds(least=0.01), of)["not judged", "rare", "week"]["reason"]
    assert ("not judged", "rare", "week") in found(HeaviestValue(least=0.01), of)


def test_personal_data_that_the_log_does_not_hold_are_not_judged() -> None:
    gone = some(1.0, NUMBER, np.nan)
    assert stands(Missing(least=0.01), case(gone))
    of = case(gone, unrecorded=frozenset({"size"}))
    assert not any(part == "size" for _, part, _ in found(Missing(least=0.01), of))


def test_a_column_that_drifts_beyond_its_bounds_is_noted_and_one_that_breaks_is_an_alert() -> None:
    """All values rise by two deviations; or a twentieth of them is in another unit."""
    drift = some(1.0, NUMBER, lambda values: values + 2)
    assert stands(Bounds(least=0.005), case(drift)) == {("note", "size", "day")}
    broken = some(0.05, NUMBER, lambda values: values * 100)
    assert ("alert", "size", "day") in stands(Bounds(least=0.005), case(broken))


def test_a_value_that_is_heavy_in_a_column_that_drifts_is_noted() -> None:
    def both(values: np.ndarray, random: np.random.Generator) -> None:
        values[:, NUMBER] += 2
        some(0.1, NUMBER, 0.25)(values, random)

    assert ("note", "size", "day") in stands(HeaviestValue(least=0.01), case(both))
    assert ("alert", "size", "day") in stands(
        HeaviestValue(least=0.01), case(some(0.1, NUMBER, 0.25))
    )


def test_a_value_that_was_as_heavy_in_training_is_quiet() -> None:
    known = world()
    seen = known.reference.seen
    number = known.layout.features[NUMBER]
    cells = np.array(seen.features)
    at = int(number.of(np.array([0.25], np.float32))[0])
    added = int(seen.rows * 0.1)
    cells[at] += added
    cells[int(np.argmax(cells[: number.size]))] += 0
    heavy = msgspec.structs.replace(
        seen, features=cells.tolist(), heaviest={"size": {"0.25": added}}
    )
    reference = msgspec.structs.replace(known.reference, seen=heavy, periods=[])
    of = case(some(0.09, NUMBER, 0.25), of=known._replace(reference=reference))
    assert not stands(HeaviestValue(least=0.01), of)


def test_fewer_missing_than_before_is_a_note() -> None:
    filled = some(1.0, RARE, lambda values: np.nan_to_num(values))
    assert stands(Missing(least=0.01), case(filled)) == {
        ("note", "rare", "day"),
        ("note", "rare", "week"),
    }


def test_a_label_that_was_not_declared_in_training_either_is_quiet() -> None:
    known = world()
    cells = np.array(known.reference.seen.features)
    place = int(known.layout.starts[2]) + 3
    cells[place] += known.reference.seen.rows // 20
    seen = msgspec.structs.replace(known.reference.seen, features=cells.tolist())
    reference = msgspec.structs.replace(known.reference, seen=seen, periods=[])
    of = case(some(0.05, KIND, 3), of=known._replace(reference=reference))
    assert not stands(Unseen(least=0.01), of)


def test_no_category_is_nothing_to_judge() -> None:
    assert set(found(Unseen(least=0.01), case(unrecorded=frozenset({"kind"})))) == {
        ("quiet", "", "")
    }


def test_rows_that_get_alike_because_they_break_are_not_taken_for_one() -> None:
    """All that is asked is gone: every row is the same, as if one unit came again and again."""

    def gone(values: np.ndarray, _: np.random.Generator) -> None:
        values[:] = np.nan

    for since in (1, 7):
        alerts = stands(Missing(least=0.01), case(gone, since=since))
        assert {("alert", name, "day") for name in ("size", "rare", "kind")} <= alerts


@pytest.mark.parametrize(("rule", "change", "part", "effect"), BROKEN)
def test_of_what_tells_the_date_only_missing_values_are_judged(
    rule: Rule, change: Any, part: str, effect: float
) -> None:
    dated = msgspec.structs.replace(case(change), calendar=frozenset({part}))
    alerts = {key[1] for key in stands(rule, dated)}
    assert alerts == ({part} if isinstance(rule, Missing) else set())


def test_more_of_a_value_that_was_common_is_left_to_drift() -> None:
    usual = some(0.2, NUMBER, 0.25)
    of = case(usual)
    known = dict(of.reference.seen.heaviest)
    known["size"] = {"0.25": int(0.1 * of.reference.seen.rows)}
    seen = msgspec.structs.replace(of.reference.seen, heaviest=known)
    before = msgspec.structs.replace(of.reference, seen=seen)
    common = msgspec.structs.replace(of, reference=before)
    assert {key[0] for key in stands(HeaviestValue(least=0.01), of)} == {"alert"}
    assert not stands(HeaviestValue(least=0.01), common)


def test_a_feature_of_a_column_that_is_broken_is_noted_beside_it() -> None:
    both = case(lambda values, _: values.fill(np.nan))
    derived = {"size": Derived("log1p", ["kind"], "tests")}
    encoder = both.bundle.encoder._replace(derived=derived)
    bundle = msgspec.structs.replace(both.bundle, encoder=encoder)
    rule = Missing(least=0.01)
    assert {("alert", "size", "day"), ("alert", "kind", "day")} <= stands(rule, both)
    told = found(rule, msgspec.structs.replace(both, bundle=bundle))
    assert told["note", "size", "day"]["reason"].endswith(", as kind is")
    assert ("alert", "kind", "day") in told
