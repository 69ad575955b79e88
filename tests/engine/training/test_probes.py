"""Rows made from the holdout have what the holdout itself need not have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from mlops.training import compilation
from mlops.training.compilation import CompilationError, compile_model
from mlops.training.probes import HUGE, probes
from mlops.training.trees.conversion import Trees, read

HOLDOUT = np.array([[0.5, 3.0], [1.5, 1.0], [2.5, 0.0]], np.float32)


def test_each_column_is_missing_unseen_extreme_and_on_its_thresholds() -> None:
    made = probes(HOLDOUT, {0: np.array([1.0])})
    first = made[made[:, 1] == made[:, 1]][:, 0]
    assert np.isnan(made).any(axis=0).all()
    assert {HUGE, -HUGE, np.float32(1.0), np.nextafter(np.float32(1), HUGE)} <= set(first)
    assert 4.0 in made[:, 1]
    assert np.abs(made[:, 1][np.isfinite(made[:, 1])]).max() == 4.0  # it has no threshold


def test_each_row_differs_from_the_holdout_in_one_column() -> None:
    made = probes(HOLDOUT, {0: np.array([1.0]), 1: np.array([2.0])})
    same = (made[:, None, :] == HOLDOUT[None]).sum(axis=2).max(axis=1)
    assert same.min() == 1


def test_no_row_gives_none() -> None:
    assert probes(HOLDOUT[:0], {}).shape == (0, 2)


def test_a_model_that_takes_no_missing_value_is_not_asked(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    with pytest.raises(ValueError, match="NaN"):
        model.predict_proba(probes(rows, {}))
    compiled = compile_model(model, "binary", rows, tmp_path, runtime="onnx", tolerance=1e-5)
    assert compiled.runtime == "onnx"


def test_a_file_that_errs_beyond_the_holdout_is_no_candidate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 2)).astype(np.float32)
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0)

    def shifted(fitted: Any) -> Trees:
        """Read the trees with each missing value sent the other way: no row has one."""
        trees = read(fitted)
        assert trees is not None
        turned = [tree._replace(missing=~tree.missing) for tree in trees.ensemble.trees]
        object.__setattr__(trees.ensemble, "trees", turned)
        return trees

    monkeypatch.setattr(compilation, "read", shifted)
    with pytest.raises(CompilationError, match="rows made from the holdout"):
        compile_model(model, "binary", rows, tmp_path, runtime="onnx", tolerance=1e-5)
