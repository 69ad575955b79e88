"""An experiment of a gated candidate, from its start to what it came to, as files of a branch."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from arms import Log, filled

from mlops.impact import steps
from mlops.impact.steps import advance, conclude, start
from mlops.rollout.declaration import ExperimentError, Primary, read

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VALUE = Primary("value", units=2000)
LAST = date(2026, 3, 20)


def begun(workshop: Any) -> Path:
    start(workshop.repository, "production", VALUE, now=NOW)
    place = workshop.root / "deploy/production/experiment.yaml"
    content = yaml.safe_load(place.read_text()) | {"maturity": "2d", "horizon": "2w"}
    place.write_text(yaml.safe_dump(content | {"min_units": 100}))
    return place


def bundles(workshop: Any) -> tuple[str, str]:
    return workshop.bundle_digest("middle"), workshop.bundle_digest("good")


def halves(place: Path) -> None:
    """Have the step be the one with halves, which logs of these tests have."""
    content = yaml.safe_load(place.read_text())
    place.write_text(yaml.safe_dump(content | {"step": 2}))


def test_a_gated_candidate_starts_one_that_a_clone_can_fetch(second: Any, tmp_path: Path) -> None:
    assert second.mlops("experiment", "start", "--measure", "value", "--slice", "region") == 0
    about = read(second.root / "deploy/production/experiment.yaml")
    assert (about.champion, about.challenger) == bundles(second)
    assert (about.step, about.share, about.slices) == (0, 0.01, ("region",))
    second.commit("Try it")
    clone = tmp_path / "elsewhere" / "project"
    second.git("clone", "-q", str(second.root), str(clone))
    other = type(second)(clone)
    other.dvc("remote", "modify", "--local", "storage", "url", str(second.root.parent / "storage"))
    other.dvc("pull", "--quiet", "deploy/production/challenger.dvc")
    from mlops.bundle.manifest import bundle_digest

    assert bundle_digest(clone / "deploy/production/challenger") == about.challenger
    assert second.mlops("experiment", "start", "--measure", "value") == 2  # one is under way


def test_what_was_not_gated_against_this_champion_does_not_start(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    second.put("poor")
    assert second.mlops("experiment", "start") == 2
    assert "has not passed this candidate against the champion" in capsys.readouterr().err
    second.put("middle")
    assert second.mlops("experiment", "start") == 2
    assert "is what production serves" in capsys.readouterr().err
    assert not (second.root / "deploy/production/experiment.yaml").exists()
    assert not (second.root / "deploy/production/challenger.dvc").exists()


def test_without_a_model_there_is_nothing_to_compare_with(first: Any) -> None:
    with pytest.raises(ExperimentError, match="declares no model yet"):
        start(first.repository, "production", VALUE)


def test_a_step_follows_when_its_time_is_over_and_somebody_met_the_challenger(
    second: Any, tmp_path: Path
) -> None:
    place = begun(second)
    log = Log(tmp_path / "log", bundles(second))
    log.day(0, ["a", "b"], "champion")
    before = place.read_text()

    def on(hours: float) -> float:
        now = NOW + timedelta(hours=hours)
        return advance(second.repository, "production", log.folder, LAST, now)[1]

    with pytest.raises(ExperimentError, match="this step lasts 1h, until 2026-03-01 01:00 UTC"):
        on(0.5)
    with pytest.raises(ExperimentError, match="nobody met the challenger"):
        on(1)
    assert place.read_text() == before
    log.day(0, ["c"], "challenger")  # by another share, as before a step is followed
    with pytest.raises(ExperimentError, match="nobody met the challenger"):
        on(1)
    log.day(0, ["d"], "challenger", probability=0.01)
    assert on(1) == 0.1
    about = read(place)
    assert (about.step, about.since) == (1, NOW + timedelta(hours=1))
    assert (about.salt, about.min_units) == (yaml.safe_load(before)["salt"], 100)
    with pytest.raises(ExperimentError, match="this step lasts 1d"):
        on(3)


def test_a_challenger_that_is_worse_goes_no_further_and_the_last_step_is_the_last(
    second: Any, tmp_path: Path
) -> None:
    place = begun(second)
    log = filled(tmp_path, -0.5, bundles=bundles(second))
    content = yaml.safe_load(place.read_text())
    place.write_text(yaml.safe_dump(content | {"steps": [{"share": 0.5}, {"share": 0.6}]}))
    with pytest.raises(ExperimentError, match=r"worse: .*: stop or conclude it"):
        advance(second.repository, "production", log, LAST, NOW)
    place.write_text(yaml.safe_dump(content | {"step": 2}))
    with pytest.raises(ExperimentError, match="the last step is reached, with a share of"):
        advance(second.repository, "production", log, LAST, NOW)


def test_what_it_came_to_is_kept_and_the_experiment_is_gone(second: Any, tmp_path: Path) -> None:
    place = begun(second)
    halves(place)
    undecided = filled(tmp_path / "alike", 0.0, bundles=bundles(second))
    with pytest.raises(ExperimentError, match="it is not decided"):
        conclude(second.repository, "production", undecided, date(2026, 3, 12))
    assert place.exists()
    log = filled(tmp_path, 0.5, bundles=bundles(second))
    kept, report = conclude(second.repository, "production", log, date(2026, 3, 12))
    assert report["verdict"] == "better"
    assert json.loads(kept.read_text()) == report
    assert kept.name == f"2026-03-12-{bundles(second)[1][:12]}.json"
    assert [path.name for path in sorted(place.parent.glob("*"))] == [
        *("champion.dvc", "experiments", "gate.json", "release.yaml")
    ]
    # What was gated before is promoted as ever, beside the evidence.
    second.commit("Conclude")
    assert second.mlops("promote") == 0


def test_it_is_stopped_at_any_time_and_twice_is_said(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    place = begun(second)
    assert second.mlops("experiment", "stop") == 0
    assert (
        "experiment.yaml, challenger.dvc, challenger.gate.json removed" in capsys.readouterr().out
    )
    assert not place.exists()
    (kept,) = (place.parent / "experiments").iterdir()
    assert json.loads(kept.read_text())["verdict"] == "stopped"
    second.commit("Stop")
    assert second.mlops("promote") == 0
    told = capsys.readouterr().out
    assert "is not promoted: it did not win against the champion" in told
    assert second.mlops("history") == 0
    assert f"experiment of {bundles(second)[1][:12]} against" in capsys.readouterr().out
    second.git("rm", "-q", f"deploy/production/experiments/{kept.name}")  # as that says
    second.git("commit", "-q", "-m", "Once more")
    assert second.mlops("promote") == 0
    assert "declares" in capsys.readouterr().out
    assert second.mlops("experiment", "stop") == 2
    assert "there is nothing to stop" in capsys.readouterr().err


def test_killed_between_the_two_files_it_starts_anew(
    second: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer stands alone then: no server follows it."""
    real = steps.write_text

    def killed(path: Path, text: str) -> None:
        if path.name == "experiment.yaml":
            raise KeyboardInterrupt
        real(path, text)

    monkeypatch.setattr(steps, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        start(second.repository, "production", VALUE, now=NOW)
    monkeypatch.undo()
    assert not (second.root / "deploy/production/experiment.yaml").exists()
    assert begun(second).exists()
