"""What rows say, column by column and key by key, counted frame by frame."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..contract import Column
from ..data import sources
from ..data.hashing import row_hash
from ..data.parsing import parse, texts
from ..data.validation import validated
from ..progress import progress
from .dataset import Dataset

SAMPLE = 100_000  # numbers of a column that its cells are drawn over
CELLS = 10
LABELS = 1_000  # of a column; what comes after these is one
OTHER = "(others)"


@dataclass
class Tally:
    """What one column holds: counts, the sum of numbers, some of them, and labels."""

    rows: int = 0
    missing: int = 0
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf
    sample: list[np.ndarray] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def absent(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def mean(self) -> float:
        """The mean of the numbers; NaN without any."""
        known = self.rows - self.missing
        return self.total / known if known else float("nan")

    def numbers(self) -> np.ndarray:
        """Return the numbers that were kept."""
        return np.concatenate([np.empty(0), *self.sample])


@dataclass
class Summary:
    """What a number of files hold."""

    rows: int = 0
    columns: dict[str, Tally] = field(default_factory=dict)
    keys: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    contents: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: dict[tuple[str, str], str] = field(default_factory=dict)  # the first cell of each
    absent: set[str] = field(default_factory=set)
    undeclared: set[str] = field(default_factory=set)


def summary(
    dataset: Dataset, folder: Path, paths: Sequence[Path], rows: int, judged: bool
) -> Summary:
    """Return what files of a folder hold; `rows` is about how many, `judged` asks for findings."""
    made = Summary(columns={name: Tally() for name, _ in dataset.kept()})
    step = max(1, rows // SAMPLE)
    keys, contents = [], []
    for frame in progress(
        sources.table(folder, paths, dataset.source), f"compare {dataset.name}", unit="frame"
    ):
        made.rows += len(frame.frame)
        made.absent |= dataset.columns.keys() - {*frame.frame.columns}
        made.undeclared |= {*frame.frame.columns} - dataset.columns.keys()
        whole = _complete(frame, dataset)
        if judged:
            _judge(made, whole, dataset)
        typed = {}
        for name, column in dataset.columns.items():
            values = parse(whole.frame[name], column, dataset.source).values
            typed[name] = _hashable(values)
            if name in made.columns:
                _tally(made.columns[name], values, column, step)
        table = pa.table(typed)
        names = [name for name in table.column_names if name not in made.absent]
        contents.append(row_hash(table, names, "content"))
        if dataset.key:
            keys.append(row_hash(table, dataset.key, "key"))
    made.contents = np.concatenate([made.contents, *contents])
    made.keys = np.concatenate([made.keys, *keys])
    return made


def _complete(frame: sources.Frame, dataset: Dataset) -> sources.Frame:
    """Return a frame that has every declared column, empty where the file has it not."""
    columns = {
        name: frame.frame[name]
        if name in frame.frame.columns
        else pd.Series(np.nan, index=frame.frame.index)
        for name in dataset.columns
    }
    return sources.Frame(frame.path, frame.start, pd.DataFrame(columns, index=frame.frame.index))


def _judge(made: Summary, frame: sources.Frame, dataset: Dataset) -> None:
    names = [name for name, _ in dataset.kept() if name not in made.absent]
    for finding in validated(frame, dataset, names)[1]:
        kind = (finding.column, finding.reason)
        made.findings[kind] += 1
        made.shown.setdefault(kind, finding.value)


def _hashable(values: pd.Series) -> pa.Array:
    if pd.api.types.is_string_dtype(values.dtype):
        return pa.array(values, pa.string(), from_pandas=True)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pa.array(values, pa.timestamp("us"), from_pandas=True)
    return pa.array(values, from_pandas=True)


def _tally(tally: Tally, values: pd.Series, column: Column, step: int) -> None:
    known = values.dropna()
    tally.rows += len(values)
    tally.missing += len(values) - len(known)
    if not len(known) or column.identifies:
        return
    if column.type in ("number", "integer", "boolean", "datetime"):
        numbers = known
        if column.type == "datetime":
            numbers = known.astype("int64")
        plain = numbers.to_numpy(np.float64)
        tally.total += float(plain.sum())
        tally.least, tally.most = (
            min(tally.least, float(plain.min())),
            max(tally.most, float(plain.max())),
        )
        tally.sample.append(plain[::step])
    elif column.type == "category":
        counts = texts(known).value_counts()
        for label, count in counts.items():
            place = str(label)
            if place not in tally.labels and len(tally.labels) >= LABELS:
                place = OTHER
            tally.labels[place] += int(count)


def stability(before: Tally, now: Tally) -> float | None:
    """Return the population stability index of what came beside what was there; None without both.

    Numbers count in the tenths of those that were there, missing values as a cell of their own;
    0.1 is usually called a small shift and 0.25 a large one.
    """
    if not before.rows or not now.rows:
        return None
    if before.labels or now.labels:
        names = sorted({*before.labels, *now.labels})
        one, other = (
            np.array([t.labels[name] for name in names], dtype=float) for t in (before, now)
        )
    else:
        had, has = before.numbers(), now.numbers()
        if not len(had) or not len(has):
            one = other = np.empty(0)
        else:
            edges = np.unique(np.quantile(had, np.linspace(0, 1, CELLS + 1)[1:-1]))
            one, other = (
                np.bincount(np.searchsorted(edges, v, "left"), minlength=len(edges) + 1).astype(
                    float
                )
                * (t.rows - t.missing)
                / len(v)
                for v, t in ((had, before), (has, now))
            )
    one, other = np.append(one, before.missing), np.append(other, now.missing)
    p, q = ((cells + 0.5) / (cells.sum() + 0.5 * len(cells)) for cells in (one, other))
    return float(((q - p) * np.log(q / p)).sum())
