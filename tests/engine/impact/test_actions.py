"""Actions that were drawn, read from a real log: which pays, and when nothing may be said."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from arms import Log
from drawn import MODEL, record

from mlops.cli import main
from mlops.impact.actions import judge
from mlops.rollout.actions import Actions, Draw, read
from mlops.rollout.declaration import ExperimentError

DECLARED: dict[str, Any] = {
    "format": 1,
    "mode": "actions",
    "model": MODEL,
    "salt": "2026-03-calls",
    "since": "2026-03-01T00:00:00Z",
    "arms": {
        "nothing": {"share": 0.25, "action": "nothing"},
        "call": {"share": 0.25, "action": "call"},
        "model": {"share": 0.5, "policy": "decision"},
    },
    "control": "nothing",
    "costs": {"call": 0.5},
    "units": 500,
    "maturity": "2d",
    "horizon": "2w",
    "min_units": 100,
    "slices": ["place"],
}
AT = date(2026, 3, 12)


def declare(folder: Path, **changed: Any) -> Path:
    place = folder / "deploy/production/actions.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump({**DECLARED, **changed}))
    return place


def test_arms_are_as_large_as_their_shares_and_anyone_computes_them_again(tmp_path: Path) -> None:
    about = read(declare(tmp_path))
    draw, again = Draw(about), Draw(about)
    arms = [draw.arm(b"%d" % key) for key in range(20_000)]
    shares = dict(zip(draw.names, np.bincount(arms) / len(arms), strict=True))
    assert shares == pytest.approx({"nothing": 0.25, "call": 0.25, "model": 0.5}, abs=0.015)
    assert arms == [again.arm(b"%d" % key) for key in range(20_000)]
    other = Draw(read(declare(tmp_path, salt="another")))
    both = np.array([arms, [other.arm(b"%d" % key) for key in range(20_000)]])
    assert abs(np.corrcoef(both)[0, 1]) < 0.03


def test_the_probability_is_that_of_the_action_whoever_takes_it(tmp_path: Path) -> None:
    draw = Draw(read(declare(tmp_path)))
    call, model = draw.names.index("call"), draw.names.index("model")
    assert draw.assigned(call, "call") == ("call", "call", 0.75)  # by lot, or by the model
    assert draw.assigned(model, "call") == ("model", "call", 0.75)
    assert draw.assigned(call, "nothing") == ("call", "call", 0.25)


def test_what_pays_is_found_and_for_how_much(tmp_path: Path) -> None:
    place = declare(tmp_path)
    log = record(tmp_path, read(place), {"call": 1.5})
    report = judge(place, log, AT)
    assert (report["verdict"], report["pays"]) == ("pays", "call")
    call, model = report["arms"]
    assert (call["verdict"], model["verdict"]) == ("pays", "pays")
    assert call["net"]["low"] < 1.0 < call["net"]["high"]
    assert call["spent"] == 0.5
    assert call["roi"]["effect"] == pytest.approx(call["net"]["effect"] / 0.5)
    assert {one["slice"] for one in call["slices"]} == {"place = north", "place = south"}
    assert report["done_as_drawn"] == 1.0
    assert judge(place, log, AT) == report


def test_what_costs_more_than_it_brings_does_not_pay(tmp_path: Path) -> None:
    place = declare(tmp_path, costs={"call": 2.0})
    report = judge(place, record(tmp_path, read(place), {"call": 0.5}), AT)
    assert report["verdict"] == "does not pay"
    assert report["pays"] is None
    assert report["arms"][0]["roi"]["high"] < 0


def test_alike_actions_stay_undecided(tmp_path: Path) -> None:
    place = declare(tmp_path, costs={})
    log = record(tmp_path, read(place), {})
    assert judge(place, log, AT)["verdict"] == "going on"
    report = judge(place, log, date(2026, 3, 20))
    assert (report["verdict"], report["pays"]) == ("undecided", None)
    assert report["arms"][0]["roi"] is None  # nothing was spent


def test_nothing_is_said_where_an_arm_gets_lost(tmp_path: Path) -> None:
    place = declare(tmp_path)
    report = judge(place, record(tmp_path, read(place), {"call": 1.5}, lost="call"), AT)
    assert (report["verdict"], report["pays"]) == ("broken", None)
    assert report["arms"][0]["slices"] == []


def test_a_log_without_draws_is_a_sentence(tmp_path: Path) -> None:
    Log(tmp_path / "log").day(0, ["a", "b"], "champion", {0: 1.0})
    with pytest.raises(ExperimentError, match=r"no actions that were drawn.*MLOPS_ACTIONS"):
        judge(declare(tmp_path), tmp_path / "log", AT)
    place = declare(tmp_path)
    log = record(tmp_path / "other", read(place), {}, days=1)
    with pytest.raises(ExperimentError, match="no row of a known routing key"):
        judge(declare(tmp_path, model="c" * 64), log, AT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"control": "gift"}, "no arm gift, which is the control"),
        ({"arms": {"a": {"share": 0.5}, "b": {"share": 0.5, "action": "b"}}}, "the arm a needs"),
        (
            {"arms": {"a": {"share": 0.5, "action": "a"}, "b": {"share": 0.4, "action": "b"}}},
            "0.9 together: make it 1",
        ),
        ({"arms": {"a": {"share": 0.5, "policy": "magic"}}}, "is no experiment of actions"),
        ({"since": "2026-03-01T00:00:00"}, "no time zone"),
        ({"mode": "ab"}, "is no experiment of actions"),
        ({"costs": {"call": -1}}, "is no experiment of actions"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_what_cannot_be_declared_is_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ExperimentError, match=said):
        read(declare(tmp_path, **changed))


def test_the_verbs_say_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about: Actions = read(declare(tmp_path))
    log = record(tmp_path, about, {"call": 1.5})
    monkeypatch.chdir(tmp_path)
    assert main(["actions", "--log", str(log), "--at", str(AT)]) == 0
    said = capsys.readouterr().out
    assert "call against nothing: pays; a unit brings +" in said
    assert "for each 1 spent" in said
    assert json.loads(Path("reports/actions/actions.json").read_text())["pays"] == "call"
    page = Path("reports/actions/actions.html").read_text()
    for text in ("call pays most", "model, day by day", "call by slice", "place = north"):
        assert text in page
    assert page.count("<svg") == 5  # of both arms, each by day and by slice
    assert "<script" not in page

    given = ["counterfactual", "--log", str(log), "--at", str(AT)]
    assert main([*given, "--policy", "always:call"]) == 0
    report = json.loads(Path("reports/counterfactual/counterfactual.json").read_text())
    assert report["doubly_robust"]["low"] < 2.0 < report["doubly_robust"]["high"]
    assert report["maturity_days"] == 2
    assert "| doubly robust | " in Path("reports/counterfactual/counterfactual.md").read_text()
    above = ["--policy", "threshold:0.5", "--actions", "nothing", "call"]
    assert main([*given, *above]) == 0
    assert main([*given, "--policy", "always:discount"]) == 2
    assert "discount, which was never drawn" in capsys.readouterr().err


def test_a_rule_of_the_owners_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = record(tmp_path, read(declare(tmp_path)), {"call": 1.5})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/__init__.py").touch()
    (tmp_path / "policy/decisions.py").write_text(
        "import numpy as np\n"
        "def north(columns):\n"
        "    return np.where(columns['place'] == 'north', 'call', 'nothing')\n"
        "def few(columns):\n"
        "    return ['call']\n"
        "def broken(columns):\n"
        "    return columns['colour']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("policy", "policy.decisions"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    given = ["counterfactual", "--log", str(log), "--at", str(AT), "--policy"]
    assert main([*given, "rule:north"]) == 0
    report = json.loads(Path("reports/counterfactual/counterfactual.json").read_text())
    truth = (1 + 1.5 - 0.5 + 1) / 2
    assert report["doubly_robust"]["low"] < truth < report["doubly_robust"]["high"]
    assert main([*given, "rule:few"]) == 2
    assert "returns no action for each" in capsys.readouterr().err
    assert main([*given, "rule:broken"]) == 2
    assert "KeyError: 'colour'" in capsys.readouterr().err
