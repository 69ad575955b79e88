import csv
from pathlib import Path
from typing import Any

import pytest

from mlops.evaluation.importance import Importance
from mlops.evaluation.report import plots

FILES = {
    "regression": {"residuals.csv", "importance.csv"},
    "binary": {"roc.csv", "pr.csv", "calibration.csv", "confusion.csv", "importance.csv"},
}
FILES["multiclass"] = FILES["binary"]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_task_has_its_plots_and_they_are_small(case: Any, tmp_path: Path) -> None:
    contract = case.settings.data
    hostile = contract.name
    tables = plots.tables(
        contract, case.target, case.predictions, [Importance(hostile, 0.25, 1 / 3)]
    )
    plots.write(tmp_path / "plots", tables)

    assert {path.name for path in (tmp_path / "plots").iterdir()} == set(plots.HEADERS)
    for path in (tmp_path / "plots").iterdir():
        rows = read(path)
        assert (len(rows) > 0) == (path.name in FILES[contract.task])
        assert len(rows) <= 510
        assert None not in {value for row in rows for value in row.values()}
    found = read(tmp_path / "plots/importance.csv")
    assert found == [{"feature": hostile, "drop": "0.25", "deviation": "0.333333"}]


def test_confusion_has_a_line_for_each_row(binary_case: Any) -> None:
    data = binary_case.settings.data
    tables = plots.tables(data, binary_case.target, binary_case.predictions, [])
    pairs = list(tables["confusion.csv"])
    assert len(pairs) == len(binary_case.target)
    hits = sum(actual == predicted == "true" for actual, predicted in pairs)
    assert hits == int(((binary_case.predictions >= 0.5) & (binary_case.target == 1)).sum())


def test_confusion_of_many_rows_keeps_the_shares(
    binary_case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "CONFUSED", 40)
    data = binary_case.settings.data
    tables = plots.tables(data, binary_case.target, binary_case.predictions, [])
    pairs = list(tables["confusion.csv"])
    assert 40 <= len(pairs) <= 44
    share = sum(actual == "true" for actual, _ in pairs) / len(pairs)
    assert share == pytest.approx(binary_case.target.mean(), abs=0.1)


def test_plots_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("a\n")
    plots.write(tmp_path, {"confusion.csv": [("a", float("nan"))]})
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.csv"]
    assert (tmp_path / "confusion.csv").read_text() == "actual,predicted\na,\n"
