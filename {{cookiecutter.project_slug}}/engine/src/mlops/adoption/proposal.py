"""What a table would be as the data of a project: its contract, features and split."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec
import pandas as pd

from ..config.settings import Derived
from ..contract import Column, Contract, Role, Source, Task
from ..data.encodings import GUESSED
from ..data.parsing import is_text
from ..data.sniffing import sniff
from ..data.sources import DataError, frames
from ..errors import ProjectError
from ..progress import progress
from ..spelling import nearest
from .blanks import Absent, blanks, read_as_missing, without
from .copies import copies
from .deciding import deciding
from .declaration import WORDS
from .exclusion import leave_out, numbers
from .inference import infer
from .magnitude import magnitude
from .plausibility import doubt
from .prose import counted
from .reading import read
from .scarcity import scarcity, tells
from .statistics import Statistics, shortened, statistics
from .target import decide
from .timeliness import cutoff, derived, moments, since, trend

SHOWN = 20
NAME = re.compile(r"[a-z][a-z0-9_-]*")


class ProposalError(ProjectError):
    """The table does not fit what was said about it."""


@dataclass(frozen=True)
class Proposal:
    """The contract of a table, what to derive from its columns, and how to split it.

    `absent` are the texts that were read as missing, with their rows in each column; `notes` what
    a person should look at beside what the columns say, `tells` what the gate could tell by it.
    `exclude` are features that enter no matrix by themselves.
    """

    contract: Contract
    rows: int
    unlabelled: int
    derived: Mapping[str, Derived]
    split: Mapping[str, Any]
    absent: Absent
    notes: tuple[str, ...] = ()
    tells: str = ""
    exclude: tuple[str, ...] = ()


class Options(TypedDict, total=False):
    """What a user may say of a table; the rest is inferred.

    `key`, `time` and `group` are columns, `columns` the names for a file without a header, `name`
    what to call the data, `encoding` that of a CSV, and `missing` the texts that, beside an empty
    cell, mean "no value" in place of those that are known to. `anew` takes the proposal in place
    of what was edited since an earlier adoption.
    """

    task: Task | None
    key: str | None
    time: str | None
    group: str | None
    columns: Sequence[str] | None
    name: str | None
    encoding: str | None
    missing: Sequence[str] | None
    anew: bool


def propose(
    file: Path, target: str, earlier: Contract | None = None, **options: Unpack[Options]
) -> Proposal:
    """Read a CSV or Parquet file and infer what it would be.

    Key, time and group that the options leave open are those of an `earlier` contract, as far as
    the table still has them. Raises a ProjectError for a file that is no table, columns that are
    not there, and a target that cannot be predicted.
    """
    called = name_of(file, options.get("name"))
    time, group = options.get("time"), options.get("group")
    roles = _roles(target, options.get("key"), time, group)
    named = [column.strip() for column in options.get("columns") or ()]
    source = sniff(file, target, named or None, options.get("encoding"))
    if (missing := options.get("missing")) is not None:
        texts = ["", *(text.strip() for text in missing)]
        source = msgspec.structs.replace(source, missing=list(dict.fromkeys(texts)))
    frame, source, absent = _read(file, source)
    _check_columns(file, list(frame.columns), [target, *roles])
    if earlier is not None and earlier.target == target:
        roles |= _kept(earlier, roles, set(frame.columns))
        time, group = (_of(roles, role) for role in ("time", "group"))
    facts, readings = read(file, frame, source, [n for n, role in roles.items() if role != "time"])
    for column, role in roles.items():
        _check_role(facts[column], role)
    frame = pd.DataFrame({name: one.raw for name, one in facts.items()}, index=frame.index)
    labelled = frame[target].notna()
    unlabelled = len(frame) - int(labelled.sum())
    if 0 < unlabelled < len(frame):
        frame = frame[labelled].reset_index(drop=True)
        source = msgspec.structs.replace(source, unlabelled="drop")
        facts = statistics(frame, source)
    decided, task = decide(facts[target], options.get("task"))
    inferred = infer(facts, {target: decided}, roles)
    columns, notes = leave_out(frame, inferred, source)
    columns = {name: readings[name].of(column) for name, column in columns.items()}
    times = moments(frame, columns, source)
    found = derived(times, columns)
    split: dict[str, Any] = {"use": "time" if time else "group" if group else "hash"}
    if task == "regression" and (along := trend(times, numbers(frame[target], decided, source))):
        day, share = along
        found[f"{day}_days"] = since(day, times[day])
        notes.append(
            f"{target} follows {day} (R² {share:.4f}): trees extrapolate no trend, and a linear "
            f"model does along {day}_days; a column with an earlier {target} of the same thing, "
            "a lag, helps either"
        )
        if split["use"] == "hash" and not columns[day].nullable:
            split, time = {"use": "time"}, day
            columns[day] = msgspec.structs.replace(columns[day], role=["feature", "time"])
    large = magnitude(frame, columns, source, found)
    found |= large.derived
    found |= counted(columns, found, len(frame))
    notes += large.notes
    if time:
        split["cutoff"] = cutoff(times[time])
    contract = _contract(columns, source, called, task, found)
    if split["use"] == "hash" and not contract.names("id"):
        split |= {"columns": by} if (by := deciding(frame, columns)) else {}
    if not options.get("encoding"):
        notes += _guessed(source, frame)
    notes += copies(frame, facts)
    notes += scarcity(facts[target], contract)
    if "time" not in split["use"] and (said := doubt(frame, contract, found)):
        notes.append(said)
    power = tells(facts[target], contract)
    return Proposal(
        *(contract, len(frame), unlabelled, found, split, absent, tuple(notes), power),
        exclude=large.exclude,
    )


def _contract(
    columns: dict[str, Column],
    source: Source,
    name: str,
    task: Task,
    found: Mapping[str, Derived],
) -> Contract:
    if not any("feature" in column.roles for column in columns.values()):
        time = next((n for n, column in columns.items() if "time" in column.roles), None)
        if time is None or not found:
            target = next(n for n, column in columns.items() if "target" in column.roles)
            reasons = "; ".join(
                f"{n} {c.reason or 'tells the rows apart'}"
                for n, c in columns.items()
                if "target" not in c.roles
            )
            raise ProposalError(f"no column is left to predict {target} from ({reasons}): add some")
        columns[time] = msgspec.structs.replace(columns[time], role=["feature", "time"])
    try:
        return Contract(name=name, task=task, columns=columns, source=source)
    except ValueError as error:
        raise ProposalError(str(error)) from error


def _read(file: Path, source: Source) -> tuple[pd.DataFrame, Source, Absent]:
    """Return the whole table, the source with all that means "no value", and what that is where."""
    parts = _frames(file, msgspec.structs.replace(source, missing=[]))
    if not sum(map(len, parts)):
        raise DataError(f"{file} has a header and no rows: give it some")
    written = pd.concat(parts, ignore_index=True)
    frame = without(written, source.missing)
    if more := blanks(frame, source):
        source = msgspec.structs.replace(source, missing=[*source.missing, *more])
        frame = without(frame, more)
    return frame, source, read_as_missing(written, source.missing)


def _frames(file: Path, source: Source) -> list[pd.DataFrame]:
    parts = progress(frames([file], source), "read", unit="frame")
    return [part.frame for part in parts]


def _guessed(source: Source, frame: pd.DataFrame) -> list[str]:
    """Say which encoding was guessed, with texts by which a person sees whether it is right."""
    if source.format != "csv" or source.encoding not in GUESSED:
        return []
    texts = [text for text in map(str, frame.columns) if not text.isascii()]
    for column in filter(is_text, (frame[name] for name in frame.columns)):
        texts += [text for text in column.dropna().unique() if not text.isascii()][:3]
    shown = ", ".join(map(shortened, texts[:3]))
    return [
        f"the file is no UTF-8 and was read as {source.encoding}: where texts like {shown} are "
        "wrong, name its --encoding"
    ]


def name_of(file: Path, name: str | None) -> str:
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


def _kept(earlier: Contract, roles: Mapping[str, Role], present: set[str]) -> dict[str, Role]:
    """Return the roles that columns had before and nobody gave to another one.

    What is a feature too was found by inference, which finds it again.
    """
    given = set(roles.values())
    kept: dict[str, Role] = {}
    for role in ("id", "time", "group"):
        rivals = {"time", "group"} if role != "id" else {"id"}
        names = [
            name
            for name in earlier.names(role)
            if name in present and name not in roles and set(earlier.columns[name].roles) == {role}
        ]
        if len(names) == 1 and not rivals & (given | set(kept.values())):
            kept.setdefault(names[0], role)
    return kept


def _of(roles: Mapping[str, Role], role: Role) -> str | None:
    return next((name for name, one in roles.items() if one == role), None)


def _check_columns(file: Path, present: list[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            near = nearest(name, present, 0.5)
            hint = f"did you mean {near}?" if near else f"it has {', '.join(present[:SHOWN])}"
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
