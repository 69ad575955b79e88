"""All rules of a day together: corrected, sealed, in order, whatever one of them does."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from windows import NUMBER, Change, case

from mlops.bundle import alerts
from mlops.bundle.verdict import VerdictError
from mlops.monitoring.case import Case
from mlops.monitoring.judge import SHOWN, judge, ruling
from mlops.monitoring.policy import Policy
from mlops.monitoring.rule import Finding, Rule
from mlops.monitoring.statistics import holm


def given(found: Any, of: str = "whole") -> Rule:
    """Return a rule that finds what it is given, or does it."""

    class Given(Rule, frozen=True, kw_only=True):
        """It finds what it is given."""

        family: ClassVar[str] = of

        def judge(self, case: Case) -> Sequence[Finding]:
            """Return it, or do it."""
            return found(case) if callable(found) else found

    return Given()


def alert(p: float | None, part: str = "", verdict: Any = "alert", **figures: Any) -> Finding:
    return Finding(verdict, f"{part} differs", part, p=p, window="day", **figures)


def judged(*rules: Rule, **settings: Any) -> list[dict[str, Any]]:
    of = case(days=0, **settings)
    return ruling(Policy(of.settings, {f"r{at}": rule for at, rule in enumerate(rules)}), of)


def test_chances_of_all_rules_of_a_family_are_corrected_together() -> None:
    chances = [0.0001, 0.002, 0.0011, 0.3]
    first, second = (given([alert(p, f"{p}") for p in part]) for part in (chances[:2], chances[2:]))
    entries = judged(first, second)
    found = [one for entry in entries for one in entry["findings"]]
    by_part = dict(zip(map(str, chances), holm(chances), strict=True))
    assert {one["part"]: one["p"] for one in found} == pytest.approx(by_part)
    assert (
        {one["part"] for one in found if one["verdict"] == "alert"}
        == {part for part, p in by_part.items() if p <= 0.005}
        == {"0.0001", "0.002", "0.0011"}
    )
    assert [entry["verdict"] for entry in entries] == ["alert", "alert"]


def test_each_family_has_its_part_of_alpha() -> None:
    one, other = (given([alert(0.004)], of) for of in ("whole", "others"))
    assert judged(one)[0]["verdict"] == "alert"
    assert [entry["verdict"] for entry in judged(one, other)] == ["quiet", "quiet"]
    one, other = (given([alert(0.002)], of) for of in ("whole", "others"))
    assert [entry["verdict"] for entry in judged(one, other)] == ["alert", "alert"]


def test_a_finding_without_a_chance_stands_and_a_quiet_one_is_corrected_with_none() -> None:
    (entry,) = judged(given([alert(None, "a"), alert(0.004, "b"), alert(0.9, "c", "quiet")]))
    assert {one["part"]: one["verdict"] for one in entry["findings"]} == {
        "a": "alert",
        "b": "alert",
        "c": "quiet",
    }


def leave(_: Case) -> Any:
    raise SystemExit("it leaves")


def fail(_: Case) -> Any:
    raise ZeroDivisionError("of\nnothing")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (fail, "the rule failed: ZeroDivisionError: of nothing"),
        (leave, "the rule failed: SystemExit: it leaves"),
        ((), "the rule found nothing"),
        (None, "the rule found nothing"),
        ("alert", "the rule found nothing"),
        (lambda _: (one for one in ()), "the rule found nothing"),
        (["alert"], "the rule returned str and no verdict"),
        ([None], "the rule returned NoneType and no verdict"),
        ([alert(0.1, verdict="passed")], "the rule returned Finding and no verdict"),
        ([alert(float("nan"))], "the rule gave nan as a chance"),
        ([alert(1.5)], "the rule gave 1.5 as a chance"),
        ([alert(-0.1)], "the rule gave -0.1 as a chance"),
        ([alert("0")], "the rule gave '0' as a chance"),  # type: ignore[arg-type]
        ([alert(0.0, value=float("nan"))], "the rule gave nan as its value"),
        ([alert(None, threshold=float("inf"))], "the rule gave inf as its threshold"),
        ([alert(None, low="3")], "the rule gave '3' as its low"),
    ],
)
def test_a_rule_that_misbehaves_is_not_judged_and_told(found: Any, said: str) -> None:
    entries = judged(given(found), given([alert(0.004, "sound")]))
    (one,) = entries[0]["findings"]
    assert (entries[0]["verdict"], one["verdict"]) == ("not judged", "not judged")
    assert one["reason"].startswith(said)
    assert entries[1]["verdict"] == "alert"


def test_one_unsound_finding_takes_no_sound_one_with_it() -> None:
    (entry,) = judged(given([alert(0.001, "a"), alert(float("nan"), "b")]))
    assert entry["verdict"] == "alert"
    assert entry["judged"] == 1
    assert [(one["verdict"], one["part"]) for one in entry["findings"]] == [
        ("alert", "a"),
        ("not judged", "b"),
    ]


def test_figures_of_numpy_become_plain_and_equal() -> None:
    found = Finding(
        "alert",
        " told ",
        np.str_("x"),
        np.float32(0.5),
        p=np.float64(0.001),
        weight=np.int64(3),  # type: ignore[arg-type]
    )
    (entry,) = judged(given([found]))
    (one,) = entry["findings"]
    assert type(one["value"]) is type(one["p"]) is type(one["weight"]) is float
    assert (one["reason"], type(one["part"])) == ("told", str)


def test_the_least_quiet_are_shown_and_those_of_parts_that_are_partly_judged() -> None:
    quiet = [alert(0.5, f"f{at:02}", value=1.0 - at / 100, threshold=2.0) for at in range(60)]
    few = Finding("not judged", "few values", "f59", window="week")
    (entry,) = judged(given([*quiet, few]))
    shown = [one["part"] for one in entry["findings"] if one["verdict"] == "quiet"]
    assert shown == [*(f"f{at:02}" for at in range(SHOWN)), "f59"]
    assert entry["judged"] == 60


def report(rules: dict[str, Rule], of: Case) -> dict[str, Any]:
    class Content:
        manifest: ClassVar[Any] = {"name": "t", "task": "binary"}
        bundle_digest = "a" * 64

    source: Any = None
    content: Any = Content()
    return judge(source, content, Policy(of.settings, rules), of)


def rough(verdict: str, **figures: Any) -> Rule:
    return given([alert(None, verdict=verdict, **figures)])


def test_one_alert_is_an_alert_and_nothing_judged_is_not_judged() -> None:
    of = case(days=3)
    kinds = {"a": rough("not judged"), "q": rough("quiet"), "n": rough("note"), "x": rough("alert")}
    for names, verdict in (
        ("a", "not judged"),
        ("aq", "quiet"),
        ("qn", "quiet"),
        ("qnxa", "alert"),
    ):
        assert report({name: kinds[name] for name in names}, of)["verdict"] == verdict


def test_notes_are_ordered_by_weight_then_by_name() -> None:
    found = [alert(None, part, "note", weight=w) for part, w in (("b", 1), ("a", 1), ("c", 5))]
    told = report({"r": given(found)}, case(days=1))["notes"]
    assert [one["part"] for one in told] == ["c", "a", "b"]
    assert "verdict" not in told[0]


def test_what_is_to_do_is_said() -> None:
    of = case(days=1)
    assert report({"r": rough("quiet")}, of)["next"] == ["Nothing."]
    assert "Not judged: r; the report says why." in report({"r": rough("not judged")}, of)["next"]
    assert "Nothing is broken" in report({"r": rough("note")}, of)["next"][0]


def test_a_report_is_sealed_and_an_edit_of_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "monitor.json"
    content = report({"r": rough("alert", value=1 / 3)}, case())
    path.write_text(json.dumps(content))
    assert alerts.read(path) == content
    assert content["alerts"][0]["value"] == 0.333333
    for change in ({"verdict": "quiet"}, {"alerts": []}, {"at": "2026-08-03"}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(VerdictError, match="was changed after it was written"):
            alerts.read(path)


def higher(values: np.ndarray, _: np.random.Generator) -> None:
    values[:, NUMBER] += 0.3


@pytest.mark.parametrize("change", [None, higher])
def test_a_report_holds_what_its_day_is_drawn_from(change: Change | None) -> None:
    content = report({"r": rough("quiet")}, case(change, since=28))
    assert content["log"] == {
        "rows": 28 * 400,
        "days": 28,
        "first": "2026-07-06",
        "last": "2026-08-02",
        "outcomes": 28 * 400,
    }
    size, _, kind = content["features"]
    assert (size["name"], size["kind"], size["labels"]) == ("size", "number", None)
    assert len(size["days"]) == 28
    moved = 0.3 if change else 0.0
    day = size["days"][-1]
    assert (day["rows"], day["missing"]) == (400, 0)
    for name, quantile in (("low", -1.2816), ("median", 0), ("high", 1.2816)):
        assert size["reference"][name] == pytest.approx(quantile, abs=0.06)
        assert day[name] == pytest.approx(quantile + moved, abs=0.25)
    assert kind["labels"] == ["flat", "house", "villa", "(not declared)"]
    assert kind["reference"]["shares"] == pytest.approx([0.5, 0.3, 0.2, 0], abs=0.02)
    assert content["estimated"]["metric"] == "log_loss"
    json.dumps(content, allow_nan=False)


def test_a_report_of_no_day_says_so() -> None:
    content = report({"r": rough("not judged")}, case(days=0, traffic={}))
    assert content["verdict"] == "not judged"
    assert content["log"] == {"rows": 0, "days": 0, "first": None, "last": None, "outcomes": 0}
    assert (content["model"]["since"], content["estimated"]) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(content)) == content
