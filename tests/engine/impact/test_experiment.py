"""Two models that answer, read from a real log: what is said of them, and when nothing may be."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from arms import CHALLENGER, CHAMPION, Log, filled

from mlops.cli import main
from mlops.impact.experiment import judge
from mlops.rollout.declaration import ExperimentError

DECLARED: dict[str, Any] = {
    "format": 1,
    "champion": CHAMPION,
    "challenger": CHALLENGER,
    "salt": "2026-03-01",
    "steps": [{"share": 0.1, "for": "1d"}, {"share": 0.5}],
    "step": 1,
    "since": "2026-03-01T00:00:00Z",
    "primary": {"measure": "value", "units": 2000},
    "maturity": "2d",
    "horizon": "2w",
    "min_units": 100,
    "slices": ["place"],
}


def declare(folder: Path, **changed: Any) -> Path:
    place = folder / "deploy/production/experiment.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump({**DECLARED, **changed}))
    return place


def test_a_better_challenger_is_found_and_the_report_says_by_what(tmp_path: Path) -> None:
    log, place = filled(tmp_path, 0.5), declare(tmp_path)
    report = judge(place, log, date(2026, 3, 11))
    assert report["verdict"] == "better", report["reason"]
    last = report["looks"][-1]
    assert last["low"] < 0.5 < last["high"]
    assert report["units"] == {
        **{"champion": 1000, "challenger": 1000, "judged": 1800, "young": 200, "crossed": 0},
        **{"unknown": [0, 0], "rows_of_nobody": 0},
    }
    assert {one["slice"] for one in report["slices"]} == {"place = north", "place = south"}
    assert all(one["p"] < 0.05 for one in report["slices"])
    assert judge(place, log, date(2026, 3, 11)) == report  # the same, byte for byte


def test_one_that_loses_is_worse_and_two_alike_stay_undecided(tmp_path: Path) -> None:
    log = filled(tmp_path, -0.5)
    assert judge(declare(tmp_path), log, date(2026, 3, 11))["verdict"] == "worse"
    lower = {"measure": "value", "units": 2000, "better": "lower"}
    assert judge(declare(tmp_path, primary=lower), log, date(2026, 3, 11))["verdict"] == "better"
    log = filled(tmp_path / "alike", 0.0)
    assert judge(declare(tmp_path), log, date(2026, 3, 11))["verdict"] == "going on"
    assert judge(declare(tmp_path), log, date(2026, 3, 17))["verdict"] == "undecided"


def test_nothing_is_decided_where_units_get_lost(tmp_path: Path) -> None:
    """As many of the challenger as answers of it fail: what is left of it looks better."""
    log = filled(tmp_path, 0.5, lost=0.3)
    report = judge(declare(tmp_path), log, date(2026, 3, 11))
    assert report["verdict"] == "broken"
    assert report["slices"] == []


def test_young_units_are_not_judged_yet(tmp_path: Path) -> None:
    log = filled(tmp_path, 0.5, days=3)
    report = judge(declare(tmp_path), log, date(2026, 3, 3))
    assert (report["units"]["judged"], report["units"]["young"]) == (200, 400)
    assert report["verdict"] == "going on"
    assert "fewer than 100" not in report["reason"]


def test_who_met_both_is_left_out_and_so_is_nobody(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.day(0, ["a", "b", None], "champion", {0: 1.0})
    log.day(1, ["a", "c"], "challenger", {1: 3.0})
    report = judge(declare(tmp_path), tmp_path / "log", date(2026, 3, 9))
    units = report["units"]
    assert (units["crossed"], units["rows_of_nobody"], units["judged"]) == (1, 1, 2)


def test_a_unit_counts_once_however_often_it_comes(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.day(0, ["a", "a", "b"], "champion", {0: 1.0, 1: 2.0})
    log.day(1, ["a"], "champion", {0: 4.0})
    log.day(5, ["a"], "champion", {0: 100.0})  # after its maturity
    log.day(0, ["c"], "challenger", {0: 1.0})
    report = judge(declare(tmp_path), tmp_path / "log", date(2026, 3, 9))
    assert report["means"]["champion"] == pytest.approx((1 + 2 + 4 + 0) / 2)


def test_outcomes_are_measured_by_their_label(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.day(0, ["a", "b"], "champion", {0: 1.0})
    log.day(0, ["c"], "challenger", {0: 1.0})
    asked = {"measure": "outcome", "label": "yes"}
    report = judge(declare(tmp_path, primary=asked), tmp_path / "log", date(2026, 3, 9))
    assert report["means"] == {"champion": 1.0, "challenger": 1.0}
    assert report["units"]["unknown"] == [1, 0]
    assert report["value"] == {"looks": []}  # three units are too few for a look
    with pytest.raises(ExperimentError, match="name the one whose share is measured"):
        judge(declare(tmp_path, primary={"measure": "outcome"}), tmp_path / "log", date(2026, 3, 9))


@pytest.mark.parametrize("mode", ["outcome", "canary"])
def test_value_is_shown_where_it_decides_nothing(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path, 0.5)
    place = declare(tmp_path, primary={"measure": "outcome", "label": "yes"})
    if mode == "canary":
        steps = [{"share": 0.1, "for": "1d"}, {"share": 0.5, "for": "1d"}]
        place = declare(tmp_path, mode=mode, steps=steps)
        content = yaml.safe_load(place.read_text())
        del content["primary"]
        place.write_text(yaml.safe_dump(content))
    report = judge(place, log, date(2026, 3, 11))
    assert report["verdict"] == {"outcome": "going on", "canary": "passed"}[mode]
    last = report["value"]["looks"][-1]
    assert last["low"] < 0.5 < last["high"]
    assert last["means"][1] - last["means"][0] == pytest.approx(last["effect"])
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "status", "--log", "log", "--at", "2026-03-11"]) == 0
    page = Path("reports/experiment/experiment.html").read_text()
    assert "It decides nothing here" in page
    assert f"challenger: {last['means'][1]:.3f}" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"challenger": CHAMPION}, "the same bundle"),
        ({"step": 2}, "no step 2: the last one is 1"),
        ({"steps": [{"share": 0.5}, {"share": 0.1}]}, "shares of the steps fall"),
        ({"steps": [{"share": 1.5}]}, "is no experiment"),
        ({"since": "2026-03-01T00:00:00"}, "no time zone"),
        ({"primary": {"measure": "value", "label": "yes"}}, "`label` is of the measure"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"alpha": 0}, "is no experiment"),
        ({"maturity": "soon"}, "is no experiment"),
    ],
)
def test_what_cannot_be_declared_is_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ExperimentError, match=said):
        judge(declare(tmp_path, **changed), tmp_path, date(2026, 3, 9))


def test_a_log_without_these_models_is_a_sentence(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.day(0, ["a"], "champion")
    place = declare(tmp_path, champion="c" * 64)
    with pytest.raises(ExperimentError, match="no unit came to these two models"):
        judge(place, tmp_path / "log", date(2026, 3, 9))
    with pytest.raises(ExperimentError, match="the log has no colour"):
        judge(declare(tmp_path, slices=["colour"]), tmp_path / "log", date(2026, 3, 9))


def test_the_command_says_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = filled(tmp_path, 0.5)
    declare(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "status", "--log", str(log), "--at", "2026-03-11"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("better: the challenger's value against the champion's is +0.")
    assert "next: `mlops experiment conclude`, then promote" in said
    report = json.loads(Path("reports/experiment/experiment.json").read_text())
    assert report["verdict"] == "better"
    assert main(["experiment", "status", "--log", str(log), "--env", "none"]) == 2
    assert "deploy/none/experiment.yaml cannot be read" in capsys.readouterr().err
