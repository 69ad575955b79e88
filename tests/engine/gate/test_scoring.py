"""A bundle's answers are computed anew and compared with what it says of itself."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from in_process import in_process

from mlops.config import settings as configuration
from mlops.config.settings import Settings
from mlops.data import prepared
from mlops.gate import scoring
from mlops.gate.case import Judged
from mlops.gate.champion import Champion, rescored
from mlops.gate.scoring import TOLERANCE, ScoringError
from mlops.runtime.model import farthest

HOLDOUT = "data/prepared/holdout"
Edit = Callable[[str, Callable[[Any], Any]], None]


@pytest.fixture
def asked(trained: Path) -> Settings:
    """What the bundle was made with."""
    return configuration.load(trained / "resolved.yaml")


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A bundle to be changed."""
    return shutil.copytree(trained / "candidate", tmp_path / "bundle")


@pytest.fixture
def one(trained: Path, folder: Path, asked: Settings) -> Judged:
    """The bundle with its answers."""
    return scoring.judged(folder, in_process(folder), trained / HOLDOUT)


@pytest.fixture
def target(trained: Path, asked: Settings) -> np.ndarray:
    return prepared.target(prepared.read(trained / HOLDOUT, asked.data), asked.data)


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Change a JSON file of the bundle."""

    def change(name: str, how: Callable[[Any], Any]) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(how(content)))

    return change


def test_answers_are_those_of_its_model_for_every_row(one: Judged, target: np.ndarray) -> None:
    assert len(one.predictions) == len(target)
    finding = scoring.predictions(one)
    assert (finding.verdict, finding.part) == ("passed", "predictions")


def test_other_answers_than_recorded_are_rejected(one: Judged) -> None:
    other = one.predictions.copy()
    other[0] = np.nextafter(other[0], 1)
    for answers in (other, one.predictions[1:]):
        finding = scoring.predictions(replace(one, predictions=answers))
        assert (finding.verdict, finding.part) == ("rejected", "predictions")
        assert f"it predicts {len(answers):,} holdout rows" in finding.reason


def test_golden_rows_answer_as_recorded(one: Judged, edit: Edit) -> None:
    finding = scoring.golden(one)
    assert (finding.verdict, finding.part) == ("passed", "golden rows")
    assert finding.threshold == TOLERANCE
    assert finding.value is not None
    assert 0 <= finding.value <= TOLERANCE


def test_golden_rows_that_answer_otherwise_are_rejected(one: Judged, edit: Edit) -> None:
    def moved(rows: list[Any]) -> list[Any]:
        rows[2]["prediction"] += 0.25
        return rows

    edit("golden.json", moved)
    finding = scoring.golden(one)
    assert (finding.verdict, finding.part) == ("rejected", "golden rows")
    assert finding.value == pytest.approx(0.25, abs=1e-4)
    assert "no longer answers" in finding.reason
    edit("golden.json", lambda rows: [{**row, "prediction": [0.1, 0.9]} for row in rows])
    finding = scoring.golden(one)
    assert (finding.verdict, finding.part, finding.value) == ("rejected", "golden rows", None)
    edit("golden.json", lambda rows: [{**row, "prediction": 0.1} for row in rows])
    edit("edges.json", lambda rows: [{**row, "prediction": [0.1]} for row in rows])
    assert "several forms" in scoring.golden(one).reason
    edit("golden.json", lambda _: [])
    assert scoring.golden(one).reason == "it holds no golden rows"
    assert (scoring.golden(one).verdict, scoring.golden(one).part) == ("rejected", "golden rows")


def test_rows_beyond_the_golden_ones_answer_as_recorded_too(one: Judged, edit: Edit) -> None:
    def moved(rows: list[Any]) -> list[Any]:
        rows[-1]["prediction"] += 0.25
        return rows

    edit("edges.json", moved)
    finding = scoring.golden(one)
    assert (finding.verdict, finding.value) == ("rejected", pytest.approx(0.25, abs=1e-4))
    (one.folder / "edges.json").unlink()  # a bundle from before
    assert scoring.golden(one).verdict == "passed"


def test_metrics_are_those_of_the_answers(one: Judged, target: np.ndarray, edit: Edit) -> None:
    names = ["roc_auc", "log_loss"]
    (finding,) = scoring.metrics(one, target, names)
    assert (finding.verdict, finding.part) == ("passed", "metrics")

    def raised(content: Any) -> Any:
        content["holdout"]["roc_auc"]["value"] += 1e-3
        return content

    edit("metrics.json", raised)
    (finding,) = scoring.metrics(one, target, names)
    assert (finding.verdict, finding.part) == ("rejected", "metrics")
    assert finding.reason.startswith("roc_auc is 0.")
    assert "; " not in finding.reason


def test_a_metric_that_is_measured_must_be_there(
    one: Judged, target: np.ndarray, edit: Edit
) -> None:
    def without(content: Any) -> Any:
        del content["holdout"]["roc_auc"]
        return content

    edit("metrics.json", without)
    (finding,) = scoring.metrics(one, target, ["roc_auc"])
    assert (finding.verdict, finding.part) == ("rejected", "metrics")
    assert "lacks roc_auc" in finding.reason
    assert scoring.metrics(one, target, ["log_loss"])[0].verdict == "passed"
    edit("metrics.json", lambda content: content | {"holdout": {}})
    (finding,) = scoring.metrics(one, target, [])
    assert (finding.verdict, finding.part) == ("rejected", "metrics")


def test_a_metric_that_only_the_branch_knows_is_named_and_the_others_are_checked(
    one: Judged, target: np.ndarray, edit: Edit
) -> None:
    edit("metrics.json", lambda content: brought(content, 0.0))
    told = scoring.metrics(one, target, ["novelty", "roc_auc"], "main")
    assert [(found.verdict, found.part) for found in told] == [
        ("not applicable", "novelty"),
        ("passed", "metrics"),
    ]
    assert "not known to main yet: not checked" in told[0].reason
    edit("metrics.json", lambda content: brought(content, 1e-3))
    told = scoring.metrics(one, target, ["novelty", "roc_auc"], "main")
    assert [found.verdict for found in told] == ["not applicable", "rejected"]
    assert scoring.metrics(one, target, ["absent"])[-1].verdict == "rejected"


def brought(content: Any, off: float) -> Any:
    content["holdout"]["novelty"] = {"value": 3.0, "low": 2.0, "high": 4.0}
    content["holdout"]["roc_auc"]["value"] += off
    return content


@pytest.mark.parametrize(
    ("value", "carried", "agree"),
    [
        (0.5, 0.5 + 0.9e-5, True),
        (0.5, 0.5 + 1.2e-5, False),
        (1000.0, 1000.009, True),
        (1000.0, 1000.02, False),
        (math.nan, None, True),
        (math.inf, None, True),
        (0.5, None, False),
        (1.0, True, False),
        (math.nan, True, False),
        (0.5, "0.5", False),
        (math.nan, "x", False),
        (1.0, 1, True),
    ],
)
def test_figures_agree_within_the_tolerance(value: float, carried: Any, agree: bool) -> None:
    assert scoring._agree(value, carried) is agree


def test_the_farthest_is_relative_above_one() -> None:
    found = farthest(np.array([0.5, 110.0]), np.array([0.25, 100.0]))
    assert found == pytest.approx(0.25)
    assert farthest(np.array([-120.0, 0]), np.array([-100.0, 0])) == pytest.approx(0.2)
    assert farthest(np.zeros(2), np.zeros(3)) == math.inf


def test_a_model_that_skips_rows_or_says_no_number_is_refused(trained: Path, folder: Path) -> None:
    loaded = in_process(folder)
    for answer, said in (
        (lambda matrix: np.full(len(matrix) - 1, 0.5), r"rows got \d+ predictions"),
        (
            lambda matrix: np.where(matrix[:, 0] > 0, np.nan, 0.5),
            r"\d of its predictions",
        ),
    ):
        other = msgspec.structs.replace(loaded, model=loaded.model._replace(answer=answer))
        with pytest.raises(Exception, match=said):
            scoring.judged(folder, other, trained / HOLDOUT)


def test_a_column_that_is_gone_is_named(trained: Path, folder: Path, asked: Settings) -> None:
    bundle = in_process(folder)
    inputs = (*bundle.encoder.inputs, "moon", "sun")
    lacking = msgspec.structs.replace(bundle, encoder=bundle.encoder._replace(inputs=inputs))
    with pytest.raises(ScoringError, match=r"no column moon, sun$"):
        scoring.judged(folder, lacking, trained / HOLDOUT)


def test_the_champion_answers_by_its_own_contract(
    trained: Path, folder: Path, one: Judged, asked: Settings
) -> None:
    found = rescored(Champion(folder, "x"), in_process(folder), asked.data, trained / HOLDOUT)
    np.testing.assert_array_equal(found.predictions, one.predictions)
    assert found.folder == folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "multiclass"}, "its task is 'binary', today's is 'multiclass'"),
        ({"target": "other"}, "its target is 'churned', today's is 'other'"),
        ({"labels": ("no", "yes")}, r"its classes is .*, today's is \('no', 'yes'\)"),
    ],
)
def test_a_champion_for_something_else_is_not_compared(
    trained: Path, folder: Path, asked: Settings, change: dict[str, Any], said: str
) -> None:
    class Today:
        task, target, labels = asked.data.task, asked.data.target, asked.data.labels

    for name, value in change.items():
        setattr(Today, name, value)
    with pytest.raises(ScoringError, match=said):
        rescored(Champion(folder, "x"), in_process(folder), Today, trained / HOLDOUT)
