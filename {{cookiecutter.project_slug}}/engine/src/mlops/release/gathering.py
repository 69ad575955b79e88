"""New rows from the owner's source, beside the project's own: neither index nor tree is touched."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from msgspec.structs import replace

from ..config.settings import Settings
from ..data import sources
from ..data.fingerprints import in_order, missing
from ..data.prepare import PREPARED, RAW, prepare
from ..data.prepared import table
from ..data.splitting import HOLDOUT, TRAIN, cutoff, moved_cutoff, newest, roles
from ..errors import ProjectError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository
from ..views.joining import joined

SCRATCH = "refreshing"  # in the project, where DVC takes a folder from; gone afterwards
POINTER, LOCK = f"{RAW.as_posix()}.dvc", "dvc.lock"


class GatheringError(ProjectError):
    """There is nothing to fetch rows by, or nothing to compare them with."""


class Gathered(NamedTuple):
    """What a source gave: its pointer for DVC, and what its rows are beside those of before.

    `new` rows were not there before, `gone` ones were, and `trains` counts what is new among the
    rows to train with, of which `cutoff` is the split's, by its rule. There is no pointer where
    main pins the rows already.
    """

    pointer: str | None
    new: int
    gone: int
    trains: int
    cutoff: str | None


@contextmanager
def scratch(repository: Repository) -> Iterator[Path]:
    """Yield a folder of the project that is gone at the end, and what a killed run left there."""
    folder = repository.root / SCRATCH
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gathered(
    repository: Repository, settings: Settings, folder: Path, champion: str
) -> Gathered | None:
    """Fetch rows to the DVC cache; None where they are to the byte what HEAD pins.

    Rows that `mlops ingest` brings were reviewed in a pull request of their own: of them, those
    of main are compared with what the commit of the `champion` pins.
    """
    contract = settings.data
    if contract.source.origin is not None or contract.source.partition is not None:
        return _arrived(repository, settings, folder, champion)
    if contract.source.ingest is None:
        raise GatheringError(
            f"nothing says where new rows come from: name a function of src/project/sources.py in "
            f"conf/data/{contract.name}.yaml, as `source: {{ingest: …}}`"
        )
    before = _pinned(repository, "HEAD")
    raw = folder / RAW.name
    sources.ingest(contract.source, raw)
    found = dvc.dvc_add(repository, raw.relative_to(repository.root))
    staged = ("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", SCRATCH)
    repository.git(*staged)  # what core.autostage of DVC, if somebody has set that, took along
    pointer = (repository.root / found).read_text(encoding="utf-8")
    if _out(pointer)["md5"] == before:
        return None
    dvc.fetch(repository, _pointer(before), RAW.name, folder / "known")
    return _compared(repository, settings, folder, pointer)


def _arrived(repository: Repository, settings: Settings, folder: Path, champion: str) -> Gathered:
    """Compare the rows that main pins with those that a model was made from."""
    for commit, name in ((champion, "known"), ("HEAD", RAW.name)):
        dvc.fetch(repository, _pointer(_pinned(repository, commit)), RAW.name, folder / name)
    return _compared(repository, settings, folder, None)


def _compared(
    repository: Repository, settings: Settings, folder: Path, pointer: str | None
) -> Gathered:
    """Prepare what was `known` and what there is now, and say how they differ."""
    made = repository.root / PREPARED
    with joined(settings, repository.root) as joins:
        args = (settings.data, settings.split)
        prepare(*args, folder / "known", folder / "before", joins, known=made)
        prepare(*args, folder / RAW.name, folder / "now", joins, known=folder / "before")
    contract, split = settings.data, settings.split
    names = roles(contract)
    was, now = (
        {role: in_order(folder / side / role, contract) for role in names}
        for side in ("before", "now")
    )
    every, there = (np.concatenate([*side.values()]) for side in (was, now))
    train, moved = now[TRAIN], split.cutoff
    if split.method == "time":
        paths = [folder / "now" / role for role in names]
        moved = moved_cutoff(split, newest(paths, contract))
        moments = [table(path, [str(contract.time)]).column(0).to_numpy() for path in paths]
        train = there[np.concatenate(moments) < cutoff(replace(split, cutoff=moved))]
    fits = np.concatenate([prints for role, prints in was.items() if role != HOLDOUT])
    return Gathered(pointer, _more(there, every), _more(every, there), _more(train, fits), moved)


def _more(rows: np.ndarray, than: np.ndarray) -> int:
    """Return how many rows are not among others, equal rows counted."""
    return int(missing(rows.reshape(-1, 1), than.reshape(-1, 1)).sum())


def _pinned(repository: Repository, commit: str) -> str:
    """Return what a commit pins data/raw by: the pointer, or the stage that makes them."""
    try:
        text = repository.text_at(commit, POINTER)
        if text is not None:
            return str(_out(text)["md5"])
        lock = parse_yaml(repository.text_at(commit, LOCK) or "")
        if found := dvc.pinned(lock, RAW):
            return found
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        pass
    raise GatheringError(
        f"{commit[:12]} pins no {RAW}: `dvc add {RAW}`, or `dvc repro`, and commit that"
    )


def _pointer(md5: str) -> str:
    return f"outs:\n- md5: {md5}\n  hash: md5\n  path: {RAW.name}\n"


def _out(pointer: str) -> Mapping[str, Any]:
    return dict(parse_yaml(pointer)["outs"][0])


def pinning(repository: Repository, pointer: str | None) -> dict[str, str]:
    """Return the file of git by which a commit pins these data, as the project does, with them."""
    if pointer is None:
        return {}
    if repository.text_at("HEAD", POINTER) is not None:
        return {POINTER: pointer}
    lock = parse_yaml(repository.text_at("HEAD", LOCK) or "")
    for stage in lock["stages"].values():
        for out in stage.get("outs", []):
            if out["path"] == RAW.as_posix():
                found = _out(pointer)
                out |= {key: found[key] for key in ("md5", "size", "nfiles")}
    return {LOCK: yaml.safe_dump(lock, sort_keys=False, allow_unicode=True, width=1000)}
