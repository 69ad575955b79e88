"""The environments: their order, and whether what one declares may be served."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from ..bundle import contents
from ..bundle.reading import CONFIG
from ..config.settings import Settings
from ..errors import ProjectError
from ..files import parse_yaml, read_yaml
from ..git import dvc
from ..git.repository import Repository, RepositoryError
from . import evidence
from .declaration import DEPLOY, NAME, Declared, declared, paths
from .evidence import PRODUCTION

ORDER = f"{DEPLOY}/environments.yaml"
MAKE_AGAIN = (
    "`mlops gate --rederive` against the base, then `mlops promote`; the workflow `model` does both"
)
TAKE_BACK = (
    "take the declaration back with `git revert`, and bring it in by a pull request, whose "
    "workflow `model` makes the candidate again"
)
PLAIN = re.compile(r"[a-z][a-z0-9-]{0,62}")
# MLflow takes an alias like v2 for the number of a version, and keeps `latest`; `champion` is the
# alias of production; manifests stand in deploy/kubernetes, rules in deploy/observability.
TAKEN = re.compile(r"v[0-9]+|latest|champion|kubernetes|observability")


class EnvironmentsError(ProjectError):
    """An environment does not exist, or does not declare what may be served."""


class Verified(NamedTuple):
    """A declaration that holds: the commit that brought it to this branch, and what was before."""

    declared: Declared
    introduced: str
    base: str | None
    folder: Path


def order(repository: Repository, commit: str) -> list[str]:
    """Return the environments of a commit, the first to be promoted to first."""
    text = repository.text_at(commit, ORDER)
    if text is None:
        return [PRODUCTION]
    where = f"{ORDER} of {commit[:12]}"
    try:
        names = parse_yaml(text)["environments"]
        fine = all(isinstance(name, str) and PLAIN.fullmatch(name) for name in names)
    except (yaml.YAMLError, LookupError, TypeError) as error:
        raise EnvironmentsError(f"{where} has no list `environments`: give it one") from error
    if not isinstance(names, list) or not fine or len(set(names)) != len(names):
        raise EnvironmentsError(
            f"{where} must list each name once, in small letters, digits and hyphens"
        )
    if taken := [name for name in names if TAKEN.fullmatch(name)]:
        raise EnvironmentsError(
            f"{where} calls an environment {taken[0]}, which MLflow or deploy/ has for something "
            "else: call it otherwise, like staging"
        )
    if names[-1:] != [PRODUCTION]:
        raise EnvironmentsError(
            f"{where} must end with {PRODUCTION}, whose champion the gate compares with"
        )
    return list(names)


def check_order(repository: Repository, one: Declared, base: str | None, own: str) -> None:
    """Raise EnvironmentsError where the environment before does not declare the same bundle.

    Order and environment are those of the base: a bundle goes through one after the other.
    """
    environment = one.declaration.environment
    before = previous(repository, environment, base or own)
    if before is None:
        return
    standing = None if base is None else declared(repository, base, before)
    found = standing.declaration.bundle_digest if standing else None
    if found != one.declaration.bundle_digest:
        served = f"declares {found[:12]}" if found else "declares none"
        raise EnvironmentsError(
            f"{before} {served}, and {environment} takes only what {before} has: promote "
            f"{one.declaration.bundle_digest[:12]} to {before} and merge that first"
        )


def previous(repository: Repository, environment: str, commit: str) -> str | None:
    """Return the environment before this one; None for the first."""
    names = order(repository, commit)
    if environment not in names:
        raise EnvironmentsError(
            f"there is no environment {environment!r}: choose from {', '.join(names)}, or add it "
            f"to {ORDER} and merge that"
        )
    place = names.index(environment)
    return names[place - 1] if place else None


def introduced(repository: Repository, commit: str, environment: str) -> str:
    """Return the first commit of the branch that had the three files as this commit has them.

    After a revert that is the commit that promoted them at the time, whose first parent holds
    what they were judged by. Only the branch's own line counts: a merge, not what it brought.
    """
    if repository.is_shallow():
        raise EnvironmentsError(
            "this clone has only the end of the history, which holds the evidence: fetch the rest "
            "(`git fetch --unshallow`)"
        )
    return restored(repository, commit, environment, commit) or commit


def restored(repository: Repository, commit: str, environment: str, base: str) -> str | None:
    """Return the commit on the line of `base` that first had the three files as `commit` has them.

    None where there is none, or nothing is declared. A revert brings them back to the byte: what
    was judged then, and merged, needs no verdict.
    """
    files = paths(environment)
    mine = repository.blobs(commit, files)
    if not mine:
        return None
    steps = repository.changed(base, files)
    line = (s.commit for s in reversed(steps))
    return next((one for one in line if repository.blobs(one, files) == mine), None)


def verify(
    repository: Repository, commit: str, environment: str, out: Path, base: str | None = None
) -> Verified | None:
    """Verify what a commit declares, bring the bundle to `out`; None where it declares nothing.

    What counts are champion, policy and order of `base`: if not given, the first parent of the
    commit that introduced the declaration. Raises a ProjectError for whatever does not hold.
    """
    one = declared(repository, commit, environment)
    if one is None:
        return None
    since = commit if base else introduced(repository, commit, environment)
    remedy = TAKE_BACK if base is None else MAKE_AGAIN
    base = base or repository.parent(since)
    check(repository, one, base, since)
    evidence.check_settled(one, remedy)
    bring(repository, one, out)
    return Verified(one, since, base, out)


def check(repository: Repository, one: Declared, base: str | None, own: str) -> None:
    """Raise a ProjectError where evidence or order do not allow a declaration.

    `own` is the commit that declares; champion, policy and order are those of `base`.
    """
    evidence.check(repository, one, base, own)
    check_order(repository, one, base, own)


def bring(repository: Repository, one: Declared, out: Path, afresh: bool = False) -> None:
    """Fetch the declared bundle to `out` and hash it; `afresh`, from the remote alone.

    DVC believes its cache and its remote: what came has to be what the pointer, its own manifest
    and the declaration say.
    """
    said, pointer = one.declaration, one.pointer
    source = "remote" if afresh else "DVC cache or remote"
    fetch = dvc.fetch_afresh if afresh else dvc.fetch
    try:
        fetch(repository, pointer.text(), NAME, out)
    except RepositoryError as error:
        raise EnvironmentsError(
            f"{said.bundle_digest[:12]} cannot be fetched from the {source} ({error}); where it is "
            "whole, `dvc push` it"
        ) from error
    found = type(pointer).of(out)
    if found != pointer:
        raise EnvironmentsError(
            f"what the {source} has as {pointer.md5} is {found.md5}: remove it there, and bring "
            "it back with `dvc commit` or `dvc push` from where it is whole"
        )
    bundle_digest, content, _ = contents.read(out)
    primary = Settings.parse(read_yaml(out / CONFIG)).evaluation.primary
    known = (bundle_digest, content["name"], content["task"], primary)
    origin = content["lineage"]["commit"]
    if (*known, origin) != (said.bundle_digest, said.name, said.task, said.primary, said.commit):
        raise EnvironmentsError(
            f"release.yaml of {said.environment} does not name the bundle that {NAME}.dvc points "
            "to: promote again"
        )
