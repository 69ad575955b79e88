"""The pull request of what was ingested: one branch, made anew from main by each run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ProjectError
from ..git import dvc
from ..git.placement import placement
from ..git.repository import Repository
from . import standing_branch

INTRODUCTION = (
    "Rows that `mlops ingest` brought. The workflow `model` makes a candidate of them and judges "
    "it; each run of the workflow `ingest` writes this branch anew until it is merged or closed."
)


class ArrivalsError(ProjectError):
    """Nothing can be proposed from here."""


def branch(repository: Repository) -> str:
    """Return the branch that each run writes anew."""
    return placement(repository).branch("ingest", "data")


def prepare(repository: Repository, folders: Sequence[Path]) -> str:
    """Have the data here that main pins, and return its commit; raises a ProjectError elsewhere.

    Nothing but the data of these folders may differ from what main is at the remote.
    """
    head = standing_branch.head(repository)
    own = {f"{folder.as_posix()}.dvc" for folder in folders}
    own |= {(folder.parent / ".gitignore").as_posix() for folder in folders}
    told = repository.git("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    above = repository.prefix()  # git names what differs from the top of the repository
    differing = [line[3:].removeprefix(above) for line in told.split("\0") if line[3:]]
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

    Raises StandingBranchError where somebody else pushed to the branch.
    """
    for path, text in files.items():
        if path.endswith(".dvc"):
            dvc.push(repository, text, Path(path).with_suffix("").name)
    name = branch(repository)
    where, is_new = standing_branch.propose(
        repository, name, onto, files, title, f"{INTRODUCTION}\n\n{body}"
    )
    if not where:
        return f"{name} is pushed: open a pull request from it into {standing_branch.MAIN}"
    return f"{where} {'is open' if is_new else 'has the new data'}"
