"""A model that is a sum of terms is explained by them, and by no others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.bundle import manifest
from mlops.bundle.manifest import BundleError
from mlops.runtime.terms import TERMS
from mlops.serving.endpoints.explain import Explained, explained
from mlops.serving.loading import load

Summed = Callable[[str], Path]
TASKS = ("binary", "multiclass", "regression")
ROWS = [
    {"size": 5.0, "kind": "flat", "new": True},
    {"size": 9.9, "kind": "villa", "new": False},
    {"size": 0.0, "kind": None, "new": True},
    {"size": 5.0, "kind": "castle", "new": True},
]


def asked(bundle: Path, rows: Any = ROWS) -> Explained:
    return explained(load(bundle), json.dumps(rows).encode(), "r")


@pytest.mark.parametrize("task", TASKS)
def test_contributions_add_up_to_what_the_model_answers(summed: Summed, task: str) -> None:
    bundle = summed(task) / "candidate"
    found = asked(bundle)
    assert (found.method, found.background, found.permutations) == ("terms", 0, 0)
    intercepts = np.array(json.loads((bundle / TERMS).read_text())["intercept"])
    for row in found.explanations:
        total = row.base + sum(each.contribution for each in row.contributions)
        assert total == pytest.approx(row.output, abs=1e-12)
        assert {each.error for each in row.contributions} == {0.0}
        if task == "regression":
            raw, base = row.prediction, intercepts[0]
        elif task == "binary":
            assert row.label == "true"
            raw, base = np.log(row.probabilities["true"] / row.probabilities["false"]), intercepts
        else:
            assert row.label == row.prediction
            logs = np.log(list(row.probabilities.values()))
            at = list(row.probabilities).index(row.label)
            raw, base = logs[at] - logs.mean(), (intercepts - intercepts.mean())[at]
        assert row.output == pytest.approx(raw, abs=1e-6)
        assert row.base == pytest.approx(base, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_each_term_stands_with_the_values_of_the_row(summed: Summed, task: str) -> None:
    for sent, row in zip(ROWS, asked(summed(task) / "candidate").explanations, strict=True):
        values = {each.feature: each.value for each in row.contributions}
        pairs = {name for name in values if " & " in name}
        assert {name: values[name] for name in values if name not in pairs} == sent
        assert len(pairs) == (0 if task == "multiclass" else 1)
        for name in pairs:
            assert values[name] == [sent[each] for each in name.split(" & ")]
        sizes = [abs(each.contribution) for each in row.contributions]
        assert sizes == sorted(sizes, reverse=True)


def test_a_missing_value_and_an_unseen_label_have_scores_of_their_own(summed: Summed) -> None:
    found = asked(summed("regression") / "candidate")
    of_kind = [
        next(each.contribution for each in row.contributions if each.feature == "kind")
        for row in found.explanations
    ]
    assert len(set(of_kind)) == len(of_kind)
    assert of_kind[3] == 0  # a label that no training row had


def test_another_model_is_explained_by_sampling(bundle_folder: Path) -> None:
    predictor = load(bundle_folder)
    assert predictor.loaded.terms is None
    golden = json.loads((bundle_folder / "golden.json").read_text())
    found = explained(predictor, json.dumps(golden[0]["row"]).encode(), "r")
    assert found.method == "sampling"
    assert found.background == len(golden)


def change(content: dict[str, Any], place: str, value: Any) -> None:
    """Set what stands at a path of keys and positions."""
    *way, last = place.split(".")
    for key in way:
        content = content[int(key) if isinstance(content, list) else key]
    content[int(last) if isinstance(content, list) else last] = value


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("intercept", [40.0], "does not add up to what the model answers"),
        ("intercept", [1.7e308], "does not add up"),
        ("terms.0.scores.0.3", 1.7e308, "does not add up"),
        ("terms.0.scores.0.3", 99.0, "does not add up"),
        ("terms.3.scores.0.20", 99.0, "does not add up"),
        ("terms.0.axes.0.edges.5", 99.0, "finite and in order"),
        ("terms", [], "does not add up"),
        ("intercept", [40.0, 1.0], "scores for each intercept"),
        ("intercept", ["x"], "cannot be read"),
        ("link", "exp", "does not add up"),
        ("link", "logistic", "the task is regression"),
        ("link", "cauchit", "cannot be read"),
        ("terms.0.axes.0.feature", "nowhere", "asks for nowhere, which is no feature"),
        ("terms.0.axes.0.feature", "new", "does not add up"),
        ("terms.0.axes.0.codes", [1.0], "either edges or codes"),
        ("terms.0.axes", [], "a term has a feature"),
        ("terms.0.scores.0", [1.0], "as many scores"),
        ("terms.0.scores", [], "scores for each intercept"),
        ("terms.0.more", 1, "unknown field"),
    ],
)
def test_terms_that_are_not_the_models_are_refused(
    summed: Summed, tmp_path: Path, place: str, value: Any, said: str
) -> None:
    bundle = Path(shutil.copytree(summed("regression") / "candidate", tmp_path / "bundle"))
    content = json.loads((bundle / TERMS).read_text())
    change(content, place, value)
    refused(bundle, json.dumps(content), said)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"link": 1e999}', "\xff"])
def test_what_is_no_terms_is_refused(summed: Summed, tmp_path: Path, text: str) -> None:
    bundle = Path(shutil.copytree(summed("regression") / "candidate", tmp_path / "bundle"))
    refused(bundle, text, "cannot be read")


def test_terms_of_another_task_are_refused(summed: Summed, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(summed("multiclass") / "candidate", tmp_path / "bundle"))
    content = json.loads((bundle / TERMS).read_text())
    content["intercept"].pop()
    for term in content["terms"]:
        term["scores"].pop()
    refused(bundle, json.dumps(content), "has scores of 2 classes, and the contract of 3")


def refused(bundle: Path, text: str, said: str) -> None:
    (bundle / TERMS).write_text(text, encoding="latin-1")
    content = manifest.read(bundle)
    manifest.write(bundle, {name: content[name] for name in content if name != "files"})
    with pytest.raises(BundleError, match=rf"^{TERMS} .*{said}.*dvc repro`$") as error:
        load(bundle)
    assert "\n" not in str(error.value)


def test_a_bundle_from_before_there_were_terms_is_explained_by_sampling(
    summed: Summed, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(summed("regression") / "candidate", tmp_path / "bundle"))
    (bundle / TERMS).unlink()
    content = manifest.read(bundle)
    manifest.write(bundle, {name: content[name] for name in content if name != "files"})
    assert asked(bundle, ROWS[:1]).method == "sampling"
