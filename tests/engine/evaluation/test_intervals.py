"""What intervals hold of the holdout is measured, shown, and named where it is too little."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.config.settings import Settings, load
from mlops.contract import Intervals as Promised
from mlops.data import prepared
from mlops.evaluation.intervals import coverage
from mlops.evaluation.measurement import measure
from mlops.evaluation.slices import slices
from mlops.evaluation.suspicion import missed
from mlops.evaluation.units import units
from mlops.runtime.intervals import INTERVALS, Intervals

Promising = Callable[[str], Path]


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_report_card_and_metrics_say_what_is_held(promising: Promising, task: str) -> None:
    project = promising(task)
    metrics = json.loads((project / "reports/metrics.json").read_text())["intervals"]
    held = metrics["coverage"]
    assert held["low"] < held["value"] < held["high"]
    assert 0.85 < held["value"] < 0.97
    parts = json.loads((project / "reports/slices.json").read_text())
    assert all(parts[f"kind={kind}"]["coverage"]["value"] > 0.8 for kind in ("flat", "villa"))
    report = (project / "reports/report.html").read_text()
    assert f"<b>{held['value']:.1%}</b>" in report
    assert "of each label of kind" in report
    assert (
        "holds the truth of 90.0% of all rows, for each kind"
        in (project / "candidate/card.md").read_text()
    )
    found = json.loads((project / "candidate" / INTERVALS).read_text())
    assert found["widths"]["villa"] > found["widths"]["flat"]
    assert found["rows"] == len(prepared.row_hashes(project / "data/prepared/calibration"))


def test_a_report_without_intervals_is_silent_of_them(trained: Path) -> None:
    assert "intervals" not in json.loads((trained / "reports/metrics.json").read_text())
    assert "promise to hold" not in (trained / "reports/report.html").read_text()
    assert not (trained / "candidate" / INTERVALS).exists()


def measured(settings: Settings, project: Path, widths: Intervals) -> Any:
    contract = settings.data
    columns = prepared.read(project / "data/prepared/holdout", contract)
    target = prepared.target(columns, contract)
    predictions = 30 + 4 * columns["size"] + 5 * columns["new"]
    parts = slices(columns, contract, settings.evaluation.slices)
    found = measure(
        "regression",
        target,
        predictions,
        parts,
        settings.evaluation,
        1,
        units(settings, columns),
    )
    return coverage(widths, settings, columns, target, predictions, found)


def test_a_slice_that_is_held_too_little_is_named_with_the_remedy(promising: Promising) -> None:
    project = promising("regression")
    settings = load(project / "resolved.yaml")
    data = msgspec.structs.replace(settings.data, intervals=Promised(0.9))
    settings = msgspec.structs.replace(settings, data=data)
    narrow = measured(settings, project, Intervals(0.9, 400, 12.0))
    assert [part.name for part, _ in narrow.missed] == ["kind=villa"]
    (said,) = missed(settings, narrow)
    assert "kind=villa" in said
    assert "`intervals: {by: kind}` in conf/data" in said
    wide = measured(settings, project, Intervals(0.9, 400, 40.0))
    assert not wide.missed
    assert not missed(settings, wide)
    assert not missed(settings, None)
    assert wide.overall.value > narrow.overall.value
    assert wide.width > narrow.width


def test_all_rows_that_are_held_too_little_are_named(promising: Promising) -> None:
    project = promising("regression")
    settings = load(project / "resolved.yaml")
    found = measured(settings, project, Intervals(0.9, 400, 0.1))
    assert np.isclose(found.width, 0.2)
    (said,) = missed(settings, found)
    assert "of all rows" in said
