"""A contract that was adopted before and edited since, and what the table says now, as one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..contract import Column, Contract, ContractError
from ..git.repository import Repository, RepositoryError
from .declaration import unedited

SHOWN = 80  # characters of a value
_KEYS: tuple[str, ...] = Column.__struct_fields__


class Merged(NamedTuple):
    """A contract in which edits stay, and a line for each difference between it and the table."""

    contract: Contract
    kept: tuple[str, ...]


def merge(path: Path, text: str, base: str | None, found: Contract) -> Merged:
    """Merge an edited contract with the one that was found, by what an adoption wrote (`base`).

    What nobody edited follows the table; without a base, everything in the file counts as edited.
    Raises ContractError where the file cannot be read, or predicts something else.
    """
    ours, before = read(path, text), None if base is None else read(path, base)
    if (ours.target, ours.task) != (found.target, found.task):
        raise ContractError(
            f"{path} was edited and predicts {ours.target} ({ours.task}), and the table was to be "
            f"adopted for {found.target} ({found.task}): choose another --name, or take the "
            "proposal in place of your edits with --anew"
        )
    told: list[str] = []
    columns = {}
    for name, theirs in found.columns.items():
        mine = ours.columns.get(name)
        if mine is None:
            told.append(f"added: {name}, which {path} did not have")
            columns[name] = theirs
            continue
        was = before.columns.get(name) if before else None
        columns[name], kept = _column(mine, was, theirs)
        told += [f"kept as edited: {name}: {line}" for line in kept]
    gone = [name for name in ours.columns if name not in columns]
    told += [f"dropped: {name}, which the table lacks" for name in gone]
    source = found.source
    if before is None or ours.source != before.source:
        source = ours.source
        told += [
            f"kept as edited: source: {line}" for line in _differences(ours.source, found.source)
        ]
    described = {key: getattr(ours, key) for key in ("description", "owner")}
    merged = msgspec.structs.replace(found, columns=columns, source=source, **described)
    return Merged(merged, tuple(told))


def base_of(repository: Repository, path: Path) -> str | None:
    """Return the newest version of a file in git that is as an adoption wrote it."""
    try:
        commits = repository.commits([str(path)])
    except RepositoryError:
        return None
    texts = (repository.text_at(commit, path.as_posix()) for commit in commits)
    return next((text for text in texts if text and unedited(text)), None)


def read(path: Path, text: str) -> Contract:
    """Return the contract of a file; raises ContractError where it was edited and is none."""
    try:
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
        return msgspec.convert(content, Contract)
    except (msgspec.ValidationError, OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ContractError(
            f"{path} was edited and cannot be read ({reason}): correct it, or take the proposal in "
            "place of your edits with --anew"
        ) from error


def _column(mine: Column, was: Column | None, theirs: Column) -> tuple[Column, list[str]]:
    """Return a column in which edited settings stay, and what the table says otherwise."""
    if mine == was:
        return theirs, []
    edited = _edited(mine, was)
    settings = {key: getattr(mine if key in edited else theirs, key) for key in _KEYS}
    try:
        merged = Column(**settings)
    except ValueError:  # the settings of one type with those of another
        merged = mine
    return merged, list(_differences(merged, theirs))


def _edited(mine: Column, was: Column | None) -> set[str]:
    if was is None or mine.type != was.type:
        return set(_KEYS)
    return {key for key in _KEYS if getattr(mine, key) != getattr(was, key)}


def _differences(ours: Any, theirs: Any) -> Iterator[str]:
    for key in type(ours).__struct_fields__:
        one, other = getattr(ours, key), getattr(theirs, key)
        if one != other:
            yield f"{key} {_short(one)}, where the table says {_short(other)}"


def _short(value: object) -> str:
    if value in (None, "", [], {}):
        return "none"
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
