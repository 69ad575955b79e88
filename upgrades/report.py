"""What an upgrade did and what is left to do, in Markdown: printed, kept, and a pull request's."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .plan import ENGINE, Plan
from .repository import Git, Tree

FOLDER = Path("reports/upgrade")
REPORT, PATCH = FOLDER / "upgrade.md", FOLDER / "engine.patch"
MOST = 40  # paths of a kind: the rest is in `git show`
PATIENCE = 120.0  # seconds for `dvc status`
JUDGE = ("conf/gate/", "conf/evaluation/", "src/policy/")


def text(git: Git, plan: Plan, rerun: Sequence[str] | None) -> str:
    """Return the report; `rerun` has the stages that would run, None where nobody knows."""
    old, new = plan.origin, plan.target
    lines = [f"# Upgrade from {old.name} to {new.name}", "", *_where(plan)]
    sections = (
        ("Conflicts: yours to decide", _conflicts(plan)),
        ("To do", _to_do(plan)),
        (
            "New questions, answered by their defaults",
            [f"`{k}`: `{v}`" for k, v in plan.asked.items()],
        ),
        ("Names and places that changed", [f"`{name}`" for name in plan.migrations]),
        (
            "Merged without asking",
            [f"`{p}`: {how}" for p, how in sorted(plan.merged.settled.items())],
        ),
        ("Compiled again, as both sides changed locks", _listed(plan.compiled)),
        ("Stays deleted, though the template changed it", _listed(sorted(plan.merged.kept_away))),
        ("Not taken, since a run or a promotion writes there", _listed(sorted(plan.refused))),
        ("What changed", _changes(git, plan)),
        ("What will run again", _rerun(rerun)),
        ("How the next candidate is judged", _judged(plan, rerun)),
    )
    for title, items in sections:
        if items:
            lines += ["", f"## {title}", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


def _where(plan: Plan) -> Iterator[str]:
    old, new = (one.commit or "" for one in (plan.origin, plan.target))
    yield f"Template {plan.target.template or '(no address)'}, commit {old[:12]} to {new[:12]}."
    if plan.files_off is not None:
        yield (
            f"This project did not say what it came from: of all versions, {plan.origin.name} has "
            f"the engine that is most like its own ({plan.files_off} files differ)."
        )
    if plan.origin.dirty:
        yield (
            "The project was made from a template with changes that no commit has: they count as "
            "edits of yours here."
        )


def _conflicts(plan: Plan) -> list[str]:
    kinds = {
        frozenset({1, 2, 3}): "both changed it",
        frozenset({2, 3}): "both added it",
        frozenset({1, 2}): "changed here, deleted in the template",
    }
    found = [
        f"`{path}`: {kinds.get(frozenset(stages), 'renamed or replaced on both sides')}"
        for path, stages in sorted(plan.merged.conflicts.items())
    ]
    if found:
        found.append(
            "Decide in the files (or `git mergetool`), then `git add` or `git rm` each and "
            "`git cherry-pick --continue`. `make upgrade UNDO=1` takes all of it back."
        )
    return found


def _to_do(plan: Plan) -> list[str]:
    found = [
        f"`{path}` merged to something that is no YAML: correct it" for path in plan.merged.broken
    ]
    if plan.engine:
        found.append(
            f"`engine/` was edited here and is the template's again. Your edit is in `{PATCH}` "
            f"(`git apply --3way {PATCH}` brings it back): better, wish for what it does, or do it "
            "in `src/` (engine/docs/owning.md)"
        )
    if plan.stale:
        why = f" and could not be compiled ({plan.uncompiled})" if plan.uncompiled else ""
        found.append(
            f"`make lock`: {', '.join(_listed(plan.stale))} changed on both sides{why}; until then "
            "the template's pins and yours stand side by side"
        )
    found.append("`make install check`, then push the branch as any other pull request")
    return found


def _changes(git: Git, plan: Plan) -> list[str]:
    engine = _differing(plan.ours, plan.result, lambda path: path.startswith(ENGINE))
    found = [f"`engine/`: {len(engine)} files"] if engine else []
    told = git.run("diff", "--name-status", "--find-renames", "-z", *_written(git, plan)).stdout
    fields = told.decode(errors="replace").split("\0")[:-1]
    words = {"A": "new", "D": "gone", "M": "changed", "T": "of another kind"}
    lines = []
    while fields:
        kind, path = fields.pop(0), fields.pop(0)
        if kind.startswith("R"):
            lines.append(f"`{path}` is now `{fields.pop(0)}`")
        else:
            lines.append(f"`{path}`: {words.get(kind, kind)}")
    return found + _cut(lines)


def _written(git: Git, plan: Plan) -> list[str]:
    """Return the trees before and after, but for the engine."""
    sides = (plan.ours, plan.result)
    return [
        git.write({path: e for path, e in side.items() if not path.startswith(ENGINE)})
        for side in sides
    ]


def _rerun(rerun: Sequence[str] | None) -> list[str]:
    if rerun is None:
        return ["`dvc status` says it, once there is a `dvc.lock`"]
    if not rerun:
        return ["nothing: what the pipeline made holds, and the champion stays"]
    return [
        f"stages {', '.join(f'`{name}`' for name in rerun)}: `make repro`, or the workflow `model`"
    ]


def _judged(plan: Plan, rerun: Sequence[str] | None) -> list[str]:
    changed = [p for p in _differing(plan.ours, plan.result) if p.startswith(JUDGE)]
    found = [
        "The pull request of this upgrade is judged by the policy and the engine of its base, as "
        "any other: the champion is scored again on the same rows, and a candidate that loses more "
        "to it than the margins is rejected."
    ]
    if rerun == []:
        found = ["No stage runs again, so that there is no new candidate: nothing is judged."]
    found.append("From the merge on, the engine that judges is the new one.")
    if changed:
        found.append(
            f"So is the policy, which this changes: {', '.join(f'`{p}`' for p in changed)}."
        )
    return found


def _differing(one: Tree, other: Tree, of: object = None) -> list[str]:
    told = of if callable(of) else lambda _: True
    paths = sorted({*one, *other})
    return [path for path in paths if told(path) and one.get(path) != other.get(path)]


def _listed(paths: Sequence[str]) -> list[str]:
    return _cut([f"`{path}`" for path in paths])


def _cut(lines: Sequence[str]) -> list[str]:
    if len(lines) <= MOST:
        return list(lines)
    return [*lines[:MOST], f"and {len(lines) - MOST} more: `git show --stat`"]


def rerun(git: Git) -> list[str] | None:
    """Return the stages that DVC would run; None where it cannot say."""
    if not (git.root / "dvc.lock").is_file():
        return None
    own = git.root / ".venv/bin/dvc"
    dvc = str(own.resolve()) if own.is_file() else "dvc"
    try:
        done = subprocess.run(
            [dvc, "status", "--json"], cwd=git.root, capture_output=True, timeout=PATIENCE
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return sorted(name for name in found if not name.endswith(".dvc"))
