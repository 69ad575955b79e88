"""`mlops data diff`: what the data here have that a commit's have not, as Markdown.

Rows and keys are compared where files differ. Distributions set what came, the rows of new and
changed files, beside a sample of what was there. No value of a personal column is told, and none
of a restricted table.
"""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..bundle.escaping import code, table, text
from ..contract import Column
from ..data.errors import DataError
from ..data.sources import PARQUET, raw_files
from ..files import sha256
from ..git import dvc
from ..git.repository import Repository, short
from . import pinned, retention
from .dataset import Dataset
from .summary import Summary, Tally, stability, summary

MOST = 2_000_000  # rows of what was there that distributions are taken from
WHOLE = "`mlops data diff`"
LARGE = 0.25


class _Side(NamedTuple):
    """The files of one side by their name, with their digests."""

    folder: Path
    files: dict[str, str]

    def paths(self, names: Sequence[str]) -> list[Path]:
        return [self.folder / name for name in names]


def diff(repository: Repository, dataset: Dataset, against: str) -> str:
    """Return what changed in a dataset since a commit; raises DataError where there is none here.

    What the commit pins comes from the DVC cache, or else from the remote.
    """
    title = f"## Data: {code(dataset.name)}"
    since = f"since {code(short(against))}"
    text_of = pinned.pointer(repository, dataset, against)
    if not dataset.folder.is_dir() and text_of is None:
        raise DataError(
            f"{dataset.folder} is not here, nor at {against}: fetch it (`mlops ingest`)"
        )
    if text_of is not None and dvc.holds(dataset.folder, text_of):
        return f"{title}\n\nNothing changed {since}.\n"
    with tempfile.TemporaryDirectory() as folder:
        was = Path(folder, dataset.folder.name)
        if text_of is not None:
            pinned.fetch(repository, dataset, text_of, was)
        before, now = _side(was), _side(dataset.folder)
        return "\n\n".join([title, *_told(dataset, before, now, since)]) + "\n"


def _side(folder: Path) -> _Side:
    if not folder.is_dir():
        return _Side(folder, {})
    try:
        paths = raw_files(folder)
    except DataError:  # none is left
        paths = []
    return _Side(folder, {p.relative_to(folder).as_posix(): sha256(p) for p in paths})


def _told(dataset: Dataset, before: _Side, now: _Side, since: str) -> list[str]:
    came = sorted(name for name, one in now.files.items() if before.files.get(name) != one)
    went = sorted(name for name, one in before.files.items() if now.files.get(name) != one)
    if dataset.source.reader is not None:  # which reads the folder as it likes
        came, went = sorted(now.files), sorted(before.files)
    rows = _rows(before), _rows(now)
    arrived = summary(dataset, now.folder, now.paths(came), rows[1], judged=True) if came else None
    left = summary(dataset, before.folder, before.paths(went), rows[0], False) if went else None
    new, gone = arrived or Summary(), left or Summary()
    kept = [name for name in before.files if name not in went]
    known = sum(_file_rows(path) for path in before.paths(kept))
    totals = known + gone.rows, known + new.rows
    parts = [
        f"{_counted(came, before, 'file')} {since}, {_lost(went, now)}.",
        *_expired(dataset, [name for name in went if name not in now.files]),
        _table_of_rows(dataset, new, gone, totals),
        *_contract(dataset, new),
    ]
    if new.rows and before.files:
        drawn = _drawn(sorted(before.files), before)
        there = summary(dataset, before.folder, before.paths(drawn), totals[0], False)
        parts += _distributions(dataset, there, new)
    return parts


def _counted(came: Sequence[str], before: _Side, what: str) -> str:
    fresh = sum(name not in before.files for name in came)
    return f"{fresh:,} {what}s are new and {len(came) - fresh:,} changed"


def _lost(went: Sequence[str], now: _Side) -> str:
    return f"{sum(name not in now.files for name in went):,} are gone"


def _expired(dataset: Dataset, gone: Sequence[str]) -> list[str]:
    """Return a line on the days that went because they may be kept no longer."""
    first = retention.first_kept(dataset, datetime.now(UTC))
    days = (name.partition("/")[0].removeprefix("date=") for name in gone if "/" in name)
    over = retention.over(set(days), first)
    if not over:
        return []
    kept = code(dataset.retention)
    return [f"{len(over):,} of them are older than `retention`, {kept}: {retention.shown(over)}."]


def _rows(side: _Side) -> int:
    return sum(_file_rows(path) for path in side.paths(list(side.files)))


def _file_rows(path: Path) -> int:
    """Return the rows of a file: by its footer, or about as many as it has lines."""
    with path.open("rb") as stream:
        if stream.read(len(PARQUET)) == PARQUET:
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        stream.seek(0)
        return max(0, sum(1 for _ in stream) - 1)


def _drawn(names: list[str], side: _Side) -> list[str]:
    """Return files, evenly spaced, with about MOST rows."""
    total = _rows(side)
    step = max(1, -(-total // MOST))
    return names[::step]


def _table_of_rows(dataset: Dataset, new: Summary, gone: Summary, totals: tuple[int, int]) -> str:
    lines = [("rows", f"{totals[0]:,}", f"{totals[1]:,}", f"{totals[1] - totals[0]:+,}")]
    shown = table(("", "before", "now", "change"), lines, WHOLE)
    if not dataset.key:
        came, went = _apart(new.contents, gone.contents)
        return f"{shown}\n\n{came:,} rows are new and {went:,} gone; no key says which are changed."
    before, now = np.unique(gone.keys), np.unique(new.keys)
    fresh, lost = len(np.setdiff1d(now, before)), len(np.setdiff1d(before, now))
    changed = _changed(new, gone)
    repeated = len(new.keys) - len(now)
    keys = " and ".join(code(name) for name in dataset.key)
    told = f"By {keys}: {fresh:,} new, {changed:,} changed, {lost:,} gone."
    if repeated:
        told += f" {repeated:,} rows repeat the key of another one."
    return f"{shown}\n\n{told}"


def _changed(new: Summary, gone: Summary) -> int:
    """Return how many keys have another content than they had."""
    both = np.intersect1d(new.keys, gone.keys)
    one, other = (
        pd.Series(side.contents, index=side.keys).groupby(level=0).sum() for side in (new, gone)
    )
    return int((one.loc[both] != other.loc[both]).sum())


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Return how many of each side the other has not, equal ones counted."""
    counts = pd.DataFrame(
        {
            "one": pd.Series(one).value_counts(),
            "other": pd.Series(other).value_counts(),
        }
    ).fillna(0)
    difference = counts["one"] - counts["other"]
    return int(difference.clip(lower=0).sum()), int((-difference).clip(lower=0).sum())


def _contract(dataset: Dataset, new: Summary) -> list[str]:
    lines = [f"- no file of those has {code(name)}" for name in sorted(new.absent)]
    lines += [f"- {code(name)} is not declared" for name in sorted(new.undeclared)]
    for (name, reason), count in sorted(new.findings.items()):
        value = "" if dataset.is_private(name) else f", as {code(new.shown[name, reason])}"
        # A reason names labels and bounds of the contract: no value of a row.
        lines.append(f"- {code(name)} {text(reason)}: {count:,} rows{value}")
    if not lines:
        return ["What came is as the contract says."]
    return ["### Against the contract", "\n".join(lines)]


def _distributions(dataset: Dataset, before: Summary, now: Summary) -> list[str]:
    rows = []
    for name, column in dataset.kept():
        if column.identifies:
            continue
        one, other = before.columns[name], now.columns[name]
        index = stability(one, other) if column.type not in ("text", "datetime") else None
        measured = "" if index is None else f"{index:.3f}"
        rows.append(
            (
                code(name),
                _share(one.absent),
                _share(other.absent),
                _value(dataset, name, column, one),
                _value(dataset, name, column, other),
                f"**{measured}**" if index is not None and index >= LARGE else measured,
            )
        )
    if not rows:
        return []
    head = ("column", "missing before", "in what came", "values before", "in what came", "PSI")
    return ["### What came, beside what was there", table(head, rows, WHOLE)]


def _value(dataset: Dataset, name: str, column: Column, tally: Tally) -> str:
    """Return a mean, a range or the most frequent labels: nothing of a column that is hidden."""
    if dataset.is_private(name):
        return "not shown"
    if tally.rows == tally.missing:
        return ""
    match column.type:
        case "number" | "integer":
            return f"mean {tally.mean:.4g}"
        case "boolean":
            return f"{_share(tally.mean)} true"
        case "datetime":
            ends = (pd.Timestamp(int(end), unit="us") for end in (tally.least, tally.most))
            return " to ".join(f"{end:%Y-%m-%d}" for end in ends)
        case "category":
            total = sum(tally.labels.values())
            top = sorted(tally.labels.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
            return ", ".join(f"{code(label)} {_share(n / total)}" for label, n in top)
        case _:
            return ""


def _share(share: float) -> str:
    return f"{share:.1%}"
