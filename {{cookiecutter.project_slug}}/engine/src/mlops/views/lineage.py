"""Where the values of a view come from, where they go, and how a change has moved them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..config.expansion import TABLES, VIEWS, read_view
from ..config.experiment import plain
from ..config.settings import ConfigError
from ..config.views import Table, View
from ..contract import Contract
from ..data.arrays import floats
from ..git import dvc
from ..git.repository import Repository
from .join import values_at
from .labels import asked, labels
from .partitions import partitions
from .usage import Use, definition


class Moved(NamedTuple):
    """How a feature differs on the same label rows: in how many, and by how much at most.

    `largest` is None where no number is there on both sides in any of them.
    """

    feature: str
    rows: int
    changed: int
    largest: float | None

    def __str__(self) -> str:
        if not self.changed:
            return f"{self.feature}: the same in all {self.rows:,} rows"
        share = 100 * self.changed / self.rows
        by = "" if self.largest is None else f", by at most {self.largest:g}"
        return f"{self.feature}: {share:.3g} % of {self.rows:,} rows differ{by}"


def origin(use: Use, conf: Path, root: Path) -> Iterator[str]:
    """Yield the lines of where a view comes from and where it goes."""
    view = use.view
    files = partitions(view.table, root)
    days = sorted(one.day for one in files if one.day is not None)
    span = f", {days[0]} to {days[-1]}" * bool(days)
    yield f"{view.table.folder}: {len(files):,} files{span}"
    for name, feature in view.features.items():
        yield f"  {name} = {definition(feature)}, {feature.window or view.ttl}"
        for choice in use.experiments:
            chosen = plain(conf / "features" / f"{choice}.yaml")
            if name not in (chosen.get("exclude") or []):
                yield f"    a column of conf/features/{choice}.yaml"
            for derived, how in (chosen.get("derived") or {}).items():
                if name in how.get("columns", ()):
                    yield f"    {derived} of conf/features/{choice}.yaml is derived from it"
    yield f"  models: {', '.join(f'{name}: champion' for name in use.environments) or 'none'}"


def moved(repository: Repository, view: View, contract: Contract, ref: str) -> list[Moved]:
    """Return how each feature differs from what `ref` had, on the label rows that are here.

    Declaration and table are those of `ref`; what computes them is this engine, and functions are
    those of src/project/features.py as it stands. Raises ConfigError where `ref` has no such view.
    """
    rows = labels(contract, [view], repository.root)
    entities, at = asked(view, rows, contract)
    now = values_at(view, entities, at, repository.root)
    with _then(repository, view.name, repository.commit_of(ref), ref) as (root, before):
        if set(before.entity) != set(view.entity):
            raise ConfigError(
                f"{view.name} was of {', '.join(before.entity)} at {ref}: nothing compares"
            )
        was = values_at(before, entities, at, root)
    common = [name for name in view.features if name in before.features]
    return [_moved(name, was.column(name), now.column(name)) for name in common]


def _moved(name: str, was: pa.ChunkedArray, now: pa.ChunkedArray) -> Moved:
    if was.type != now.type:
        return Moved(name, len(now), len(now), None)
    same = pc.or_kleene(pc.equal(was, now), pc.and_(pc.is_null(was), pc.is_null(now)))
    differs = ~floats(pc.fill_null(same, False)).astype(bool)
    largest = None
    if pa.types.is_floating(now.type) and differs.any():
        gaps = np.abs(floats(was) - floats(now))[differs]
        largest = None if np.isnan(gaps).all() else float(np.nanmax(gaps))
    return Moved(name, len(now), int(differs.sum()), largest)


@contextmanager
def _then(repository: Repository, name: str, commit: str, ref: str) -> Iterator[tuple[Path, View]]:
    """Yield a folder with a view's table as a commit had it, and the view."""
    with tempfile.TemporaryDirectory(prefix="lineage-") as place:
        root = Path(place)
        repository.extract(commit, [f"conf/{TABLES}", f"conf/{VIEWS}"], root)
        if not (root / "conf" / VIEWS / f"{name}.yaml").is_file():
            raise ConfigError(f"{ref} has no view {name}: there is nothing to compare it with")
        view = read_view(root / "conf", name)
        _bring(repository, view.table, commit, root)
        yield root, view


def _bring(repository: Repository, table: Table, commit: str, root: Path) -> None:
    folder = table.folder
    pointer = repository.text_at(commit, f"{folder}.dvc")
    (root / folder.parent).mkdir(parents=True, exist_ok=True)
    here = repository.root / f"{folder}.dvc"
    if pointer is None:
        repository.extract(commit, [folder.as_posix()], root)
        if not (root / folder).is_dir():  # what a stage makes is not in git: it is as it stands
            (root / folder).symlink_to((repository.root / folder).resolve())
    elif here.is_file() and here.read_text(encoding="utf-8") == pointer:
        (root / folder).symlink_to((repository.root / folder).resolve())
    else:
        dvc.fetch(repository, pointer, table.name, root / folder)
