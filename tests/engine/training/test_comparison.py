"""Models are compared on the same folds of the training rows, with honest intervals."""

import math
from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.cli import main
from mlops.config.settings import Model, Settings, load
from mlops.evaluation.report.models import page
from mlops.metrics.bootstrap import Estimate
from mlops.metrics.catalogue import known
from mlops.training.comparison import Compared, _interval, compare, shown


def models(trained: Path, **targets: tuple[str, dict[str, Any]]) -> dict[str, Settings]:
    settings = load(trained / "resolved.yaml")
    made = {
        name: Model(target, "imputed", ["binary"], parameters)
        for name, (target, parameters) in targets.items()
    }
    return {name: msgspec.structs.replace(settings, model=one) for name, one in made.items()}


FOREST = ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 20, "min_samples_leaf": 5})
DUMMY = ("sklearn.dummy.DummyClassifier", {"strategy": "prior"})


def test_the_best_is_first_and_what_others_lack_is_said(trained: Path) -> None:
    asked = models(trained, dummy=DUMMY, forest=FOREST)
    rows = compare(asked, 3, trained / "data/prepared")
    assert [row.name for row in rows] == ["forest", "dummy"]
    assert rows[0].behind is None
    assert rows[1].behind is not None
    assert rows[1].behind.high < 0
    assert rows[0].score.low < rows[0].score.value < rows[0].score.high
    assert all(row.seconds > 0 for row in rows)
    text = shown(rows, "ROC AUC")
    assert text.splitlines()[1].startswith("forest")
    assert "`dvc exp run -S model.use=forest`" in text
    html = page(asked["forest"], rows, 3)
    assert html.count("whisker") >= 2
    assert "forest" in html


def test_equals_could_be_equal(trained: Path) -> None:
    rows = compare(models(trained, one=FOREST, two=FOREST), 3, trained / "data/prepared")
    assert "could be none" in shown(rows, "ROC AUC")


def test_one_that_cannot_be_fitted_is_said_and_left_out(trained: Path) -> None:
    said: list[str] = []
    absent = ("absent.Model", {})
    asked = models(trained, forest=FOREST, absent=absent)
    rows = compare(asked, 3, trained / "data/prepared", said.append)
    assert [row.name for row in rows] == ["forest"]
    assert said[0].startswith("absent: model._target_ absent.Model is not allowed")


def test_intervals_hold_what_folds_share() -> None:
    """Scores that vary by 1 over five folds, by formula; without what folds share it is 1.24."""
    values = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) / np.sqrt(0.625)
    found = _interval(values, 0.25)
    assert found.high == pytest.approx(2.7764 * np.sqrt(1 / 5 + 0.25), abs=1e-3)
    assert found.low == pytest.approx(-found.high)


@pytest.mark.parametrize(
    ("name", "scores", "least", "most"),
    [
        ("rmse", [0.1, 0.2, 9.0], 0, math.inf),
        ("mae", [0.1, 0.2, 9.0], 0, math.inf),
        ("log_loss", [0.1, 0.2, 9.0], 0, math.inf),
        ("brier", [0.0, 0.1, 2.0], 0, 2),
        ("r2", [-3.0, 0.9, 1.0], -math.inf, 1),
        ("roc_auc", [0.5, 1.0, 1.0], 0, 1),
    ],
)
def test_no_interval_reaches_where_no_value_can_lie(
    name: str, scores: list[float], least: float, most: float
) -> None:
    free = _interval(np.array(scores), 0.5)
    assert not least <= free.low <= free.high <= most  # it would, uncut
    found = known()[name].within(free)
    assert least <= found.low <= found.value <= found.high <= most
    assert (found.low == free.low) == (free.low >= least)
    assert (found.high == free.high) == (free.high <= most)


def test_a_table_says_where_intervals_were_cut() -> None:
    def told(low: float) -> str:
        rows = [Compared("ridge", Estimate(2.6, low, 5.4), None, 0.1)]
        return shown(rows, "RMSE")

    assert "Intervals end where RMSE does\nTo adopt" in told(0)
    assert "Intervals end" not in told(-0.2)  # as long on both sides


def test_an_undefined_interval_stays_so() -> None:
    found = known()["rmse"].within(Estimate(1.0, math.nan, math.nan, 9))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_verb_takes_the_models_of_conf(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(trained):
        assert main(["compare", "dummy", "logistic", "--folds", "2"]) == 0
        assert "logistic" in Path("reports/models.html").read_text()
        assert main(["compare", "ridge"]) == 2
    told = capsys.readouterr()
    assert told.out.splitlines()[1].startswith("logistic")
    assert "none of these models does the task" in told.err
