"""Refresh: the pull request of a candidate retrained on new rows, by the declared rules."""

import datetime
import io
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..bundle import alerts
from ..config.compose import CONF, settings_of
from ..config.experiment import EXPERIMENT, Experiment, read_experiment
from ..config.settings import Refresh, Settings
from ..data.prepare import RAW
from ..errors import ProjectError
from ..git import commits, dvc, landing
from ..git.placement import placement
from ..git.repository import Repository
from . import gathering, pulls
from .branch import ORIGIN, fetch, tip
from .declaration import Declaration, declared, paths
from .evidence import PRODUCTION
from .gathering import Gathered

MAIN = "main"
MAIN_REF = f"refs/heads/{MAIN}"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
FRESH = 3  # days for which a report of the monitor speaks of today
REPORT = "monitor.md"  # beside monitor.json
SHOWN = 40_000  # signs of that report


class RefreshError(ProjectError):
    """No refresh is made now."""


class NotNowError(RefreshError):
    """A refresh is put off by its own rules: nothing is wrong with what was asked."""


class Refreshed(NamedTuple):
    """What became of a refresh: a sentence, and its branch where there is one."""

    said: str
    branch: str | None = None


class Cause(NamedTuple):
    """Why a refresh is made: a sentence for each reason, and the monitor's report, if any."""

    reasons: list[str]
    report: str = ""


class Standing(NamedTuple):
    """The refreshes that the remote knows: commits of their branches, and of all by their day."""

    branches: dict[str, str]
    days: dict[datetime.date, str]


def refresh(
    repository: Repository, because: Path | None, at: datetime.date, every: int | None
) -> Refreshed:
    """Propose a candidate of the rows that the owner's source has now, or say why there is none.

    It is asked for by hand (without `because`), by an alert of the monitor's report `because`, or
    where the last was `every` days ago. Only a branch and a pull request come of it: neither HEAD
    nor index nor a file of the project changes.
    """
    with landing.serial(repository):
        landing.check_ready(repository)
        # What a killed run left there:
        shutil.rmtree(repository.root / gathering.SCRATCH, ignore_errors=True)
        dvc.mend(repository)
        head = _main(repository)
        settings = settings_of(CONF, read_experiment(EXPERIMENT))
        law = settings.monitoring.refresh
        content = None if because is None else _report(repository, because, head, at)
        standing = _standing(repository)
        by_gh = pulls.usable()
        if left := _unfinished(repository, standing, by_gh):
            return _proposed(repository, left, standing.branches[left], _cause(law, content))
        _check_open(repository, standing, head, by_gh)
        cause = _asked(repository, law, content, standing, at, every)
        if cause is None:
            return Refreshed("no alert asks for a refresh: nothing to do")
        _check_cooled(law, standing, at)
        name = f"{_kind(repository)}{at}"
        if at in standing.days or name in standing.branches:
            raise NotNowError(f"there was a refresh on {at} already: the next is of another day")
        with gathering.scratch(repository) as folder:
            champion = _served(repository, head).commit
            found = gathering.gathered(repository, settings, folder, champion)
            if found is None or not (found.new or found.pointer is None):
                return Refreshed("the source has no row that is new: nothing to refresh")
            if not found.trains:
                return Refreshed(_only_held_out(settings, found))
            files = {**_experiment(repository, settings, law, found, folder)}
            files |= gathering.pinning(repository, found.pointer)
            message = _message(at, cause, settings, found)
            commit = commits.made(repository, head, files, message)
            if found.pointer is not None:
                dvc.push(repository, found.pointer, RAW.name)
        _push(repository, commit, name)
        return _proposed(repository, name, commit, cause, by_gh)


def _main(repository: Repository) -> str:
    """Return HEAD, which has to be what main is at the remote, with nothing changed."""
    head = repository.commit_of("HEAD")
    if repository.git("status", "--porcelain", "--", ".").strip():
        raise RefreshError(
            "something here differs from the last commit: commit it, or take it back"
        )
    known = tip(repository, MAIN)
    if head != known:
        is_main = repository.git("rev-parse", "--symbolic-full-name", "HEAD").strip() == MAIN_REF
        if is_main and (known is None or repository.is_ancestor(known)):
            raise RefreshError(f"{MAIN} has commits that the remote has not: `git push` first")
        raise RefreshError(
            f"this is not the last commit of {MAIN}: `git checkout {MAIN} && git pull`"
        )
    _served(repository, head)
    return head


def _served(repository: Repository, head: str) -> Declaration:
    """Return what production declares."""
    found = declared(repository, head, PRODUCTION)
    if found is None:
        raise RefreshError(f"{PRODUCTION} declares no model: promote a first one by hand")
    return found.declaration


def _report(repository: Repository, path: Path, head: str, at: datetime.date) -> dict[str, Any]:
    """Return the monitor's report, if it is of today's champion and of these days."""
    content = alerts.read(path)
    try:
        model, day = str(content["model"]["sha256"]), datetime.date.fromisoformat(content["at"])
        # Several windows of one alert are one.
        kinds = dict.fromkeys(
            (one["kind"], one["rule"], one.get("part", "")) for one in content["alerts"]
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RefreshError(f"{path} lacks what it should say: run `make monitor` again") from error
    if model != _served(repository, head).bundle_digest:
        raise RefreshError(
            f"{path} is of the model {model[:12]}, and {PRODUCTION} declares another: run "
            "`make monitor` on the log of that"
        )
    if not -1 <= (at - day).days <= FRESH:
        raise RefreshError(f"{path} is of {day}, and this is {at}: run `make monitor` again")
    if broken := [f"{rule} of {part}" if part else rule for kind, rule, part in kinds
                  if kind == "quality"]:  # fmt: skip
        raise NotNowError(
            f"the data are broken ({', '.join(broken[:5])}), and a model would learn that: mend "
            "where they come from, until `make monitor` has no such alert"
        )
    folder = path.parent / REPORT
    return {**content, REPORT: folder.read_text(encoding="utf-8") if folder.is_file() else ""}


def _cause(law: Refresh, content: Mapping[str, Any] | None) -> Cause:
    """Return what a report says for a refresh; by hand where there is none."""
    if content is None:
        return Cause(["asked for by hand"])
    asking = [one for one in content["alerts"] if one["kind"] in law.because]
    reasons = dict.fromkeys(" ".join(str(one["reason"]).split()) for one in asking)
    return Cause([*reasons], content[REPORT])


def _asked(
    repository: Repository,
    law: Refresh,
    content: Mapping[str, Any] | None,
    standing: Standing,
    at: datetime.date,
    every: int | None,
) -> Cause | None:
    """Return why a refresh is due; None where it is not."""
    cause = _cause(law, content)
    if cause.reasons and (content is not None or every is None):
        return cause
    if every == 0:
        return cause._replace(reasons=["asked for by hand"])
    if every is None:
        return None
    promoted = repository.changed("HEAD", paths(PRODUCTION))[0].when[:10]
    last = max(
        [datetime.date.fromisoformat(promoted), *(day for day in standing.days if day <= at)]
    )
    if (at - last).days < every:
        return None
    reason = f"the last was on {last}, and one is made every {every} days"
    return cause._replace(reasons=[reason])


def _kind(repository: Repository) -> str:
    """Return what the branches of this project's refreshes begin with: a day follows."""
    return placement(repository).branch("refresh")


def _standing(repository: Repository) -> Standing:
    kind = _kind(repository)
    branches_of, remembered = f"refs/heads/{kind}", f"refs/mlops/{kind}"
    patterns = (f"{branches_of}*", f"{remembered}*")
    if ORIGIN in repository.git("remote").split():
        told = repository.git("ls-remote", ORIGIN, *patterns)
    else:
        told = repository.git("for-each-ref", "--format=%(objectname)%09%(refname)", *patterns)
    refs = {ref: commit for commit, _, ref in (line.partition("\t") for line in told.splitlines())}
    days: dict[datetime.date, str] = {}
    for ref, commit in refs.items():
        if ref.startswith(remembered) and DAY.fullmatch(day := ref.removeprefix(remembered)):
            try:
                days[datetime.date.fromisoformat(day)] = commit
            except ValueError:
                continue  # like 2026-99-99, which nobody made here
    branches = {
        ref.removeprefix("refs/heads/"): commit
        for ref, commit in refs.items()
        if ref.startswith(branches_of)
    }
    return Standing(branches, days)


def _unfinished(repository: Repository, standing: Standing, by_gh: bool) -> str | None:
    """Return the branch of a refresh that was killed before its pull request was open."""
    if not by_gh:
        return None
    made = {f"{_kind(repository)}{day}": commit for day, commit in standing.days.items()}
    left = [name for name, commit in standing.branches.items() if made.get(name) == commit]
    return next((name for name in sorted(left, reverse=True) if not pulls.of(name)), None)


def _check_open(repository: Repository, standing: Standing, head: str, by_gh: bool) -> None:
    """Raise where another refresh is open: by its pull request, or else by its branch."""
    for name, commit in standing.branches.items():
        if by_gh:
            where = next((one.url for one in pulls.of(name) if one.state == "OPEN"), None)
        else:
            where = None if repository.is_ancestor(commit, head) else f"the branch {name}"
        if where:
            remedy = "close that one" if by_gh else "delete the branch"
            raise NotNowError(f"another refresh is open ({where}): merge it, or {remedy}, first")


def _check_cooled(law: Refresh, standing: Standing, at: datetime.date) -> None:
    last = max((day for day in standing.days if day <= at), default=None)
    if last is not None and (at - last).days < law.cooldown_days:
        until = last + datetime.timedelta(days=law.cooldown_days)
        raise NotNowError(
            f"the last refresh was on {last}, and {law.cooldown_days} days lie between two: wait "
            f"until {until}, or change monitoring.refresh.cooldown_days"
        )


def _only_held_out(settings: Settings, found: Gathered) -> str:
    said = f"{found.new:,} rows are new and none of them trains: nothing to refresh"
    if settings.split.method == "time" and settings.split.holdout_days is None:
        said += "; split.holdout_days in params.yaml is the rule by which the cut-off moves on"
    return said


def _experiment(
    repository: Repository, settings: Settings, law: Refresh, found: Gathered, folder: Path
) -> dict[str, str]:
    """Return the files of the experiment that a refresh changes: its cut-off, its tuning.

    What they come to is composed before it is believed.
    """
    wanted = replace(settings.split, cutoff=found.cutoff)
    used = Experiment.parse(CONF, read_experiment(EXPERIMENT)).used
    texts: dict[str, str] = {}
    if wanted != settings.split:
        texts |= _with_cutoff(used["split"], str(found.cutoff))
    if law.tuning not in (None, used["tuning"]):
        text = texts.get(EXPERIMENT.name, EXPERIMENT.read_text(encoding="utf-8"))
        texts[EXPERIMENT.name] = _changed(text, ("tuning", "use"), str(law.tuning))
    if texts:
        for name in (CONF, Path("requirements"), EXPERIMENT):
            copy = shutil.copytree if name.is_dir() else shutil.copy
            copy(name, folder / name)
        for path, text in texts.items():
            (folder / path).write_text(text, encoding="utf-8")
        made = settings_of(folder / CONF, read_experiment(folder / EXPERIMENT))
        if made.split != wanted:
            raise RefreshError(
                f"split.cutoff cannot be set to {found.cutoff} by this: write it as a plain date "
                f"into {EXPERIMENT}"
            )
    return texts


def _with_cutoff(choice: str, value: str) -> dict[str, str]:
    """Return the file that has the cut-off, with another one."""
    text = EXPERIMENT.read_text(encoding="utf-8")
    section = (_loaded(text) or {}).get("split") or {}
    if isinstance(section.get("cutoff"), Mapping):
        return {EXPERIMENT.name: _changed(text, ("split", "cutoff", choice), value)}
    if "cutoff" in section:
        return {EXPERIMENT.name: _changed(text, ("split", "cutoff"), value)}
    path = CONF / f"split/{choice}.yaml"
    return {path.as_posix(): _changed(path.read_text(encoding="utf-8"), ("cutoff",), value)}


def _loaded(text: str) -> Any:
    try:
        return _round_trip().load(text)
    except YAMLError as error:
        raise RefreshError(f"{EXPERIMENT} is not valid YAML: correct it first") from error


def _changed(text: str, keys: tuple[str, ...], value: str) -> str:
    """Return a YAML file with another value, its comments and all else as they were."""
    content = node = _loaded(text)
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    node[keys[-1]] = DoubleQuotedScalarString(value) if value[:1].isdigit() else value
    stream = io.StringIO()
    _round_trip().dump(content, stream)
    return stream.getvalue()


def _round_trip() -> YAML:
    made = YAML()
    made.width, made.preserve_quotes = 4096, True
    return made


def _message(at: datetime.date, cause: Cause, settings: Settings, found: Gathered) -> str:
    rows = f"{found.new:,} rows are new"
    if found.gone:
        rows += f", {found.gone:,} are gone or changed"
    if found.pointer is None:
        rows = f"{found.trains:,} rows of main train that the champion was not trained with"
    moved = ""
    if found.cutoff != settings.split.cutoff:
        moved = f"The cut-off moves from {settings.split.cutoff} to {found.cutoff}, by its rule.\n"
    reasons = "\n".join(f"- {one}" for one in cause.reasons)
    return f"Refresh of {at}\n\n{reasons}\n\n{rows}.\n{moved}"


def _push(repository: Repository, commit: str, name: str) -> None:
    """Push the branch, and what remembers its day when the branch is gone: both, or neither."""
    refs = (f"{commit}:refs/heads/{name}", f"{commit}:refs/mlops/{name}")
    if ORIGIN in repository.git("remote").split():
        repository.git("push", "--quiet", "--atomic", ORIGIN, *refs)
        return
    new = "".join(f"create {ref.partition(':')[2]} {commit}\n" for ref in refs)
    repository.git("update-ref", "--stdin", text=new)


def _proposed(
    repository: Repository, name: str, commit: str, cause: Cause, by_gh: bool = True
) -> Refreshed:
    """Start the judgment and open the pull request: last, so that a killed run is gone on from."""
    if not by_gh:
        return Refreshed(
            f"{name} is pushed: open a pull request from it into {MAIN}, which is judged as any "
            "other",
            name,
        )
    if "GITHUB_ACTIONS" in os.environ:
        pulls.start(placement(repository).workflow("model.yml"), name)
    fetch(repository, commit)
    title, _, about = repository.message(commit).strip().partition("\n")
    url = pulls.create(name, title, body(about.strip(), cause.report))
    return Refreshed(f"{url} is open, and the workflow `model` judges it", name)


def body(about: str, report: str) -> str:
    """Return the text of a pull request: all that came from data or files is code, not markup."""
    parts = [
        "A candidate retrained on new rows, by the rules that main declares. The workflow `model` "
        "makes it and judges it; it is merged by whoever approves, and closes itself where it is "
        "no better.",
        _fenced(about),
    ]
    if report:
        cut = report if len(report) <= SHOWN else f"{report[:SHOWN]}\n…"
        inside = f"<details><summary>What the monitor saw</summary>\n\n{_fenced(cut)}\n\n</details>"
        parts.append(inside)
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    """Return a text as code, whatever is in it: no name is called, no link followed."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"
