"""What a table would be as the data of a project: its contract, features and split."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec
import pandas as pd

from ..config.settings import Derived
from ..contract import Contract, Role, Source, Task
from ..data.sniffing import sniff
from ..data.sources import DataError, frames
from ..errors import ProjectError
from ..progress import progress
from .declaration import WORDS
from .exclusion import leave_out
from .inference import blanks, infer
from .statistics import Statistics
from .target import decide
from .timeliness import cutoff, derived, moments

SHOWN = 20
NAME = re.compile(r"[a-z][a-z0-9_-]*")


class ProposalError(ProjectError):
    """The table does not fit what was said about it."""


@dataclass(frozen=True)
class Proposal:
    """The contract of a table, what to derive from its columns, and how to split it."""

    contract: Contract
    rows: int
    unlabelled: int
    derived: Mapping[str, Derived]
    split: Mapping[str, str]


class Options(TypedDict, total=False):
    """What a user may say of a table; the rest is inferred.

    `key`, `time` and `group` are columns, `columns` the names for a file without a header, and
    `name` what to call the data.
    """

    task: Task | None
    key: str | None
    time: str | None
    group: str | None
    columns: Sequence[str] | None
    name: str | None


def propose(file: Path, target: str, **options: Unpack[Options]) -> Proposal:
    """Read a CSV or Parquet file and infer what it would be.

    Raises a ProjectError for a file that is no table, columns that are not there, and a target
    that cannot be predicted.
    """
    called = _name(file, options.get("name"))
    time, group = options.get("time"), options.get("group")
    roles = _roles(target, options.get("key"), time, group)
    named = [column.strip() for column in options.get("columns") or ()]
    source = sniff(file, target, named or None)
    frame, source = _read(file, source)
    _check_columns(file, list(frame.columns), [target, *roles])
    for column, role in roles.items():
        _check_role(Statistics(column, frame[column], source), role)
    labelled = frame[target].notna()
    unlabelled = len(frame) - int(labelled.sum())
    if 0 < unlabelled < len(frame):
        frame = frame[labelled].reset_index(drop=True)
        source = msgspec.structs.replace(source, unlabelled="drop")
    contract = _contract(frame, source, called, target, options.get("task"), roles)
    times = moments(frame, contract.columns, source)
    split = {"use": "time" if time else "group" if group else "hash"}
    if time:
        split["cutoff"] = cutoff(times[time])
    return Proposal(contract, len(frame), unlabelled, derived(times, contract.columns), split)


def _contract(
    frame: pd.DataFrame,
    source: Source,
    name: str,
    target: str,
    task: Task | None,
    roles: Mapping[str, Role],
) -> Contract:
    decided, task = decide(Statistics(target, frame[target], source), task)
    columns = leave_out(frame, infer(frame, source, {target: decided}, roles), source)
    if not any("feature" in column.roles for column in columns.values()):
        reasons = "; ".join(f"{n} {c.reason}" for n, c in columns.items() if c.reason)
        raise ProposalError(f"no column is left to predict {target} from ({reasons}): add some")
    try:
        return Contract(name=name, task=task, columns=columns, source=source)
    except ValueError as error:
        raise ProposalError(str(error)) from error


def _read(file: Path, source: Source) -> tuple[pd.DataFrame, Source]:
    """Return the whole table, and the source with what else means "no value" in it."""
    parts = _frames(file, source)
    if not sum(map(len, parts)):
        raise DataError(f"{file} has a header and no rows: give it some")
    frame = pd.concat(parts, ignore_index=True)
    if more := blanks(frame, source):
        source = msgspec.structs.replace(source, missing=[*source.missing, *more])
        frame = pd.concat(_frames(file, source), ignore_index=True)
    return frame, source


def _frames(file: Path, source: Source) -> list[pd.DataFrame]:
    parts = progress(frames([file], source), "read", unit="frame")
    return [part.frame for part in parts]


def _name(file: Path, name: str | None) -> str:
    """Return the name of the data: the one given, or the file's as far as it can be one."""
    if name is None:
        stem = re.sub(r"[^a-z0-9_-]+", "_", file.name.split(".")[0].lower()).strip("_-")
        return stem if NAME.fullmatch(stem) and stem not in WORDS else f"table_{stem}".rstrip("_")
    if not NAME.fullmatch(name) or name in WORDS:
        raise ProposalError(
            f"--name {name!r} cannot be the name of a conf file: begin with a lower-case letter "
            "and go on with such letters, digits, _ or -"
        )
    return name


def _roles(target: str, key: str | None, time: str | None, group: str | None) -> dict[str, Role]:
    given: dict[str, tuple[str | None, Role]] = {
        "--key": (key, "id"),
        "--time": (time, "time"),
        "--group": (group, "group"),
    }
    if time and group:
        raise ProposalError("--time and --group both decide the split: give one of them")
    roles: dict[str, Role] = {}
    for option, (column, role) in given.items():
        if column is None:
            continue
        if column == target or column in roles:
            raise ProposalError(f"{option} names {column}, which has another role: give one each")
        roles[column] = role
    return roles


def _check_columns(file: Path, present: list[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            near = difflib.get_close_matches(name.lower(), [n.lower() for n in present], 1, 0.5)
            meant = [n for n in present if n.lower() in near]
            hint = f"did you mean {meant[0]}?" if meant else f"it has {', '.join(present[:SHOWN])}"
            raise ProposalError(f"{file} has no column {name!r}: {hint}")


def _check_role(facts: Statistics, role: Role) -> None:
    """Raise where the column cannot have the role that the user gave it."""
    if role == "id":
        return
    if facts.blank:
        raise ProposalError(
            f"--{role} {facts.name} is missing in {len(facts.raw) - facts.present:,} rows and "
            "decides the split: fill it in, or take these rows out"
        )
    if role == "time" and facts.moment is None:
        raise ProposalError(
            f"--time {facts.name} holds no dates or times in one format: name a column that does"
        )
    if facts.distinct == 1:
        raise ProposalError(
            f"--{role} {facts.name} is the same in every row, so it cannot split them: drop it"
        )
