"""Intervals and sets reach a client the same by every way: request, table, tensors, page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from mlops.bundle import manifest
from mlops.bundle.manifest import BundleError
from mlops.runtime.intervals import INTERVALS
from mlops.serving.batch import predict
from mlops.serving.endpoints.inference_protocol import described
from mlops.serving.loading import load
from mlops.serving.predictor import Predictor
from mlops.serving.protocol import outputs

Promising = Callable[[str], Path]
ROWS = [
    {"size": 5.0, "kind": "flat", "new": True},
    {"size": 5.0, "kind": "villa", "new": True},
    {"size": 5.0, "kind": None, "new": True},
    {"size": 5.0, "kind": "castle", "new": True},
]


def asked(predictor: Predictor, rows: list[dict[str, Any]]) -> Any:
    decoded = predictor.decode(json.dumps(rows).encode())
    return json.loads(predictor.answer(predictor.answered(decoded), "r", decoded))


def test_a_request_of_a_regression_gets_an_interval(promising: Promising) -> None:
    predictor = load(promising("regression") / "candidate")
    answer = asked(predictor, ROWS)
    assert answer["coverage"] == 0.9
    widths = []
    for one in answer["predictions"]:
        low, high = one["interval"]
        assert low < one["prediction"] < high
        widths.append(high - low)
    assert widths[0] < widths[2] < widths[1]  # of no label, as wide as all rows need
    assert widths[2] == pytest.approx(widths[3])
    schema = predictor.answer_schema()
    assert "coverage" in schema["required"]
    assert schema["properties"]["predictions"]["items"]["properties"]["interval"]["minItems"] == 2


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_request_of_classes_gets_a_set(promising: Promising, task: str) -> None:
    predictor = load(promising(task) / "candidate")
    for one in asked(predictor, ROWS)["predictions"]:
        assert one["prediction"] in one["set"]
        assert set(one["set"]) <= set(one["probabilities"])
    items = predictor.answer_schema()["properties"]["predictions"]["items"]
    assert set(items["required"]) == {"prediction", "probabilities", "set"}


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_table_gets_what_a_request_gets(promising: Promising, task: str, tmp_path: Path) -> None:
    bundle = promising(task) / "candidate"
    pd.DataFrame(ROWS[:3]).to_csv(tmp_path / "rows.csv", index=False)
    predict(tmp_path / "rows.csv", tmp_path / "out.parquet", bundle)
    table = pd.read_parquet(tmp_path / "out.parquet")
    for place, one in enumerate(asked(load(bundle), ROWS[:3])["predictions"]):
        row = table.iloc[place]
        if task == "regression":
            assert [row["prediction_low"], row["prediction_high"]] == one["interval"]
        else:
            names = [c for c in table.columns if c.startswith("in_set_") and row[c]]
            assert [name.removeprefix("in_set_") for name in names] == one["set"]


def test_a_row_that_cannot_be_scored_has_no_interval(promising: Promising, tmp_path: Path) -> None:
    rows = pd.DataFrame([*ROWS[:2], {"size": None, "kind": "flat", "new": True}])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    predict(tmp_path / "rows.csv", tmp_path / "out.csv", promising("regression") / "candidate")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["prediction_low"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("task", "name", "kind", "shape"),
    [("regression", "interval", "FP64", (4, 2)), ("multiclass", "set", "BOOL", (4, 3))],
)
def test_tensors(
    promising: Promising, task: str, name: str, kind: str, shape: tuple[int, int]
) -> None:
    predictor = load(promising(task) / "candidate")
    decoded = predictor.decode(json.dumps(ROWS).encode())
    loaded = predictor.loaded
    found = outputs(
        predictor.answered(decoded),
        loaded.contract,
        0.5,
        loaded.intervals,
        predictor.codes(decoded),
    )
    (tensor,) = [one for one in found if one.name == name]
    assert (tensor.datatype, tensor.values.shape) == (kind, shape)
    answers = asked(predictor, ROWS)["predictions"]
    if task == "regression":
        assert tensor.values.tolist() == [one["interval"] for one in answers]
    models: Any = type("Models", (), {"champion": predictor, "challenger": None})
    (told,) = [one for one in described(models, predictor)["outputs"] if one["name"] == name]
    assert told["shape"] == [-1, shape[1]]
    assert told["parameters"]["coverage"] == 0.9


def test_a_server_answers_with_them_by_both_protocols(
    promising: Promising, server: Callable[..., Any]
) -> None:
    serving = server(bundle=promising("regression") / "candidate")
    reply = serving.ask("POST", "/predict", json.dumps(ROWS))
    assert reply.status == 200
    intervals = [one["interval"] for one in reply.content["predictions"]]
    inputs = [
        {"name": "size", "datatype": "FP64", "shape": [2], "data": [5.0, 5.0]},
        {"name": "kind", "datatype": "BYTES", "shape": [2], "data": ["flat", "villa"]},
        {"name": "new", "datatype": "BOOL", "shape": [2], "data": [True, True]},
    ]
    reply = serving.ask("POST", "/v2/models/houses/infer", json.dumps({"inputs": inputs}))
    (tensor,) = [one for one in reply.content["outputs"] if one["name"] == "interval"]
    assert tensor["data"] == [*intervals[0], *intervals[1]]
    assert serving.ask("GET", "/model").content["coverage"] == 0.9
    said = json.dumps(serving.ask("GET", "/openapi.json").content)
    assert "whose truth the interval or set holds" in said


def test_a_bundle_that_lost_them_or_has_others_is_not_loaded(
    promising: Promising, tmp_path: Path
) -> None:
    def changed(name: str, content: bytes | None) -> Path:
        folder = shutil.copytree(promising("regression") / "candidate", tmp_path / name)
        (folder / INTERVALS).unlink()
        if content is not None:
            (folder / INTERVALS).write_bytes(content)
        about = manifest.read(folder)
        del about["files"]
        manifest.write(folder, about)
        return folder

    with pytest.raises(BundleError, match=r"intervals\.json .* rebuild it with `dvc repro`"):
        load(changed("none", None))
    other = msgspec.json.encode({"coverage": 0.5, "rows": 9, "width": 1.0, "by": "kind"})
    with pytest.raises(BundleError, match="the contract promises others"):
        load(changed("other", other))


def test_answers_without_a_promise_have_none(champion: Predictor, golden: list[Any]) -> None:
    answer = asked(champion, golden[:1])
    assert "coverage" not in answer
    assert set(answer["predictions"][0]) == {"prediction", "probabilities"}
    assert np.isfinite(answer["threshold"])
