"""What an owner writes is imported where it is, and said to be broken where it is."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from baked import SOURCE

from mlops import owner
from mlops.gate import rule
from mlops.gate.rule import PolicyError
from mlops.metrics import catalogue
from mlops.metrics.catalogue import MetricError, metric
from mlops.policy.rule import found

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module of an owner who has nothing else."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("policy")}
    monkeypatch.syspath_prepend(tmp_path / "src")
    found.cache_clear()

    def put(name: str, text: str) -> None:
        place = tmp_path / "src" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "__init__.py").touch()
        place.write_text(text)

    yield put
    for name in [name for name in sys.modules if name.startswith("policy")]:
        del sys.modules[name]
    sys.modules.update(kept)
    found.cache_clear()


def test_a_module_is_imported_where_it_is_there(write: Write) -> None:
    write("policy/metrics.py", "ANSWER = 42\n")
    assert vars(owner.module("policy.metrics") or object)["ANSWER"] == 42
    assert owner.module("policy.rules") is None
    assert owner.module("nothing.here") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\nimport nothing_of_this_name\n", r"^src/policy/metrics.py:3 .*ModuleNotFoundError"),
        ("x = 1\ndef f(:\n", r"^src/policy/metrics.py:2 .*SyntaxError"),
        ("def f():\n    return 1 / 0\nf()\n", r"^src/policy/metrics.py:2 .*ZeroDivisionError"),
        (
            "from mlops.metrics.catalogue import metric\n"
            '@metric(title="x", greater_is_better=True, tasks=["binary"])\n'
            "def roc_auc(target, predictions, weights):\n    return 0.0\n",
            r"^src/policy/metrics.py:\d .*there is a metric roc_auc already",
        ),
    ],
)
def test_what_cannot_be_imported_is_told_with_its_line(write: Write, text: str, said: str) -> None:
    write("policy/metrics.py", text)
    with pytest.raises(owner.OwnerError, match=said):
        catalogue.known()


@pytest.mark.parametrize("said", ["1 / 0", "raise SystemExit('no')"])
def test_a_package_that_cannot_be_imported_is_told_too(write: Write, said: str) -> None:
    write("policy/metrics.py", "")
    write("policy/__init__.py", f"\n{said}\n")
    with pytest.raises(owner.OwnerError, match=r"^src/policy/__init__.py:2 cannot be imported"):
        owner.module("policy.metrics")


def test_an_owners_metric_stands_beside_ours(write: Write) -> None:
    write(
        "policy/metrics.py",
        "from mlops.metrics.catalogue import metric\n"
        '@metric(title="Share", greater_is_better=True, tasks=["binary"], vectorised=True)\n'
        "def share(target, predictions, weights, threshold):\n"
        "    return weights @ (predictions > threshold) / weights.sum(axis=1)\n",
    )
    assert catalogue.allowed("binary")[-1] == "share"
    assert "share" not in catalogue.allowed("regression")
    import numpy as np

    target, said = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.6])
    found = catalogue.compute("binary", ["share"], target, said, [1, 1, 2, 0], threshold=0.3)
    assert found == {"share": 0.75}


@pytest.mark.parametrize(
    ("body", "said"),
    [("1 / 0", "fails .ZeroDivisionError"), ("[1.0, 2.0]", "returned values of shape")],
)
def test_a_metric_that_fails_is_named(write: Write, body: str, said: str) -> None:
    write(
        "policy/metrics.py",
        "from mlops.metrics.catalogue import metric\n"
        '@metric(title="x", greater_is_better=True, tasks=["regression"])\n'
        f"def wrong(target, predictions, weights):\n    return {body}\n",
    )
    import numpy as np

    with pytest.raises(MetricError, match=rf"the metric wrong \(src/policy/metrics.py:2\) {said}"):
        catalogue.compute("regression", ["wrong"], np.ones(3), np.ones(3))


def test_a_metric_of_no_task_is_refused() -> None:
    with pytest.raises(MetricError, match="binary, multiclass, regression"):
        metric(title="x", greater_is_better=True, tasks=[])


def test_a_rule_of_the_owners_is_found_and_a_taken_name_refused(write: Write) -> None:
    text = "from mlops.gate.rule import Rule\n\nclass {}(Rule, frozen=True):\n    pass\n"
    write("policy/rules.py", text.format("Own"))
    assert "own" in rule.rules()
    found.cache_clear()
    del sys.modules["policy.rules"]
    write("policy/rules.py", text.format("Parity") + "# longer, so that no bytecode stands in\n")
    with pytest.raises(PolicyError, match=r"named parity: rename the one in src/policy/rules.py"):
        rule.rules()


def test_the_documented_metrics_are_metrics(write: Write) -> None:
    docs = (SOURCE / "engine/docs/gate.md").read_text()
    section = docs.partition("## A metric of your own")[2]
    write("policy/metrics.py", section.partition("```python\n")[2].partition("```")[0])
    assert catalogue.allowed("binary")[-1] == "calls_per_churner"
    target, said = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.7, 0.9, 0.8, 0.1])
    given = (target, said, [1, 1, 1, 5])
    assert catalogue.compute("binary", ["calls_per_churner"], *given) == {"calls_per_churner": 1.5}
    assert catalogue.compute("regression", ["bias"], *given) == {"bias": pytest.approx(0.1125)}
