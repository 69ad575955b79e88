"""A bundle says what it answers where a holdout has no row, and is held to it."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from mlops.bundle import manifest
from mlops.bundle.edges import ROWS, UNSEEN, edges
from mlops.bundle.manifest import BundleError
from mlops.bundle.reading import load as read
from mlops.contract import Contract
from mlops.serving.loading import load

CONTRACT = msgspec.convert(
    {
        "name": "t",
        "task": "regression",
        "columns": {
            "x": {"type": "number", "nullable": True, "min": 0, "max": 9},
            "n": {"type": "integer"},
            "kind": {"type": "category", "categories": ["a", "b"]},
            "at": {"type": "datetime", "nullable": True},
            "y": {"type": "number", "role": "target"},
        },
    },
    Contract,
)
HELD = pa.table(
    {
        "x": [1.0, 2.0],
        "n": [3.0, 4.0],
        "kind": pa.array(["a", "b"]).dictionary_encode(),
        "at": pa.array([0, 1], pa.timestamp("us")),
    }
)


def answer(columns: Any) -> np.ndarray:
    """Return what tells whether each value arrived as it is sent."""
    told = np.nan_to_num(columns["x"], nan=-1, posinf=7, neginf=7) / 1e300 + columns["n"]
    return np.asarray(told + 100 * columns["kind"] + 1000 * np.isnat(columns["at"]))


def test_one_value_differs_and_is_answered_as_it_is_sent() -> None:
    found = edges(HELD, CONTRACT, {"x": [4.5], "n": [4.5]}, answer)
    kinds = Counter(one["what"] for one in found)
    assert kinds["missing"] == 2
    assert kinds["unseen"] == 1
    assert kinds["on a threshold, or beside it"] == 5
    assert kinds["extreme"] == 7
    plain = [{"x": 1.0, "n": 3, "kind": "a"}, {"x": 2.0, "n": 4, "kind": "b"}]
    for one in found:
        row = dict(one["row"])
        row["at"] = row["at"] and 0
        assert min(len(set(row.items()) - set(p.items())) for p in plain) <= 2
    (unseen,) = [one for one in found if one["what"] == "unseen"]
    assert unseen["row"]["kind"] == UNSEEN
    assert 200 < unseen["prediction"] < 300
    beside = [one["row"] for one in found if one["what"].startswith("on a")]
    near = {row["x"] for row in beside} - {1.0, 2.0}
    assert {row["n"] for row in beside} == {3, 4, 5}
    on = np.float32(4.5)
    assert near == {4.5, *(float(np.nextafter(on, np.float32(end))) for end in (0, 9))}


@pytest.mark.parametrize("error", [BundleError, ValueError])
def test_what_model_or_project_do_not_answer_is_left_out(error: type[Exception]) -> None:
    def picky(columns: Any) -> np.ndarray:
        if np.isnan(columns["x"]).any():
            raise error("no")
        return np.where(columns["n"] < 0, np.nan, answer(columns))

    found = edges(HELD, CONTRACT, {}, picky)
    assert found
    assert all(one["row"]["x"] is not None and one["row"]["n"] >= 0 for one in found)
    assert edges(HELD.slice(0, 0), CONTRACT, {}, answer) == []


def test_a_number_that_means_no_value_is_not_sent_as_one() -> None:
    columns = msgspec.to_builtins(CONTRACT.columns)
    columns["x"] |= {"missing": ["9", "none"]}
    columns["n"] |= {"min": 0.5, "max": 9.5}
    declared = msgspec.convert(
        {
            "name": "t",
            "task": "regression",
            "columns": columns,
            "source": {"missing": ["0", "NA"]},
        },
        Contract,
    )
    found = edges(HELD, declared, {"x": [4.5, 9.0]}, answer)
    assert not {0.0, 9.0} & {one["row"]["x"] for one in found}
    whole = {one["row"]["n"] for one in found}
    assert {1, 9} <= whole
    assert not {0, 10} & whole


def test_a_bundle_has_them_of_every_kind(trained: Path) -> None:
    found = json.loads((trained / "candidate/edges.json").read_text())
    assert 20 < len(found) <= ROWS
    kinds = {"missing", "unseen", "extreme", "on a threshold, or beside it"}
    assert {one["what"] for one in found} == kinds
    told = json.loads((trained / "candidate/training.json").read_text())["thresholds"]
    assert set(told) <= set(read(trained / "candidate").encoder.names)
    assert all(len(values) <= 3 for values in told.values())


def changed(bundle: Path, folder: Path, change: Callable[[list[Any]], Any]) -> Path:
    shutil.copytree(bundle, folder)
    content = json.loads((folder / "edges.json").read_text())
    said = change(content)
    (folder / "edges.json").write_text(json.dumps(content if said is None else said))
    about = manifest.read(folder)
    del about["files"]
    manifest.write(folder, about)
    return folder


def test_a_server_is_ready_once_it_has_answered_them(trained: Path, tmp_path: Path) -> None:
    bundle = trained / "candidate"
    assert load(bundle).bundle_digest == load(bundle, unseen="refuse").bundle_digest
    wrong = changed(bundle, tmp_path / "a", lambda rows: rows[-1].update(prediction=0.123))
    with pytest.raises(BundleError, match="as recorded"):
        load(wrong)
    broken = changed(bundle, tmp_path / "b", lambda rows: {"rows": rows})
    with pytest.raises(BundleError, match="cannot be read"):
        load(broken)


def test_a_bundle_from_before_has_none(trained: Path, tmp_path: Path) -> None:
    folder = changed(trained / "candidate", tmp_path / "a", lambda rows: rows)
    (folder / "edges.json").unlink()
    about = manifest.read(folder)
    del about["files"]
    manifest.write(folder, about)
    assert load(folder)
