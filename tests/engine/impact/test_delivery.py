"""Steps without a verdict on value: canary, shadow, what servers stopped, and what follows."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arms import CHALLENGER, CHAMPION, Log

from mlops.cli import main
from mlops.impact.automation import action, read
from mlops.impact.experiment import judge, nobody, write
from mlops.impact.units import NobodyError
from mlops.rollout import stops
from mlops.rollout.declaration import ExperimentError
from mlops.rollout.declaration import read as declaration
from mlops.serving.recording.compaction import compact
from mlops.serving.recording.segment import Answers, Declaration, encode

from .test_experiment import DECLARED, declare

STEPS = [{"share": 0.1, "for": "1h"}, {"share": 0.5, "for": "1d"}]
NOW = datetime(2026, 3, 3, tzinfo=UTC)
LAST = date(2026, 3, 2)


def canary(folder: Path, **changed: Any) -> Path:
    content = {key: one for key, one in DECLARED.items() if key not in ("primary", "slices")}
    path = declare(folder)
    path.write_text(json.dumps({**content, "mode": "canary", "steps": STEPS, **changed}))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A day on which both models answered, by halves."""
    made = Log(tmp_path / "log")
    for arm in ("champion", "challenger"):
        made.day(0, [f"{arm}{at}" for at in range(40)], arm)
    return made.folder


def test_a_canary_passes_when_its_last_step_is_over(tmp_path: Path, log: Path) -> None:
    path = canary(tmp_path)
    assert judge(path, log, date(2026, 3, 1))["verdict"] == "passed"
    early = judge(canary(tmp_path, since="2026-03-01T00:30:00Z"), log, date(2026, 3, 1))
    assert (early["verdict"], early["looks"], early["slices"]) == ("going on", [], [])
    assert action(declaration(path), judge(path, log, LAST), NOW) == "conclude"


def test_what_servers_stopped_is_stopped_whatever_the_units_say(tmp_path: Path, log: Path) -> None:
    path = canary(tmp_path)
    stops.keep(log, declaration(path), "5 of 20 requests failed")
    report = judge(path, log, LAST)
    assert (report["verdict"], report["reason"]) == ("stopped", "5 of 20 requests failed")
    assert action(declaration(path), report, NOW) == "stop"


def test_a_step_follows_another_when_it_is_over_and_is_held_without_traffic(
    tmp_path: Path, log: Path
) -> None:
    def after(hours: float, **changed: Any) -> str:
        path = canary(tmp_path, step=0, since="2026-03-01T01:00:00Z", **changed)
        about = declaration(path)
        try:
            report = judge(path, log, LAST)
        except NobodyError:
            report = nobody(path, log, LAST)
        return action(about, report, about.since + timedelta(hours=hours))

    halves = [{"share": 0.5, "for": "1h"}, {"share": 0.6, "for": "1d"}]
    assert after(0.5, steps=halves) == "wait"
    assert after(1, steps=halves) == "advance"
    # Rows of another share are those of the step before: nobody came in this one.
    assert after(100) == "wait"
    assert after(0.5, no_traffic="stop") == "wait"
    assert after(1, no_traffic="stop") == "stop"


def test_a_shadow_is_told_by_how_it_agrees(tmp_path: Path) -> None:
    folder = tmp_path / "log/spool/server1"
    folder.mkdir(parents=True)
    ids, moment = [f"r{at}" for at in range(100)], NOW.timestamp() - 86_400
    blocks = []
    for digest, role, differ in ((CHAMPION, "champion", 0), (CHALLENGER, "shadow", 7)):
        about = Declaration(digest, "binary", ["no", "yes"], 0.5, [("x", "number", True)], [])
        said = np.where(np.arange(100) < differ, 0.9, 0.1)
        units: list[str | None] = [f"u{at}" for at in range(100)]
        answers = Answers(
            *(digest, role, ids, [1] * 100, [moment] * 100, [(1.0,)] * 100, said.tobytes()),
            *(units, "champion", 1.0),
        )
        blocks += [encode(about, 1), encode(answers, 1)]
    (folder / "000001.segment").write_bytes(b"".join(blocks))
    assert not compact(folder).torn
    steps = [{"share": 1, "for": "1d"}]
    path = canary(tmp_path, mode="shadow", steps=steps, step=0)
    report = judge(path, tmp_path / "log", LAST)
    assert report["verdict"] == "passed"
    assert report["shadow"] == {"rows": 100, "same": 0.93, "apart": None}
    assert report["units"]["challenger"] == 100


def test_the_page_shows_the_sequence_the_arms_and_the_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from arms import filled

    filled(tmp_path, 0.5)
    declare(tmp_path, primary={"measure": "value", "units": 2000, "margin": 0.05})
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "status", "--log", "log", "--at", "2026-03-11"]) == 0
    page = (tmp_path / "reports/experiment/experiment.html").read_text()
    for text in ("better", "margin: 0.050", "place = north", "1,000", "2026-03-10, "):
        assert text in page
    assert "Value of a unit, by arm" in page
    assert "It decides nothing here" not in page  # it is what decides
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    told = (tmp_path / "reports/experiment/experiment.md").read_text()
    assert "| challenger | 1,000 | 50.00% | 50.00% |" in told
    assert "`place = north`" in told


def test_where_nothing_is_declared_or_nobody_came_automation_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status = ["experiment", "status", "--log", "log", "--at", "2026-03-02"]
    assert main([*status, "--if-any"]) == 0
    assert "nothing to judge" in capsys.readouterr().out
    canary(tmp_path, since="2026-03-02T00:00:00Z")
    assert main(status) == 2
    assert main([*status, "--if-any"]) == 0
    assert "going on: nobody met the challenger" in capsys.readouterr().out


def test_a_report_that_was_changed_is_refused(tmp_path: Path, log: Path) -> None:
    path = write(tmp_path, judge(canary(tmp_path), log, LAST))
    assert read(path)["verdict"] == "passed"
    path.write_text(path.read_text().replace('"passed"', '"stopped"'))
    with pytest.raises(ExperimentError, match="was changed after it was written"):
        read(path)
    path.write_text("[]")
    with pytest.raises(ExperimentError, match="is no report of an experiment"):
        read(path)


def test_stops_are_shipped_and_collected(tmp_path: Path, log: Path) -> None:
    from mlops.serving.recording.shipping import collect, ship

    about = declaration(canary(tmp_path))
    stops.keep(log, about, "5 of 20 requests failed")
    ship(log, str(tmp_path / "place"))
    ship(log, str(tmp_path / "place"))
    assert stops.kept(log, stops.key(about))  # also here, for a restart
    (tmp_path / "place/spool/stopped/x.json").write_text("{}")
    collect(str(tmp_path / "place"), tmp_path / "elsewhere")
    assert stops.kept(tmp_path / "elsewhere", stops.key(about)) == "5 of 20 requests failed"
    assert len([*(tmp_path / "elsewhere/stopped").iterdir()]) == 1
