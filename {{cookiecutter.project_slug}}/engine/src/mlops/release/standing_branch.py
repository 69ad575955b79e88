"""A branch that automation makes anew from main, and its one pull request.

The commit is made beside the working tree, and pushed before the pull request is opened or
written anew: a run that is killed is completed by the next.
"""

import os
from collections.abc import Mapping

from ..errors import ProjectError
from ..git import commits
from ..git.commits import Content
from ..git.placement import placement
from ..git.repository import Entry, Repository
from . import pulls
from .branch import NOTHING, fetch, move, tip

MAIN = "main"
GONE = Entry("0", NOTHING)  # as git's index takes a file out
Files = Mapping[str, str | None]  # texts by path; None for a file that goes


class StandingBranchError(ProjectError):
    """Nothing can be proposed from here."""


def head(repository: Repository) -> str:
    """Return HEAD, which has to be what main is at the remote; raises StandingBranchError."""
    found = repository.commit_of("HEAD")
    if found != tip(repository, MAIN):
        raise StandingBranchError(
            f"this is not the last commit of {MAIN} at the remote: `git checkout {MAIN}`, then "
            "`git pull` and `git push`"
        )
    return found


def propose(
    repository: Repository, branch: str, onto: str, files: Files, title: str, body: str
) -> tuple[str, bool]:
    """Push the branch, open or edit its pull request; return where it is, and whether it is new.

    Without `gh`, nothing but the branch is there. Raises StandingBranchError where somebody else
    pushed to it.
    """
    before = tip(repository, branch)
    if before is not None:
        check_own(repository, branch, before, onto)
    if before is None or not _has(repository, before, onto, files):
        move(repository, branch, _made(repository, onto, files, title), before)
    if not pulls.usable():
        return "", True
    if "GITHUB_ACTIONS" in os.environ:
        for workflow in ("model.yml", "check.yml"):
            pulls.start(placement(repository).workflow(workflow), branch)
    opened = next((one for one in pulls.of(branch) if one.state == "OPEN"), None)
    if opened is None:
        return pulls.create(branch, title, body), True
    pulls.edit(opened.number, title, body)
    return opened.url, False


def _made(repository: Repository, onto: str, files: Files, message: str) -> str:
    if all(text is not None for text in files.values()):
        return commits.made(repository, onto, {k: v for k, v in files.items() if v}, message)
    before = repository.prefix()
    contents: dict[str, Content] = {
        f"{before}{path}": GONE if text is None else text for path, text in files.items()
    }
    written = commits.tree(repository, contents, onto)
    return commits.committed(repository, written, message, ["-p", onto])


def _has(repository: Repository, commit: str, onto: str, files: Files) -> bool:
    """Say whether a branch has these files already, on what main is now."""
    same = all(repository.text_at(commit, path) == text for path, text in files.items())
    return same and repository.is_ancestor(onto, commit)


def check_own(repository: Repository, branch: str, commit: str, onto: str) -> None:
    """Raise StandingBranchError where a commit of the branch is by another than who runs this."""
    fetch(repository, commit)
    me = repository.git("var", "GIT_COMMITTER_IDENT").rpartition(" <")[2].partition(">")[0]
    # A merge of main into the branch, as GitHub's button makes one, is nobody's work.
    told = repository.git("log", "--no-merges", "--format=%ce", f"{onto}..{commit}").split()
    if others := sorted({one for one in told if one != me}):
        raise StandingBranchError(
            f"{branch} has commits of {', '.join(others)}, which would be lost: merge its pull "
            "request, or close it and delete the branch"
        )
