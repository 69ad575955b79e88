import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.evaluation import evaluate as stage
from mlops.evaluation.evaluate import EvaluationError


def test_a_model_is_measured_and_explained(case: Any) -> None:
    found = stage.evaluation(*case)
    assert list(found.measurement.overall) == case.settings.evaluation.metrics
    assert found.measurement.rows == 400
    assert found.importances[0].feature == "signal"
    assert found.importances[0].drop > 0
    assert stage.evaluation(*case).measurement.figures() == found.measurement.figures()


@pytest.mark.parametrize(
    ("rows", "said"),
    [(0, "no rows: .*split.holdout"), (9, "every one of the 9 holdout rows has y 'true', so no")],
)
def test_a_holdout_that_can_tell_nothing_is_refused_and_nothing_written(
    binary_case: Any, tmp_path: Path, rows: int, said: str
) -> None:
    table = {
        name: pa.array(np.ones(rows))
        for name, column in binary_case.settings.data.columns.items()
        if column.type in ("number", "integer")
    }
    table |= {name: pa.array([True] * rows, pa.bool_()) for name in ("flag", "y")}
    labels = [n for n, c in binary_case.settings.data.columns.items() if c.type == "category"]
    table |= {name: pa.array(["x"] * rows, pa.string()) for name in labels}
    pq.write_table(pa.table(table), tmp_path / "holdout.parquet")
    out = tmp_path / "reports"

    with pytest.raises(EvaluationError, match=said):
        stage.evaluate(binary_case.settings, tmp_path / "holdout.parquet", tmp_path, out)
    assert not out.exists()


def test_the_stage_writes_metrics_plots_and_report(trained: Path) -> None:
    figures = json.loads((trained / "reports/metrics.json").read_text())
    assert figures["holdout"]["roc_auc"]["low"] < figures["holdout"]["roc_auc"]["high"]
    assert figures["rows"]["holdout"] > 0
    slices = json.loads((trained / "reports/slices.json").read_text())
    assert any("roc_auc" in figures for figures in slices.values())
    assert (trained / "reports/plots/roc.csv").exists()
    html = (trained / "reports/report.html").read_text()
    assert re.search(r"<h3>ROC AUC</h3>", html)
