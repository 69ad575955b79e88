"""A predictor answers as `mlops predict` does, and says it as JSON."""

import gc
import json
import weakref
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweeps import THOROUGH

from mlops.contract import Contract
from mlops.serving import batch, unfit
from mlops.serving.cells import read
from mlops.serving.loading import load
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem

ARROW = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "datetime": pa.timestamp("us"),
}

# Each of 20 rows and more: 10,000 rows with MLOPS_THOROUGH=1.
EXAMPLES = 500 if THOROUGH else 8


def tabled(rows: list[dict[str, Any]], champion: Predictor) -> pa.Table:
    """Return the rows of requests as the table that `mlops predict` is given."""
    columns = champion.schema.columns
    return pa.table(
        {
            name: pa.array([read(row[name], column) for row in rows], ARROW[column.type])
            for name, column in columns.items()
        }
    )


def assert_equal_to_batch(
    rows: list[dict[str, Any]], champion: Predictor, bundle: Path, folder: Path
) -> None:
    pq.write_table(tabled(rows, champion), folder / "rows.parquet")
    batch.predict(folder / "rows.parquet", folder / "out.parquet", bundle)
    expected = pd.read_parquet(folder / "out.parquet")
    decoded = champion.decode(json.dumps(rows).encode())
    answer = json.loads(champion.answer(champion.predict(champion.matrix(decoded)), "r"))
    given = pd.DataFrame([one["probabilities"] for one in answer["predictions"]])
    assert [one["prediction"] for one in answer["predictions"]] == list(expected["prediction"])
    np.testing.assert_allclose(given["true"], expected["probability_true"], rtol=0, atol=1e-6)


def test_raw_rows_are_answered_as_a_table_is(
    champion: Predictor, bundle_folder: Path, trained: Path, tmp_path: Path
) -> None:
    raw = pd.read_parquet(trained / "data/raw/2025-01.parquet").head(300)
    columns = champion.schema.columns
    rows = [
        {name: sent(row[name], columns[name].type) for name in columns}
        for row in raw.to_dict("records")
    ]
    assert_equal_to_batch(rows, champion, bundle_folder, tmp_path)


def sent(value: Any, kind: str) -> Any:
    """Return a cell of a frame as a client sends it."""
    if pd.isna(value):
        return None
    if kind == "datetime":
        return value.isoformat()
    return int(value) if kind == "integer" else value


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_valid_rows_are_answered_as_a_table_is(
    data: st.DataObject,
    champion: Predictor,
    valid: st.SearchStrategy[dict[str, Any]],
    bundle_folder: Path,
    tmp_path: Path,
) -> None:
    rows = data.draw(st.lists(valid, min_size=20, max_size=40))
    with patch.object(unfit, "FEWEST", len(rows) + 1):  # most labels are undeclared in some of them
        assert_equal_to_batch(rows, champion, bundle_folder, tmp_path)


# A cell as a table writes it, and whether it has an answer.
CELLS = [
    ("plan", "basic", True),
    ("plan", " basic", True),
    ("plan", "platinum", True),
    ("plan", "", False),
    ("plan", "NA", False),
    ("plan", None, False),
    ("region", "", True),
    ("region", None, True),
    ("auto_renew", "Yes", True),
    ("auto_renew", "f", True),
    ("auto_renew", "1", True),
    ("auto_renew", None, False),
    ("monthly_fee", None, False),
    ("usage_hours", None, True),
    ("billed_at", "2025-03-01", True),
    ("billed_at", "2025-03-01T10:00:00+02:00", True),
]


@pytest.mark.parametrize(("name", "cell", "answered"), CELLS)
def test_a_cell_is_read_alike_at_both_doors(
    name: str,
    cell: str | None,
    answered: bool,
    champion: Predictor,
    golden: list[dict[str, Any]],
    bundle_folder: Path,
    tmp_path: Path,
) -> None:
    row = golden[0] | {name: cell}
    pd.DataFrame([row]).to_csv(tmp_path / "rows.csv", index=False)
    batch.predict(tmp_path / "rows.csv", tmp_path / "out.parquet", bundle_folder)
    (scored,) = pd.read_parquet(tmp_path / "out.parquet").to_dict("records")
    body = json.dumps(row).encode()
    if answered:
        (probability,) = champion.answered(champion.decode(body))
        assert scored["probability_true"] == pytest.approx(float(probability), abs=1e-6)
    else:
        with pytest.raises(Problem, match=name):
            champion.answered(champion.decode(body))
        assert pd.isna(scored["prediction"])


def test_rows_together_are_answered_as_alone(
    champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    rows = champion.decode(json.dumps(golden).encode())
    together = champion.predict(champion.matrix(rows))
    alone = [champion.predict(champion.matrix([row]))[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-7)


def test_answer_of_a_classifier_holds_decision_probabilities_and_names(
    champion: Predictor,
) -> None:
    answer = json.loads(champion.answer(np.array([0.25, 0.75]), "r-1"))
    assert answer == {
        "model": champion.bundle_digest,
        "threshold": 0.5,
        "request_id": "r-1",
        "predictions": [
            {"prediction": "false", "probabilities": {"false": 0.75, "true": 0.25}},
            {"prediction": "true", "probabilities": {"false": 0.25, "true": 0.75}},
        ],
    }


def test_probability_at_the_threshold_decides_for_the_first_label(champion: Predictor) -> None:
    answer = json.loads(champion.answer(np.array([champion.threshold]), "r"))
    assert answer["predictions"][0]["prediction"] == "false"


def other(champion: Predictor, task: str, target: dict[str, Any]) -> Predictor:
    """Return a predictor of another task; its model is not asked."""
    loaded = champion.loaded
    columns = {"fee": {"type": "number"}, "y": {"role": "target", **target}}
    contract = msgspec.convert({"name": "t", "task": task, "columns": columns}, Contract)
    encoder = SimpleNamespace(inputs=("fee",))
    changed = SimpleNamespace(
        contract=contract,
        encoder=encoder,
        settings=loaded.settings,
        model=loaded.model,
        intervals=None,
        decision=None,
        expected=None,
        actions=(),
    )
    return Predictor(changed, "d" * 64)  # type: ignore[arg-type]


def test_answer_of_several_classes_takes_the_first_of_the_largest(champion: Predictor) -> None:
    labels = ["50%", 'the "b"', "é"]
    predictor = other(champion, "multiclass", {"type": "category", "categories": labels})
    answer = json.loads(predictor.answer(np.array([[0.2, 0.4, 0.4]]), "r"))
    assert answer["predictions"] == [
        {"prediction": 'the "b"', "probabilities": {"50%": 0.2, 'the "b"': 0.4, "é": 0.4}}
    ]
    assert "threshold" not in answer


def test_answer_of_a_regression_is_a_number(champion: Predictor) -> None:
    predictor = other(champion, "regression", {"type": "number"})
    answer = json.loads(predictor.answer(np.array([1e-300, -2.5]), "r"))
    assert answer["predictions"] == [{"prediction": 1e-300}, {"prediction": -2.5}]


@pytest.mark.parametrize(
    ("task", "target", "predictions"),
    [
        ("binary", {"type": "boolean"}, [0.5]),
        ("multiclass", {"type": "category", "categories": ["a", "b", "c"]}, [[0.1, 0.2, 0.7]]),
        ("regression", {"type": "integer"}, [3.0]),
    ],
)
def test_answer_has_exactly_the_members_of_its_schema(
    task: str, target: dict[str, Any], predictions: list[Any], champion: Predictor
) -> None:
    predictor = other(champion, task, target)
    answer = json.loads(predictor.answer(np.array(predictions), "r"))
    schema = predictor.answer_schema()
    assert list(answer) == schema["required"]
    item = schema["properties"]["predictions"]["items"]
    assert list(answer["predictions"][0]) == item["required"]
    if task != "regression":
        assert answer["predictions"][0]["prediction"] in item["properties"]["prediction"]["enum"]


def test_it_leaves_memory_when_nobody_uses_it(bundle_folder: Path) -> None:
    predictor = load(bundle_folder)
    model = weakref.ref(predictor.loaded.model.answer)
    gc.collect()
    gc.disable()
    try:
        del predictor
        assert model() is None
    finally:
        gc.enable()


def test_datetimes_reach_the_features(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    at = champion.loaded.encoder.names.index("payment_days")
    row = golden[0] | {"billed_at": "2026-01-01", "paid_at": datetime(2026, 1, 3, 12).isoformat()}
    rows = champion.decode(json.dumps(row).encode())
    assert champion.matrix(rows)[0, at] == 2.5
