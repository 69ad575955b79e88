"""The reference counts every row of a bundle's making by its period, and the holdout's answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.bundle import contents, reading
from mlops.bundle.losses import Outcomes
from mlops.bundle.profile import profile
from mlops.bundle.reference import Reference, layout, reference
from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Contract
from mlops.data import prepared
from mlops.evaluation.slices import MISSING, UNSEEN
from mlops.features.encoding import Encoder

KINDS = ["a", "b"]
ROLES = {"train": 60, "validation": 20, "holdout": 40}


class Made(NamedTuple):
    """A reference, and the rows that it was made of."""

    settings: Settings
    found: Reference
    rows: dict[str, pa.Table]
    answers: np.ndarray


def contract(timed: bool, task: str = "binary", secret: bool = False) -> Contract:
    target: Any = {"type": "boolean", "role": "target"}
    if task == "multiclass":
        target = {"type": "category", "categories": ["x", "y", "z"], "role": "target"}
    if task == "regression":
        target = {"type": "number", "role": "target"}
    pii = {"pii": True, "reason": "asked for"} if secret else {}
    columns = {
        "n": {"type": "number", "nullable": True},
        "k": {"type": "category", "categories": KINDS, "nullable": True, **pii},
        **({"at": {"type": "datetime", "role": "time", "nullable": True}} if timed else {}),
        "y": target,
    }
    return msgspec.convert({"name": "t", "task": task, "columns": columns}, Contract)


def made(
    folder: Path,
    start: np.ndarray | None = None,
    task: str = "binary",
    secret: bool = False,
) -> Made:
    """Return the reference of rows of which each was at a time of `start`, in their order."""
    declared = contract(start is not None, task, secret)
    settings = Settings(
        0,
        declared,
        Split("hash"),
        Features(),
        Model("dummy", "codes", [task], {}),  # type: ignore[list-item]
        Training(),
        Tuning(),
        Evaluation("log_loss", ["log_loss"]),
    )
    encoder = Encoder.build(declared, Features())
    random = np.random.default_rng(0)
    files, matrices, rows, at = {}, {}, {}, 0
    for role, count in ROLES.items():
        table = {
            "n": pa.array(random.integers(0, 9, count).astype(float)),
            "k": pa.array(random.choice([*KINDS, None, "new"], count).tolist()).dictionary_encode(),
        }
        if start is not None:
            table["at"] = pa.array(start[at : at + count].astype("datetime64[us]"))
        table["y"] = {
            "binary": pa.array(random.random(count) < 0.4),
            "multiclass": pa.array(random.choice(["x", "y", "z"], count)).dictionary_encode(),
            "regression": pa.array(random.random(count)),
        }[task]
        at += count
        rows[role] = pa.table(table)
        files[role] = folder / f"{role}.parquet"
        pq.write_table(rows[role], files[role])
        columns = prepared.arrays(rows[role], declared, encoder.inputs)
        matrices[role] = encoder.matrix(columns)
    answers = random.random((ROLES["holdout"], 3))
    answers = answers / answers.sum(axis=1, keepdims=True)
    answers = answers if task == "multiclass" else answers[:, 0]
    about = profile(declared, encoder, matrices["train"], answers, declared.task)
    found = reference(about, settings, encoder, files, matrices, answers)
    assert layout(about, settings).starts[-1] == len(found.seen.features)
    return Made(settings, found, rows, answers)


def days(first: str, count: int, step: int = 1) -> np.ndarray:
    """So many days from the first on, each `step` later, filled up to all rows."""
    each = np.datetime64(first) + step * np.arange(count)
    return np.resize(each, sum(ROLES.values()))


def test_all_rows_are_seen_and_those_of_the_holdout_are_answered(tmp_path: Path) -> None:
    of = made(tmp_path)
    assert (of.found.seen.rows, of.found.held.rows) == (120, 40)
    assert of.found.seen.moments == (0, 0)
    assert of.found.held.moments[0] == pytest.approx(of.answers.sum())
    assert sum(of.found.held.outputs) == 40
    assert of.found.outcomes.losses[""]["brier"][1] == pytest.approx(
        np.square(of.answers - np.array(of.rows["holdout"]["y"].to_pylist())).sum()
    )
    assert set(of.found.seen.slices) == {"k=a", "k=b", f"k={UNSEEN}", f"k={MISSING}"}
    assert sum(sum(cells[-4:]) for cells in of.found.seen.slices.values()) == 120


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_their_outputs_and_losses(tmp_path: Path, task: str) -> None:
    of = made(tmp_path, task=task)
    outputs = 3 if task == "multiclass" else 1
    assert sum(of.found.held.outputs) == 40 * outputs
    assert len(of.found.outcomes.calibration) == outputs
    names = {"log_loss", "error"} if task == "multiclass" else {"absolute_error", "squared_error"}
    assert set(of.found.outcomes.losses[""]) == names


def test_without_a_time_there_are_no_periods(tmp_path: Path) -> None:
    assert made(tmp_path).found.periods == []


def test_days_are_cut_into_weeks(tmp_path: Path) -> None:
    """From Thursday to Wednesday, as numpy has them."""
    of = made(tmp_path, days("2026-01-01", 28))
    assert [(one.start, one.end) for one in of.found.periods] == [
        ("2026-01-01", "2026-01-08"),
        ("2026-01-08", "2026-01-15"),
        ("2026-01-15", "2026-01-22"),
        ("2026-01-22", "2026-01-29"),
    ]
    assert sum(one.rows for one in of.found.periods) == 120
    total = np.sum([one.features for one in of.found.periods], axis=0)
    assert total.tolist() == of.found.seen.features
    outputs = np.sum([one.outputs for one in of.found.periods], axis=0)
    assert outputs.tolist() == of.found.held.outputs


def test_days_that_are_far_apart_are_cut_into_months(tmp_path: Path) -> None:
    of = made(tmp_path, days("2026-01-01", 40, step=4))
    assert [one.start for one in of.found.periods] == [f"2026-0{at}-01" for at in range(1, 7)]
    assert of.found.periods[1].end == "2026-03-01"
    assert sum(one.rows for one in of.found.periods) == 120


def test_rows_without_a_time_are_seen_and_in_no_period(tmp_path: Path) -> None:
    times = days("2026-01-01", 14)
    times[::4] = np.datetime64("NaT")
    of = made(tmp_path, times)
    assert of.found.seen.rows == 120
    assert sum(one.rows for one in of.found.periods) == 90


def test_no_time_that_is_known_is_no_period(tmp_path: Path) -> None:
    none = np.full(120, np.datetime64("NaT"), dtype="datetime64[D]")
    assert made(tmp_path, none).found.periods == []


def test_a_holdout_by_time_is_answered_in_the_last_periods_alone(tmp_path: Path) -> None:
    of = made(tmp_path, np.datetime64("2026-01-01") + np.arange(120))
    answered = [one for one in of.found.periods if sum(one.outputs)]
    assert answered == of.found.periods[-len(answered) :]
    assert sum(sum(one.outputs) for one in answered) == 40
    assert [answered[0].start, answered[-1].start] == ["2026-03-19", "2026-04-30"]


def test_personal_data_are_counted_in_cells_as_any(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    assert made(tmp_path, secret=True).found == made(tmp_path / "open").found


def test_the_same_rows_give_the_same_bytes_and_they_come_back(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (
        msgspec.json.encode(made(tmp_path / name, days("2026-01-01", 28)).found)
        for name in ("one", "two")
    )
    assert first == second
    again = msgspec.json.decode(first, type=Reference)
    assert msgspec.json.encode(again) == first
    assert isinstance(again.outcomes, Outcomes)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_bundle_of_the_stages_has_its_reference(
    promising: Callable[[str], Path], task: str
) -> None:
    content = contents.read(promising(task) / "candidate")
    found = msgspec.json.decode(content.files[reading.REFERENCE], type=Reference)
    about = json.loads(content.files[reading.PROFILE])
    rows = prepared.row_count(promising(task) / "data/prepared/holdout")
    assert found.held.rows == rows
    assert found.seen.rows == 3000
    for name, part in zip(about["features"], _parts(found, content), strict=True):
        assert part.sum() == 3000, name


def _parts(found: Reference, content: contents.Contents) -> list[np.ndarray]:
    cells = layout(json.loads(content.files[reading.PROFILE]), reading.parsed(content).settings)
    return [part for _, part in cells.split(found.seen.features)]
