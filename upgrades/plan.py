"""What an upgrade makes of a project: computed as objects of git, before anything is touched."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import adoption, locks, migrations
from .merging import Merged, Stages, merge, of_commits
from .origin import FILE, Origin, guessed, parsed
from .rendering import rendered
from .repository import PLAIN, Entry, Git, Tree, UpgradeError

ENGINE = "engine/"
# Written by the pipeline or by a promotion: no upgrade touches them, whatever a template has there.
WRITTEN = ("dvc.lock", "resolved.yaml")
DECLARED = re.compile(
    r"deploy/([^/]+)/(champion\.dvc|challenger\.dvc|release\.yaml|experiment\.yaml)"
)
Say = Callable[[str], None]


@dataclass
class Plan:
    """A commit that HEAD may become, or one to be taken over by people, and what is to be told."""

    before: str  # HEAD
    after: str  # what follows it; with conflicts, the commit that is to be picked
    origin: Origin
    target: Origin
    merged: Merged
    ours: Tree
    result: Tree
    engine: str = ""  # the edit of the engine that is taken back, as a patch
    files_off: int | None = None  # of the engine of a project that was adopted
    asked: dict[str, Any] = field(default_factory=dict)  # new questions and their defaults
    migrations: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # locks that are still to be compiled
    uncompiled: str = ""  # why they could not be
    compiled: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # files of the template that are the owner's


def planned(git: Git, template: Git, address: str | None, to: str, lock: bool, say: Say) -> Plan:
    """Return the upgrade of a project to the commit or tag `to`.

    Raises UpgradeError where there is nothing to go to, or nothing to go from.
    """
    before = git.say("rev-parse", "HEAD")
    prefix = git.say("rev-parse", "--show-prefix")
    whole = git.tree(before)
    ours = {path.removeprefix(prefix): e for path, e in whole.items() if path.startswith(prefix)}
    commit = template.commit_of(to)
    origin, files_off = _origin(git, template, ours, commit, address)
    assert origin.commit is not None
    _check_forward(template, origin, commit, to)
    say(f"from {origin.name} to {to}: rendering both")
    base = rendered(git, template, origin.commit, origin.answers)
    new = rendered(git, template, commit, {**origin.answers, **base.answers})
    name = None if commit.startswith(to) else to
    target = Origin(address or origin.template, commit, name, new.answers)
    asked = {k: v for k, v in new.answers.items() if k not in origin.answers}
    plan = Plan(
        before, before, origin, target, Merged({}), ours, {}, files_off=files_off, asked=asked
    )
    plan.migrations = migrations.due(template, origin.commit, commit)
    _merge(git, plan, base.tree, new.tree, prefix, whole, lock, say)
    return plan


def _origin(
    git: Git, template: Git, ours: Tree, commit: str, address: str | None
) -> tuple[Origin, int | None]:
    """Return what the project follows; where it does not say, by the engine that it has."""
    found = parsed(git.blob(ours[FILE].object).decode()) if FILE in ours else None
    if found and found.commit:
        if not template.has(found.commit):
            raise UpgradeError(
                f"{found.template or 'the template'} has no commit {found.commit[:12]}, which "
                f"{FILE} names: give the address that has it (TEMPLATE=…), or write null for it "
                "and commit, and the nearest version is found"
            )
        return found, None
    nearest, files_off = adoption.nearest(git, ours, template, commit)
    answers = found.answers if found else guessed(git, ours)
    return Origin(address, nearest, None, answers), files_off


def _check_forward(template: Git, origin: Origin, commit: str, to: str) -> None:
    if origin.commit == commit:
        return
    told = ("merge-base", "--is-ancestor", commit, str(origin.commit))
    if template.run(*told, accept=(0, 1, 128)).returncode == 0:
        raise UpgradeError(
            f"{to} is older than {origin.name}, which this project follows: `make upgrade UNDO=1` "
            "takes the last upgrade back"
        )


def _merge(
    git: Git, plan: Plan, base: Tree, new: Tree, prefix: str, whole: Tree, lock: bool, say: Say
) -> None:
    ours = {path: entry for path, entry in plan.ours.items() if path != FILE}
    written = {path: entry for path, entry in ours.items() if _is_the_owners(path, ours)}
    plan.engine = _edited(git, base, ours)
    if plan.engine:
        say("engine/ was edited here: it is replaced whole, and the edit kept as a patch")
    plan.refused = [path for path in new if _is_the_owners(path, ours)]
    base, ours, new = (
        {path: entry for path, entry in tree.items() if not _is_the_owners(path, ours)}
        for tree in (base, ours, new)
    )
    chosen = locks.chosen(git, base, ours, new)
    before = [_with(tree, base, chosen.files) for tree in (base, ours)]
    sides = [migrations.applied(git, tree, plan.migrations) for tree in before]
    new = _with(new, new, chosen.files)
    merged = plan.merged = merge(git, sides[0], sides[1], new)
    result = merged.tree
    result |= written  # which no merge and no migration has seen
    if chosen.stale and lock and not merged.conflicts:
        say(f"compiling the locks again, which both sides changed: {', '.join(chosen.stale)}")
        made, plan.uncompiled = locks.compiled(git, result)
        result |= made
        plan.compiled, plan.stale = list(made), [] if made else chosen.stale
    else:
        plan.stale = chosen.stale
    result[FILE] = Entry(PLAIN, git.put(plan.target.text().encode()))
    plan.result = result
    message = _message(plan)
    tree = git.write(_placed(whole, prefix, result))
    if merged.conflicts:
        plan.after = _pick(git, plan, before[0], sides, new, prefix, whole, message)
    elif tree != git.say("rev-parse", f"{plan.before}^{{tree}}"):
        plan.after = git.commit(tree, [plan.before], message, signed=True)


def _pick(
    git: Git,
    plan: Plan,
    old: Tree,
    sides: list[Tree],
    new: Tree,
    prefix: str,
    whole: Tree,
    message: str,
) -> str:
    """Return a commit that `git cherry-pick` takes over but for the conflicts that are left.

    What merged, or was settled, is the same on its parent and HEAD; of what did not, the parent has
    the template's old content and the commit its new one, so that the conflict is git's own.
    """
    head = plan.ours
    try:
        parent, pick = dict(head), dict(plan.result)
        for path, stages in plan.merged.conflicts.items():
            pick.pop(path, None)
            for stage, tree in ((2, sides[1]), (1, sides[0]), (3, new)):
                if stage not in stages:
                    continue
                place = _source(tree, path, stages[stage])
                if stage == 2 and head.get(place) != stages[2]:
                    raise LookupError  # a migration has changed it
                if stage == 2:
                    parent.pop(place, None)
                    pick.pop(place, None)
                else:
                    (parent if stage == 1 else pick)[place] = stages[stage]
        made = _committed(git, plan, parent, pick, prefix, whole, message)
        if _leaves(git, plan, made).keys() == plan.merged.conflicts.keys():
            return made
    except LookupError:
        pass
    # Then all of it is git's.
    kept = {p: e for p, e in head.items() if p.startswith(ENGINE) or locks.is_lock(p) or p == FILE}
    parent = {p: e for p, e in old.items() if not p.startswith(ENGINE) and not locks.is_lock(p)}
    pick = {**new, FILE: plan.result[FILE]}
    made = _committed(git, plan, {**parent, **kept}, pick, prefix, whole, message)
    plan.merged.settled, plan.merged.kept_away = {}, []
    plan.merged.conflicts = _leaves(git, plan, made)
    return made


def _source(tree: Tree, path: str, entry: Entry) -> str:
    """Return where a side had the content of a conflict; raises LookupError where that is open."""
    if path in tree and tree[path].object == entry.object:
        return path
    places = [one for one, held in tree.items() if held.object == entry.object]
    if len(places) != 1:
        raise LookupError
    return places[0]


def _committed(
    git: Git, plan: Plan, parent: Tree, pick: Tree, prefix: str, whole: Tree, message: str
) -> str:
    before, after = (git.write(_placed(whole, prefix, tree)) for tree in (parent, pick))
    root = git.commit(before, [], f"Template {plan.origin.name}")
    return git.commit(after, [root], message)


def _leaves(git: Git, plan: Plan, pick: str) -> dict[str, Stages]:
    """Return the conflicts, by paths from the project's folder, where HEAD takes a commit over."""
    root = git.say("rev-parse", f"{pick}^")
    here = git.commit(git.say("rev-parse", f"{plan.before}^{{tree}}"), [root], "Project")
    prefix = git.say("rev-parse", "--show-prefix")
    left = of_commits(git, here, pick).conflicts
    return {path.removeprefix(prefix): stages for path, stages in left.items()}


def _edited(git: Git, base: Tree, ours: Tree) -> str:
    """Return what the project has otherwise in its engine, as a patch; nothing where nothing."""
    was, here = (
        {path: entry for path, entry in tree.items() if path.startswith(ENGINE)}
        for tree in (base, ours)
    )
    if was == here:
        return ""
    told = ("diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color")
    patch = git.run(*told, git.write(was), git.write(here)).stdout
    return patch.decode(errors="surrogateescape")


def _is_the_owners(path: str, ours: Tree) -> bool:
    if path in WRITTEN:
        return True
    if path.startswith("data/"):
        return not path.endswith(".gitignore")
    return path.startswith("deploy/") and path.split("/")[1] in _environments(ours)


def _environments(ours: Tree) -> set[str]:
    return {found[1] for path in ours if (found := DECLARED.fullmatch(path))}


def _with(tree: Tree, engine: Tree, chosen: Tree) -> Tree:
    """Return a side of the merge with an engine, and with the locks that were chosen."""
    own = {p: e for p, e in tree.items() if not p.startswith(ENGINE) and not locks.is_lock(p)}
    return {**own, **{p: e for p, e in engine.items() if p.startswith(ENGINE)}, **chosen}


def _placed(whole: Tree, prefix: str, tree: Tree) -> Tree:
    """Return all files of the repository, with those of the project in its folder."""
    others = {path: entry for path, entry in whole.items() if not path.startswith(prefix)}
    return {**others, **{f"{prefix}{path}": entry for path, entry in tree.items()}}


def _message(plan: Plan) -> str:
    old, new = plan.origin.name, plan.target.name
    return f"Upgrade from {old} to {new} of the template\n\nTemplate-Upgrade: {old} -> {new}\n"
