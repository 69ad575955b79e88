"""The pull request of what was ingested: one branch, made anew from main by each run.

The commit is made beside the working tree, and pushed before the pull request is opened or
written anew: a run that is killed is completed by the next.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git import commits, dvc
from ..git.repository import Repository
from . import pulls
from .branch import fetch, move, tip

MAIN, BRANCH = "main", "ingest/data"
INTRODUCTION = (
    "Rows that `mlops ingest` brought. The workflow `model` makes a candidate of them and judges "
    "it; each run of the workflow `ingest` writes this branch anew until it is merged or closed."
)


class ArrivalsError(ProjectError):
    """Nothing can be proposed from here."""


def prepare(repository: Repository, folders: Sequence[Path]) -> str:
    """Have the data here that main pins, and return its commit; raises ArrivalsError elsewhere.

    Nothing but the data of these folders may differ from what main is at the remote.
    """
    head = repository.commit_of("HEAD")
    if head != tip(repository, MAIN):
        raise ArrivalsError(
            f"this is not the last commit of {MAIN} at the remote: `git checkout {MAIN}`, then "
            "`git pull` and `git push`"
        )
    own = {f"{folder.as_posix()}.dvc" for folder in folders}
    own |= {(folder.parent / ".gitignore").as_posix() for folder in folders}
    told = repository.git("status", "--porcelain", "-z", "--untracked-files=all")
    differing = [line[3:] for line in told.split("\0") if line[3:]]
    changed = [
        path
        for path in differing
        if path not in own and not any(Path(path).is_relative_to(folder) for folder in folders)
    ]
    if changed:
        raise ArrivalsError(
            f"{changed[0]} differs from the last commit: commit it, or take it back"
        )
    for folder in folders:
        stage = dvc.maker(repository.root, folder)
        if stage is not None:
            raise ArrivalsError(
                f"the stage {stage} of dvc.yaml makes {folder}: remove it there (`dvc remove "
                f"{stage}`) and version what is fetched (`dvc add {folder}`), or run `dvc repro`"
            )
    held = {folder: repository.text_at(head, f"{folder.as_posix()}.dvc") for folder in folders}
    known = {folder: text for folder, text in held.items() if text is not None}
    if known:  # what a killed run added is taken back
        repository.git("checkout", head, "--", *(f"{folder.as_posix()}.dvc" for folder in known))
    absent = [f for f, text in known.items() if not dvc.holds(repository.root / f, text)]
    if absent:
        dvc.pull_only(repository, [f"{folder.as_posix()}.dvc" for folder in absent])
    return head


def pointers(repository: Repository, folders: Sequence[Path]) -> dict[str, str]:
    """Version the folders; return the files of git in which HEAD has others, by their path."""
    files = {}
    for folder in folders:
        pointer = repository.text_at("HEAD", f"{folder.as_posix()}.dvc")
        if pointer is not None and dvc.holds(repository.root / folder, pointer):
            continue
        written = dvc.dvc_add(repository, folder)
        for path in (written, written.with_name(".gitignore")):
            if not (repository.root / path).is_file():
                continue  # what is above it ignores the data already
            text = (repository.root / path).read_text(encoding="utf-8")
            if repository.text_at("HEAD", path.as_posix()) != text:
                files[path.as_posix()] = text
    return files


def propose(
    repository: Repository, onto: str, files: Mapping[str, str], title: str, body: str
) -> str:
    """Push data and branch, open or edit the pull request, and say where it is.

    Raises ArrivalsError where somebody else pushed to the branch.
    """
    for path, text in files.items():
        if path.endswith(".dvc"):
            dvc.push(repository, text, Path(path).with_suffix("").name)
    before = tip(repository, BRANCH)
    if before is not None:
        _check_own(repository, before, onto)
    if before is None or not _has(repository, before, onto, files):
        commit = commits.made(repository, onto, files, title)
        move(repository, BRANCH, commit, before)
    if not pulls.usable():
        return f"{BRANCH} is pushed: open a pull request from it into {MAIN}"
    if "GITHUB_ACTIONS" in os.environ:
        for workflow in ("model.yml", "check.yml"):
            pulls.start(workflow, BRANCH)
    opened = next((one for one in pulls.of(BRANCH) if one.state == "OPEN"), None)
    whole = f"{INTRODUCTION}\n\n{body}"
    if opened is None:
        return f"{pulls.create(BRANCH, title, whole)} is open"
    pulls.edit(opened.number, title, whole)
    return f"{opened.url} has the new data"


def _has(repository: Repository, commit: str, onto: str, files: Mapping[str, str]) -> bool:
    """Say whether a branch has these files already, on what main is now."""
    same = all(repository.text_at(commit, path) == text for path, text in files.items())
    return same and repository.is_ancestor(onto, commit)


def _check_own(repository: Repository, commit: str, onto: str) -> None:
    """Raise ArrivalsError where a commit of the branch is by somebody other than who runs this."""
    fetch(repository, commit)
    me = repository.git("var", "GIT_COMMITTER_IDENT").rpartition(" <")[2].partition(">")[0]
    # A merge of main into the branch, as GitHub's button makes one, is nobody's work.
    told = repository.git("log", "--no-merges", "--format=%ce", f"{onto}..{commit}").split()
    if others := sorted({one for one in told if one != me}):
        raise ArrivalsError(
            f"{BRANCH} has commits of {', '.join(others)}, which would be lost: merge its pull "
            "request, or close it and delete the branch"
        )
