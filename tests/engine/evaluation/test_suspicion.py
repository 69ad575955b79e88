from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.contract import Column, Contract
from mlops.evaluation.evaluate import evaluation
from mlops.evaluation.importance import Importance
from mlops.evaluation.report.page import page
from mlops.evaluation.suspicion import scarce, suspicions, too_good

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 300)
BINARY = (CLASSES > 0).astype(np.int64)
NUMBERS = RNG.normal(size=300)


def importances(*drops: float) -> list[Importance]:
    return [Importance(f"f{n}", drop, 0.0) for n, drop in enumerate(drops)]


@pytest.mark.parametrize(
    ("task", "target", "predictions"),
    [
        ("binary", BINARY, BINARY * 0.8 + 0.1),
        ("multiclass", CLASSES, np.eye(3)[CLASSES]),
        ("regression", NUMBERS, NUMBERS + RNG.normal(scale=0.05, size=300)),
    ],
)
def test_a_score_that_is_too_good_is_said(task: Any, target: Any, predictions: Any) -> None:
    (said,) = too_good(task, target, predictions)
    assert "is too good to be true for most questions" in said


@pytest.mark.parametrize(
    ("task", "target", "predictions"),
    [
        ("binary", BINARY, BINARY * 0.3 + 0.7 * RNG.random(300)),
        ("binary", np.zeros(300, dtype=np.int64), RNG.random(300)),  # undefined is not too good
        ("multiclass", CLASSES, np.full((300, 3), 1 / 3)),
        ("regression", NUMBERS, NUMBERS + RNG.normal(scale=0.5, size=300)),
    ],
)
def test_an_honest_score_is_not(task: Any, target: Any, predictions: Any) -> None:
    assert too_good(task, target, predictions) == []


def test_a_model_that_leans_on_one_feature_is_said() -> None:
    (said,) = suspicions("regression", NUMBERS, NUMBERS * 0, importances(0.45, 0.02, -0.01, 0.01))
    assert said.startswith("the model leans on f0, which carries 94% of what its 4 features")


def test_a_score_that_is_too_good_names_what_it_rests_on() -> None:
    (said,) = suspicions("regression", NUMBERS, NUMBERS, importances(0.1, 0.5, -0.1, 0.3, 0.1))
    assert said.endswith("known when predicting? It rests most on f1 (50%), f3 (30%), f0 (10%)")
    first, second = suspicions("regression", NUMBERS, NUMBERS, importances(0.9, 0.01, 0.01))
    assert first.endswith("known when predicting?")  # the next line names it
    assert "leans on f0" in second
    (said,) = suspicions("regression", NUMBERS, NUMBERS, importances(0.0, -0.1))
    assert said.endswith("known when predicting?")


@pytest.mark.parametrize("drops", [(0.3, 0.2, 0.1), (0.5, 0.01), (0.05, 0.001, 0.001), (-0.1,) * 3])
def test_one_that_does_not_is_not(drops: tuple[float, ...]) -> None:
    assert suspicions("regression", NUMBERS, NUMBERS * 0, importances(*drops)) == []


def test_the_report_says_it_above_the_rest(binary_case: Any) -> None:
    from mlops.evaluation.evaluate import evaluation

    found = evaluation(*binary_case)
    shown = binary_case.settings, found.measurement, binary_case.target, found.predictions
    html = page(*shown, found.importances, {}, told=["too good <to> be true"])
    assert "Look at this first" in html
    assert "too good &lt;to&gt; be true" in html
    assert "Look at this first" not in page(*shown, found.importances, {})


def scarcely(binary_case: Any, target: Any) -> list[str]:
    return scarce(binary_case.settings, np.asarray(target))


def test_six_positives_are_said_with_what_would_be_enough(binary_case: Any) -> None:
    (said,) = scarcely(binary_case, [0] * 394 + [1] * 6)
    assert said == (
        "y is 'true' in 6 of 400 holdout rows, too few to tell one model from another: 20 of each "
        "class would do, which is about 100 in data/raw"
    )
    assert scarcely(binary_case, [0] * 380 + [1] * 20) == []


def test_of_many_rare_classes_three_are_named(binary_case: Any) -> None:
    columns = {
        "x": Column("number"),
        "y": Column("category", role="target", categories=list("abcde")),
    }
    settings = msgspec.structs.replace(
        binary_case.settings, data=Contract("t", "multiclass", columns)
    )
    (said,) = scarce(settings, np.repeat(np.arange(5), [50, 4, 3, 2, 1]))
    assert "y is 'e' in 1, 'd' in 2, 'c' in 3 of 60 holdout rows (1 more classes" in said


def test_few_numbers_are_said(binary_case: Any) -> None:
    columns = {"x": Column("number"), "y": Column("number", role="target")}
    settings = msgspec.structs.replace(
        binary_case.settings, data=Contract("t", "regression", columns)
    )
    assert "49 holdout rows are too few" in scarce(settings, RNG.normal(size=49))[0]
    assert scarce(settings, RNG.normal(size=50)) == []


def test_no_interval_is_said_in_words(binary_case: Any) -> None:
    target = np.zeros(400, dtype=np.int64)
    target[:2] = 1
    case = binary_case._replace(target=target)
    found = evaluation(*case)
    html = page(case.settings, found.measurement, target, case.predictions, found.importances, {})
    assert "no interval: too few rows" in html
    assert "undefined to undefined" not in html
