"""The one step that touches the working tree, which git itself takes.

Before it there is a note in git's own folder, by which `mlops.upgrading.recovery` of the project
takes back what a machine that stopped left half done.
"""

import json
import os
from pathlib import Path

from .repository import MERGING, Git, UpgradeError

NOTE = "mlops-upgrade"
UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}


def check_ready(git: Git) -> str:
    """Return the commit that an upgrade starts from; raise UpgradeError where none can."""
    done = git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}", accept=(0, 1, 128))
    if done.returncode:
        raise UpgradeError(
            "nothing is committed here yet: `git add --all && git commit -m Start`, then try again"
        )
    for name, what in UNDER_WAY.items():
        if git.path(name).exists():
            raise UpgradeError(
                f"a {what} is under way here: end it (`git status` says how), or take an upgrade "
                "back with `make upgrade UNDO=1`"
            )
    if changed := git.say("diff", "--name-only", "HEAD", "--"):
        raise UpgradeError(
            f"{changed.splitlines()[0]} differs from the last commit: commit it (`git commit -am "
            "WIP`), or put it aside (`git stash`), then try again"
        )
    for who in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        if git.run("var", who, accept=(0, 1, 128)).returncode:
            raise UpgradeError(
                "git does not know who commits: `git config user.name NAME` and "
                "`git config user.email ADDRESS`"
            )
    return done.stdout.decode().strip()


def check_free(git: Git, before: str, after: str) -> None:
    """Raise UpgradeError where a new file would take the place of one that git does not have.

    Of those that it is told to ignore, git itself would say nothing.
    """
    top = Path(git.say("rev-parse", "--show-toplevel"))
    there = git.tree(before)
    for path in git.tree(after):
        if path not in there and os.path.lexists(top / path):
            raise UpgradeError(
                f"{path} is new in the template, and here is a file that git does not have: move "
                "it away, or commit it, then try again"
            )


def land(git: Git, before: str, after: str) -> None:
    """Have HEAD, its branch, index and files become a commit that follows `before`."""
    with _noted(git, before, after):
        git.run("merge", "--quiet", "--ff-only", after, detached=True)


def stop(git: Git, before: str, pick: str) -> None:
    """Begin to take a commit over that is in conflict, as `git cherry-pick` leaves that."""
    with _noted(git, before, pick):
        done = git.run(*MERGING, "cherry-pick", pick, accept=(0, 1), detached=True)
        if not git.path("CHERRY_PICK_HEAD").exists():
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise UpgradeError(f"git could not begin the merge ({said[-1]}): mend that, try again")


class _noted:  # noqa: N801
    """A note of what is under way, gone where that ended, well or not."""

    def __init__(self, git: Git, before: str, after: str) -> None:
        self._place = git.path(NOTE)
        self._said = json.dumps({"before": before, "after": after})

    def __enter__(self) -> None:
        staging = self._place.with_name(f"{NOTE}.{os.getpid()}.tmp")
        staging.write_text(self._said)
        os.replace(staging, self._place)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, UpgradeError):
            self._place.unlink()
