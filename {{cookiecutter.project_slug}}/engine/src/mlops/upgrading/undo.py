"""The last upgrade, taken back: by git, as far as it got."""

import re

from ..git.repository import Repository, RepositoryError
from .recovery import recover
from .template import FILE

TRAILER = "Template-Upgrade"


class UndoError(RepositoryError):
    """There is no upgrade to take back, or something is in its way."""


def undo(repository: Repository) -> str:
    """Take back an upgrade that is under way, or the last one; say which."""
    if told := recover(repository.root):
        return told
    if repository.git_path("CHERRY_PICK_HEAD").exists():
        if not _is_upgrade(repository, "CHERRY_PICK_HEAD"):
            raise UndoError(
                "a cherry-pick is under way here that is no upgrade: end it (`git cherry-pick "
                "--continue`), or take it back (`git cherry-pick --abort`)"
            )
        repository.git("cherry-pick", "--abort")
        return "the upgrade is taken back: files are as before it"
    if changed := repository.git("diff", "--name-only", "HEAD", "--").splitlines():
        raise UndoError(f"{changed[0]} differs from the last commit: commit it, or `git stash`")
    made = _last(repository)
    if made is None:
        raise UndoError("this branch has no upgrade that it still follows: nothing to take back")
    title = repository.message(made).partition("\n")[0]
    if made == repository.commit_of("HEAD") and not _is_pushed(repository, made):
        repository.git("reset", "--quiet", "--keep", f"{made}~1")
        return f"taken back: {title}"
    try:
        repository.git("revert", "--no-edit", made)
    except RepositoryError as error:
        raise UndoError(
            f"later commits changed what {made[:12]} did ({error}): decide in the files that "
            "`git status` names, `git add` them, `git revert --continue`"
        ) from error
    return f"reverted by a new commit: {title}"


def _last(repository: Repository) -> str | None:
    """Return the upgrade that the project still follows; one that was reverted is none.

    Nor is one of another project in the same repository.
    """
    now = repository.text_at("HEAD", FILE)
    own = set(repository.commits([FILE]))
    made = (one for one in repository.line("HEAD") if one in own and _is_upgrade(repository, one))
    return next((one for one in made if repository.text_at(one, FILE) == now), None)


def _is_upgrade(repository: Repository, commit: str) -> bool:
    return re.search(rf"^{TRAILER}: ", repository.message(commit), re.MULTILINE) is not None


def _is_pushed(repository: Repository, commit: str) -> bool:
    return bool(repository.git("for-each-ref", "--contains", commit, "refs/remotes").strip())
