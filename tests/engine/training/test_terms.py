"""Terms are those of the fitted model, and of no other answer than its own."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops.contract import Task
from mlops.runtime.model import estimator, farthest, onnx
from mlops.runtime.terms import TERMS, Terms
from mlops.training.terms import read, write
from mlops.training.trees import conversion

from .trees import ensembles

NAMES = [f"column_{place}" for place in range(ensembles.WIDTH)]
CASES = ensembles.interpret()
RNG = np.random.default_rng(3)
MATRIX = ensembles.matrix(200, RNG)
TARGETS = ensembles.targets(MATRIX, RNG)
SMALL: dict[str, Any] = {"outer_bags": 1, "max_rounds": 5, "interactions": 0, "n_jobs": 1}
classify = partial(ExplainableBoostingClassifier, **SMALL)
number = partial(ExplainableBoostingRegressor, **SMALL)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_they_add_up_to_every_answer(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = ensembles.fitted(case, 0)
    write(model, case.task, NAMES, tmp_path)
    terms = msgspec.json.decode((tmp_path / TERMS).read_bytes(), type=Terms)
    trees = conversion.read(model)
    assert trees is not None
    rows = ensembles.asked(trees.ensemble.thresholds(), 3000, 5)
    answers = terms.answers(dict(zip(NAMES, rows.T.astype(np.float64), strict=True)))
    assert farthest(answers, estimator(model, case.task)(rows), case.task) < 1e-12
    served = onnx(trees.onnx(case.task, ensembles.WIDTH), case.task)(rows)
    assert farthest(served, answers, case.task) < 1e-6
    explained = {term.name: term for term in terms.terms}
    assert set(explained) >= set(NAMES)
    pairs = [term for term in terms.terms if len(term.axes) == 2]
    assert len(pairs) == (0 if case.task == "multiclass" else 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "task", "target"),
    [
        (CalibratedClassifierCV(classify(), ensemble=False, cv=2), "binary", "binary"),
        (
            TransformedTargetRegressor(number(), func=np.log, inverse_func=np.exp),
            "regression",
            "positive",
        ),
        (make_pipeline(SimpleImputer(strategy="median"), classify()), "binary", "binary"),
        (make_pipeline(SimpleImputer(strategy="median"), LogisticRegression()), "binary", "binary"),
    ],
)
def test_what_is_around_a_sum_makes_another_answer(
    model: Any, task: Task, target: str, tmp_path: Path
) -> None:
    fitted = model.fit(MATRIX, TARGETS[target])
    assert read(fitted, NAMES) is None
    write(fitted, task, NAMES, tmp_path)
    assert not list(tmp_path.iterdir())


class Renamed(ExplainableBoostingClassifier):  # type: ignore[misc]
    """An owner's, that answers as it was."""


class Cautious(ExplainableBoostingClassifier):  # type: ignore[misc]
    """An owner's, that answers otherwise than its terms add up."""

    def predict_proba(self, matrix: Any) -> Any:
        """Answer halfway to even odds."""
        return (super().predict_proba(matrix) + 0.5) / 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "there"), [(Renamed, True), (Cautious, False)])
def test_an_owners_class_has_terms_where_it_answers_by_them(
    kind: Any, there: bool, tmp_path: Path
) -> None:
    fitted = kind(**SMALL).fit(MATRIX, TARGETS["binary"])
    write(fitted, "binary", NAMES, tmp_path)
    assert (tmp_path / TERMS).is_file() == there
