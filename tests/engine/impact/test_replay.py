"""Two bundles on a past that is known: what an experiment would have said, day by day."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import recorded
from served import resign

from mlops.bundle.manifest import bundle_digest
from mlops.bundle.reading import load
from mlops.cli import main
from mlops.impact.replay import Asked, replayed
from mlops.rollout.assignment import edge, place
from mlops.rollout.declaration import ExperimentError

FIRST, DAYS, UNITS = date(2026, 3, 1), 8, 1200
LAST = FIRST + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def two(valued: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A champion that calls nobody below 0.95, and a challenger with the threshold chosen."""
    root = tmp_path_factory.mktemp("two")
    for name in ("champion", "challenger"):
        shutil.copytree(valued / "candidate", root / name)
    path = root / "champion/decision.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threshold": 0.95}))
    resign(root / "champion")
    return root / "champion", root / "challenger"


@pytest.fixture(scope="module")
def log(two: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Days that the champion answered, and whose outcomes are known."""
    folder, random = tmp_path_factory.mktemp("log"), np.random.default_rng(3)
    loaded, digest = load(two[0]), bundle_digest(two[0])
    for day in range(DAYS):
        risk = random.normal(size=UNITS)
        rows = pa.table(
            {
                "risk": risk,
                "fee": random.uniform(0, 20, UNITS),
                "other": random.normal(size=UNITS),
            }
        )
        on = FIRST + timedelta(days=day)
        units: list[str | None] = [f"{day}-{number}" for number in range(UNITS)]
        recorded.record(folder, loaded, digest, on, rows, units=units)
        left = random.random(UNITS) < 1 / (1 + np.exp(2 - 1.5 * risk))
        told = {at: "true" if one else "false" for at, one in enumerate(left)}
        recorded.report(folder, on, on, told)
    return folder


def test_the_better_threshold_would_have_been_found(two: tuple[Path, Path], log: Path) -> None:
    asked = Asked(FIRST, LAST, planned=4000, min_units=200)
    report = replayed(log, *two, asked)
    assert report["verdict"] == "better", report["reason"]
    assert report["units"]["judged"] == DAYS * UNITS
    assert len(report["looks"]) == DAYS
    salt, below = asked.salt.encode(), edge(asked.share)
    keys = [f"{day}-{number}" for day in range(DAYS) for number in range(UNITS)]
    drawn = sum(place(key.encode(), salt) < below for key in keys)
    assert report["units"]["challenger"] == drawn
    assert replayed(log, *two, asked) == report
    back = replayed(log, two[1], two[0], asked)
    assert back["verdict"] == "worse"


def test_the_same_bundle_and_no_outcomes_are_sentences(
    two: tuple[Path, Path], log: Path, tmp_path: Path
) -> None:
    asked = Asked(FIRST, LAST)
    with pytest.raises(ExperimentError, match="are the same bundle: name two"):
        replayed(log, two[0], two[0], asked)
    shutil.copytree(log / "predictions", tmp_path / "log/predictions")
    with pytest.raises(ExperimentError, match="no unit came to these two models"):
        replayed(tmp_path / "log", *two, asked)


def test_the_verb_says_each_day(
    two: tuple[Path, Path],
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["replay-experiment", "--champion", str(two[0]), "--challenger", str(two[1])]
    given += ["--log", str(log), "--since", str(FIRST), "--at", str(LAST), "--min-units", "200"]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert f"{FIRST + timedelta(days=1)}: " in said
    assert "\nbetter: " in said
    assert main([*given, "--share", "1"]) == 2
    assert "a share lies between 0 and 1" in capsys.readouterr().err
    report = json.loads(Path("reports/replay/experiment.json").read_text())
    assert report["since"] == datetime(2026, 3, 1, tzinfo=UTC).isoformat()[:19] + "Z"
