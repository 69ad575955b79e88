"""What a batch asks is told by the seed and what finished, and every shipped model can be asked."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from baked import SOURCE

from mlops.config.compose import composed
from mlops.config.experiment import choices
from mlops.config.settings import Model, SearchRange, Training
from mlops.contract import Task
from mlops.features.encoding import Encoder
from mlops.training import estimators
from mlops.training.sampling import Sampler
from mlops.training.study import Trial

SEARCH = {
    "rate": SearchRange(low=0.001, high=1.0, log=True),
    "kind": SearchRange(choices=["plain", None]),
}
ENCODER = Encoder(("a", "b", "c"), ("a", "b", "c"), (2,), ("a", "b", "c"), {})
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
COUNTS = ("n_estimators", "max_iter", "iterations")  # of which fewer show as much
SEARCHED = [name for name in choices(SOURCE / "conf", "model") if name != "dummy"]


def sampler(**changes: Any) -> Sampler:
    given: dict[str, Any] = {"seed": 3, "batch": 4, "first": {}}
    return Sampler(SEARCH, "minimize", **given | changes)


def trials(asked: list[dict[str, Any]], begin: int = 0) -> list[Trial]:
    return [Trial(n, given, (given["rate"],) * 2) for n, given in enumerate(asked, begin)]


def test_a_batch_is_told_by_the_seed_and_the_earlier_ones() -> None:
    first = sampler().batch([])
    assert first == sampler().batch([])
    assert first != sampler(seed=4).batch([])
    assert len({given["rate"] for given in first}) == 4
    second = sampler().batch(trials(first))
    assert second == sampler().batch(trials(first))
    assert not [given for given in second if given in first]
    third = trials([*first, *second, *sampler().batch(trials([*first, *second]))])
    found = sampler().batch(third)
    assert found == sampler().batch(third)
    better = [*third[:-1], Trial(11, third[-1].parameters, (-1.0, -1.0))]
    assert found != sampler().batch(better) == sampler().batch(better)


def test_what_was_ended_early_or_not_finite_is_told_too() -> None:
    """As no success, or all of them would be asked again."""
    known = trials([{"rate": 0.01 * n, "kind": None} for n in range(1, 13)])
    ended = [Trial(t.number, t.parameters, t.scores[:1], pruned=t.number < 6) for t in known]
    odd = [Trial(t.number, t.parameters, (float("nan"),)) for t in known]
    found = [sampler().batch(given) for given in (known, ended, odd)]
    assert found[0] != found[1]
    assert not [given for given in found[2] if given in [trial.parameters for trial in odd]]


@cache
def model(name: str, task: Task) -> Model:
    content = composed(SOURCE / "conf", {"model": {"use": name}, "data": {"task": task}})
    return Model.parse(content["model"])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", SEARCHED)
def test_the_first_trial_of_each_model_is_its_file(name: str, task: Task) -> None:
    """A range without the configured value would leave out the model that the owner has."""
    shipped = model(name, task)
    if task not in shipped.tasks:
        return
    asked = Sampler(shipped.search, "minimize", seed=1, batch=1, first=shipped.parameters)
    for parameter, value in asked.batch([])[0].items():
        # A range by powers ends above 0, which is the same to a model.
        assert value == pytest.approx(shipped.parameters[parameter], abs=1e-4), parameter


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", SEARCHED)
def test_the_ends_of_each_range_can_be_fitted(
    name: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SOURCE)
    shipped = model(name, task)
    if task not in shipped.tasks:
        return
    generator = np.random.default_rng(5)
    matrix = generator.normal(size=(150, 3)).astype(np.float32)
    matrix[:, 2] = generator.integers(0, 3, 150)
    matrix[::10, 0] = np.nan
    target = np.digitize(np.nan_to_num(matrix[:, 0]), [0] if task == "binary" else [-0.5, 0.5])
    found = []
    for end in ("low", "high"):
        changes = {key: getattr(space, end) for key, space in shipped.search.items()}
        whole = {key: int(changes[key]) for key, space in shipped.search.items() if space.integer}
        fewer = {
            key: 20 for key in COUNTS if key in shipped.parameters and shipped.inputs != "onehot"
        }
        if name == "ebm":
            fewer |= {"outer_bags": 1, "max_rounds": 20}
        asked = {**changes, **whole, **fewer}
        built = estimators.build(shipped, Training(), task, ENCODER, 1, changes=asked)
        told = ENCODER.categorical if shipped.inputs == "categories" else ()
        fitted: Any = estimators.fit(built, matrix, target, categorical=told)
        ask = fitted.predict if task == "regression" else fitted.predict_proba
        found.append(ask(matrix))
    assert np.isfinite(found).all()
    assert (found[0] != found[1]).any()  # what is searched is heard


def test_curves_of_several_classes_stay_curves() -> None:
    """Pairs of several classes are not drawn."""
    assert model("ebm", "multiclass").search["interactions"].high == 0
    assert model("ebm", "binary").search["interactions"].high == 20
