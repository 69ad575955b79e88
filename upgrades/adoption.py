"""The version that a project without a record follows: its engine is most like the project's."""

import hashlib

from .rendering import NEEDED
from .repository import Git, Tree, UpgradeError

ENGINE = f"{NEEDED[-1]}/engine"
PASSING = ("__pycache__", ".egg-info")


def nearest(project: Git, ours: Tree, template: Git, target: str) -> tuple[str, int]:
    """Return the commit up to `target`, or of a tag, and how many files of the engine differ.

    Of commits that are equally near it is the oldest: later ones changed nothing in the engine, so
    that what they changed elsewhere is still to come.
    """
    mine = {path: one.object for path, one in ours.items() if path.startswith("engine/")}
    if not mine:
        raise UpgradeError("there is no engine/ here: run this in the project's own folder")
    mine = _like(project, template, target, mine)
    line = template.say("rev-list", "--first-parent", target).split()
    tags = template.say("for-each-ref", "--format=%(objectname)", "refs/tags").split()
    tagged = [template.commit_of(name) for name in tags]
    seen: dict[str, int] = {}
    best: tuple[int, str] | None = None
    for commit in dict.fromkeys([*line, *tagged]):
        done = template.run(
            "rev-parse", "--quiet", "--verify", f"{commit}:{ENGINE}", accept=(0, 1, 128)
        )
        if done.returncode:
            continue
        name = done.stdout.decode().strip()
        if name not in seen:
            seen[name] = _distance(mine, template, name)
        if best is None or seen[name] <= best[0]:
            best = (seen[name], commit)
    if best is None:
        raise UpgradeError("no version of that template has an engine/: is it the right address?")
    return best[1], best[0]


def _distance(mine: dict[str, str], template: Git, tree: str) -> int:
    theirs = {f"engine/{path}": one.object for path, one in template.tree(tree).items()}
    return len(set(mine.items()) ^ set(theirs.items()))


def _like(project: Git, template: Git, commit: str, mine: dict[str, str]) -> dict[str, str]:
    """Return the objects by the names that the template's git gives them."""
    width = len(commit)
    if all(len(name) == width for name in mine.values()):
        return mine
    kind = hashlib.sha1 if width == 40 else hashlib.sha256
    contents = project.blobs(mine.values())
    return {
        path: kind(b"blob %d\0" % len(contents[name]) + contents[name]).hexdigest()
        for path, name in mine.items()
    }
