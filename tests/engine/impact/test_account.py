"""What a model decided and earned, month by month, in words that people read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arms import Log

from mlops.bundle.verdict import canonical, sealed
from mlops.impact import months
from mlops.impact.wording import LANGUAGES

WON = {"effect": 0.5, "low": 0.4, "high": 0.6}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A repository with a log of two months; what it declares is no model that can be read."""
    import subprocess

    log = Log(tmp_path / "log")
    values = dict.fromkeys(range(0, 100, 2), 3.0)
    log.day(0, [f"a{at}" for at in range(100)], "champion", values)
    log.day(31, [f"b{at}" for at in range(100)], "challenger", values)
    log.day(32, ["b0", "c"], "challenger")
    report = sealed(
        {
            "champion": log.bundles["champion"],
            "challenger": log.bundles["challenger"],
            "at": "2026-03-30",
            "mode": "ab",
            "verdict": "better",
            "reason": "it is",
            "measure": {"name": "value", "label": None},
            "units": {"champion": 500, "challenger": 500},
            "looks": [{"day": "2026-03-29", "units": [500, 500], **WON}],
        }
    )
    place = tmp_path / "deploy/production/experiments/2026-03-30-bbbbbbbbbbbb.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(canonical(report))
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'demo'\n")
    for command in (["init", "-q", "-b", "main"], ["add", "deploy"], ["commit", "-qm", "Kept"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("language", ["en", "ja"])
def test_months_say_what_was_decided_and_earned(project: Any, language: str) -> None:
    from mlops.cli import main

    assert main(["impact", "--log", "log", "--language", language]) == 0
    content = json.loads((project / "reports/impact/impact.json").read_text())
    march, april = content["months"]
    assert (march["month"], march["decisions"], march["people"]) == ("2026-03", 100, 100)
    assert (april["decisions"], april["people"], april["reported"]) == (102, 101, 50)
    value, low, high = march["nothing"]["EUR"]
    assert value == 150
    assert low < 150 < high
    assert march["before"] is None
    # 101 people, each better off by what the experiment has shown.
    assert april["before"]["difference"] == [50.5, 40.4, 60.6]
    words = LANGUAGES[language]
    for name in ("impact.md", "impact.html"):
        text = (project / "reports/impact" / name).read_text()
        for said in (words.title, words.nothing, words.untested, "+150 EUR", "+50.50 EUR"):
            assert said in text, said
        assert words.verdicts["better"] in text
    assert f'lang="{language}"' in (project / "reports/impact/impact.html").read_text()


def test_each_language_says_everything() -> None:
    english, japanese = LANGUAGES["en"], LANGUAGES["ja"]
    assert english.verdicts.keys() == japanese.verdicts.keys()
    for field, one, other in zip(english._fields, english, japanese, strict=True):
        assert type(one) is type(other)
        if isinstance(one, str) and isinstance(other, str):
            wanted = {piece.partition("}")[0] for piece in one.split("{")[1:]}
            assert wanted == {piece.partition("}")[0] for piece in other.split("{")[1:]}, field
        assert len(one) == len(other) or isinstance(one, str)


def test_the_interval_of_a_sum_covers_it() -> None:
    """What people bring in a month, had others come: 400 months that are alike."""
    random, held = np.random.default_rng(3), 0
    for _ in range(400):
        brought = np.where(random.random(300) < 0.3, random.exponential(20.0, 300), 0.0)
        found = months.spread(float(brought.sum()), float((brought**2).sum()), 300)
        held += found.low <= 300 * 0.3 * 20.0 <= found.high
    assert held >= 0.92 * 400


def test_a_log_without_answers_is_said(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from mlops.cli import main

    assert main(["impact", "--log", "log", "--since", "2027-01-01"]) == 2
    assert "has no answers of that time" in capsys.readouterr().err
