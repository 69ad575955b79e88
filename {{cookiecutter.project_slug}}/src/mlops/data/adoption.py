"""Take a table of the user's own: infer its contract, version it, and set the experiment on it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pandas as pd

from ..config import compose, settings
from ..contract import Contract, Role, Source, Task
from ..errors import ProjectError
from ..repository import dvc_add, is_clean
from .declaration import WORDS, adopted, contract_text, features_text, unedited, with_choices
from .exchange import RAW, check_raw, exchange, exclusive
from .facts import Facts
from .inference import blanks, infer
from .leakage import leave_out
from .moments import cutoff, derived, moments
from .sniffing import sniff
from .sources import DataError, frames
from .target import decide

SHOWN = 20
NAME = re.compile(r"[a-z][a-z0-9_-]*")


class AdoptionError(ProjectError):
    """The table does not fit what was said about it, or the project cannot take it."""


@dataclass(frozen=True)
class Adoption:
    """What an adoption found and wrote; printed, it says so in a few lines."""

    contract: Contract
    file: Path
    rows: int
    split: str
    written: tuple[Path, ...]
    derived: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        contract = self.contract
        direct = [n for n in contract.names("feature") if contract.columns[n].type != "datetime"]
        features = [*direct, *self.derived]
        more = f" and {len(features) - SHOWN} more" if len(features) > SHOWN else ""
        target = f"target {contract.target}"
        if contract.task == "binary":
            target += f" (positive: {contract.labels[1]}, not {contract.labels[0]})"
        elif contract.labels:
            target += f" ({', '.join(contract.labels[:6])}{', …' * (len(contract.labels) > 6)})"
        lines = [
            f"{self.file.name} is {contract.name}: {self.rows:,} rows, {contract.task}, {target}",
            f"features: {', '.join(features[:SHOWN])}{more}",
            f"split: by {self.split}",
        ]
        for name, column in contract.columns.items():
            if column.role == "ignored":
                lines.append(f"left out: {name} {column.reason}")
            elif column.description:
                lines.append(f"check: {name}: {column.description}")
        lines.append(f"written: {', '.join(map(str, self.written))}")
        return "\n".join([*lines, "next: dvc repro"])


def adopt(
    file: Path,
    target: str,
    *,
    task: Task | None = None,
    key: str | None = None,
    time: str | None = None,
    group: str | None = None,
    columns: Sequence[str] | None = None,
    name: str | None = None,
    project: Path = Path(),
) -> Adoption:
    """Adopt a CSV or Parquet file as the data of this project, all or nothing.

    Raises a ProjectError, having changed nothing, for a file that is no table, columns that are
    not there, a target that cannot be predicted, and raw data or conf files that would be lost.
    """
    if not (project / "params.yaml").is_file() or not (project / "conf").is_dir():
        raise AdoptionError(
            f"{project.resolve()} has no params.yaml and conf/: run this in a project's root folder"
        )
    called = _name(file, name)
    names = [column.strip() for column in columns] if columns else None
    source = sniff(file, target, names)
    with exclusive(project):
        return _adopt(file, target, task, _roles(target, key, time, group), source, called, project)


def _adopt(
    file: Path,
    target: str,
    task: Task | None,
    roles: Mapping[str, Role],
    source: Source,
    name: str,
    project: Path,
) -> Adoption:
    check_raw(project, file)
    frame, source = _read(file, source)
    _check_columns(file, list(frame.columns), [target, *roles])
    contract = _contract(frame, source, name, target, task, roles)
    times = moments(frame, contract.columns, source)
    features = derived(times, contract.columns)
    by = "time" if contract.time else "group" if contract.names("group") else "hash"
    texts = {Path("conf/data") / f"{name}.yaml": contract_text(contract, file.name, len(frame))}
    if features:
        texts[Path("conf/features") / f"{name}.yaml"] = features_text(name, features)
    fresh = _check_overwritten(project, texts)
    choices = {
        "data": {"use": name},
        "features": {"use": name if features else "columns"},
        "split": {"use": by},
    }
    if contract.time:
        choices["split"]["cutoff"] = cutoff(times[contract.time])
    experiment = project / "params.yaml"
    compose.read_experiment(experiment)
    texts[Path("params.yaml")] = with_choices(
        experiment.read_text(encoding="utf-8"), choices, fresh
    )
    with exchange(project, file, texts):
        resolved = compose.composed(project / "conf", compose.read_experiment(experiment))
        compose.check_task(project / "conf", settings.Settings.parse(resolved))
        pointer = dvc_add(RAW, project)
    return Adoption(contract, file, len(frame), by, (*texts, pointer), tuple(features))


def _contract(
    frame: pd.DataFrame,
    source: Source,
    name: str,
    target: str,
    task: Task | None,
    roles: Mapping[str, Role],
) -> Contract:
    for column, role in roles.items():
        _check_role(Facts(column, frame[column], source), role)
    decided, task = decide(Facts(target, frame[target], source), task)
    columns = leave_out(frame, infer(frame, source, {target: decided}, roles), source)
    if not any("feature" in column.roles for column in columns.values()):
        reasons = "; ".join(f"{n} {c.reason}" for n, c in columns.items() if c.reason)
        raise AdoptionError(f"no column is left to predict {target} from ({reasons}): add some")
    return Contract(name=name, task=task, columns=columns, source=source)


def _read(file: Path, source: Source) -> tuple[pd.DataFrame, Source]:
    """Return the whole table, and the source with what else means "no value" in it."""
    parts = [part.frame for part in frames([file], source)]
    if not parts or not sum(map(len, parts)):
        raise DataError(f"{file} has a header and no rows: give it some")
    frame = pd.concat(parts, ignore_index=True)
    if more := blanks(frame, source):
        source = msgspec.structs.replace(source, missing=[*source.missing, *more])
        frame = pd.concat([part.frame for part in frames([file], source)], ignore_index=True)
    return frame, source


def _name(file: Path, name: str | None) -> str:
    """Return the name of the data: the one given, or the file's as far as it can be one."""
    if name is None:
        stem = re.sub(r"[^a-z0-9_-]+", "_", file.name.split(".")[0].lower()).strip("_-")
        return stem if NAME.fullmatch(stem) and stem not in WORDS else f"table_{stem}".rstrip("_")
    if not NAME.fullmatch(name) or name in WORDS:
        raise AdoptionError(
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
    roles: dict[str, Role] = {}
    if time and group:
        raise AdoptionError("--time and --group both decide the split: give one of them")
    for option, (column, role) in given.items():
        if column is None:
            continue
        if column == target or column in roles:
            raise AdoptionError(f"{option} names {column}, which has another role: give one each")
        roles[column] = role
    return roles


def _check_columns(file: Path, present: list[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            near = difflib.get_close_matches(name.lower(), [n.lower() for n in present], 1, 0.5)
            meant = [n for n in present if n.lower() in near]
            hint = f"did you mean {meant[0]}?" if meant else f"it has {', '.join(present[:SHOWN])}"
            raise AdoptionError(f"{file} has no column {name!r}: {hint}")


def _check_role(facts: Facts, role: Role) -> None:
    if role == "time" and facts.moment is None:
        raise AdoptionError(
            f"--time {facts.name} holds no dates or times in one format: name a column that does"
        )
    if role != "id" and facts.blank:
        raise AdoptionError(
            f"--{role} {facts.name} is missing in {len(facts.raw) - facts.present:,} rows and "
            "decides the split: fill it in, or take these rows out"
        )
    if role != "id" and facts.distinct == 1:
        raise AdoptionError(
            f"--{role} {facts.name} is the same in every row, so it cannot split them: drop it"
        )


def _check_overwritten(project: Path, texts: Mapping[Path, str]) -> bool:
    """Say whether a file will change; raise where somebody's own work would be lost."""
    fresh = False
    for path, text in texts.items():
        if not (project / path).exists():
            fresh = True
            continue
        old = (project / path).read_text(encoding="utf-8")
        fresh |= old != text
        if old == text or unedited(old) or (adopted(old) and is_clean([path], project)):
            continue
        what = "was edited and not committed" if adopted(old) else "is not from an adoption"
        raise AdoptionError(f"{path} {what}: choose another --name, or move it away")
    return fresh
