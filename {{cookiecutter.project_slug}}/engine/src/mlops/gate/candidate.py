"""The candidate: its files, and the rows that its branch prepared, read or rejected.

All of it is the branch's, and may be anything. What cannot be read is no failure of the gate but a
reason against the candidate.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import numpy as np
import pyarrow.parquet as pq

from ..bundle import contents, reading
from ..bundle.manifest import MANIFEST, BundleError
from ..config.settings import ConfigError, Settings
from ..contract import Task
from ..data import prepared
from ..errors import ProjectError
from ..evaluation.evaluate import HOLDOUT, check_holdout, columns_of
from . import sandbox, scoring
from .case import Answers, Judged
from .request import GateError

CELL = 8  # bytes, at least


class CandidateError(ProjectError):
    """What the branch brought rejects itself; `part` says what of it."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part


class _File(msgspec.Struct):
    name: str
    sha256: str
    rows: int


class _Lineage(msgspec.Struct):
    commit: str | None
    clean: bool
    data: list[_File]
    rows: dict[str, int]


class _Manifest(msgspec.Struct):
    """What is read of a manifest here; a newer engine may write more."""

    name: str
    task: Task
    runtime: str
    lineage: _Lineage


class Candidate(NamedTuple):
    """A verified candidate with its settings, or `fault`: why it has none.

    Its manifest is believed where there are settings; `digest` is empty where there is none.
    """

    folder: Path
    digest: str
    manifest: dict[str, Any]
    task: Task
    settings: Settings | None
    fault: str = ""


def read(folder: Path, ref: str) -> Candidate:
    """Return the candidate as its files are; `ref` is what messages call the code that reads them.

    Raises BundleError where there is none.
    """
    if not os.path.lexists(folder / MANIFEST):
        contents.read(folder)  # says what is missing, and how to get it
    digest, manifest = "", dict[str, Any]()
    try:
        digest, manifest = contents.stated(folder)
        content = contents.read(folder, digest)
        msgspec.convert(manifest, _Manifest)
        _, settings = reading.declared(content)
    except ConfigError as error:
        fault = (
            f"the code of {ref} cannot read its settings ({error}): merge the change of the code "
            "first, or have the branch judge itself with `--policy HEAD`, which the report shows"
        )
    except msgspec.ValidationError as error:
        fault = f"its {MANIFEST} is none ({error}): run `dvc repro`"
    except BundleError as error:
        fault = str(error)
    else:
        return Candidate(folder, digest, manifest, settings.data.task, settings)
    # A policy is composed for a task; which one does not matter where no rule will run.
    tasks: tuple[Task, ...] = get_args(Task)
    stated = manifest.get("task")
    task = stated if stated in tasks else tasks[0]
    return Candidate(folder, digest, manifest, task, None, fault)


def rows(root: Path, settings: Settings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns and the target of the holdout; CandidateError where nothing can be judged.

    Raises GateError where they are not there.
    """
    path = root / HOLDOUT
    if not path.exists():
        raise GateError(f"{HOLDOUT} is missing: run `dvc repro`, or fetch it with `dvc pull`")
    try:
        for part in prepared.parts(path):
            part.open("rb").close()  # who may not read it has to hear that, not that it is broken
        _check_size(path)
        columns = prepared.read(path, settings.data, columns_of(settings))
        prepared.row_hashes(path)
        _check_target(settings, columns)
        target = prepared.target(columns, settings.data)
        check_holdout(settings, target)
    except ProjectError as error:
        raise CandidateError("rows", str(error)) from error
    except PermissionError:
        raise
    except Exception as error:  # a broken table fails in many ways
        raise CandidateError(
            "rows", f"its {HOLDOUT} cannot be read ({_said(error)}): run `dvc repro`"
        ) from error
    return columns, target


def answers(folder: Path, bundle: Answers, root: Path) -> Judged:
    """Return the candidate with its answers for the holdout; raises CandidateError for none."""
    try:
        return scoring.judged(folder, bundle, root / HOLDOUT)
    except OSError:
        raise
    except Exception as error:  # a contract of its own may ask anything of the rows
        raise CandidateError("answers", f"it does not answer: {_said(error)}") from error


def _check_size(path: Path) -> None:
    """Raise for a table that is larger than this machine: a short file may say so of itself."""
    about = [pq.read_metadata(part) for part in prepared.parts(path)]
    rows = sum(one.num_rows for one in about)
    needed = sum(one.num_rows * one.num_columns for one in about) * CELL
    if needed > (has := sandbox.memory()):
        raise CandidateError(
            "rows",
            f"its {HOLDOUT} says it has {rows:,} rows, {needed / 1e9:,.0f} GB, and this "
            f"machine has {has / 1e9:,.0f}: hold out fewer, or judge where there is more",
        )


def _check_target(settings: Settings, columns: dict[str, np.ndarray]) -> None:
    """Raise CandidateError for a target that is missing somewhere, or no declared class."""
    values, labels = columns[settings.data.target], settings.data.labels
    wrong = ~np.isfinite(values) if not labels else ~np.isin(values, np.arange(len(labels)))
    if wrong.any():
        raise CandidateError(
            "rows",
            f"{int(wrong.sum())} holdout rows have no valid {settings.data.target}: run "
            "`dvc repro`",
        )


def _said(error: Exception) -> str:
    kind = "" if isinstance(error, ProjectError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())
