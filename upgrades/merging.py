"""Git's own three-way merge of trees, and what may be settled of its conflicts without asking."""

import re
from dataclasses import dataclass, field

from . import yaml_keys
from .repository import LINK, MERGING, Entry, Git, Tree
from .settling import settled

Stages = dict[int, Entry]  # of a path in conflict: 1 the base's, 2 ours, 3 the template's
LISTED = re.compile(r"(\d{6}) ([0-9a-f]{40,64}) ([123])\t(.*)", re.DOTALL)


@dataclass
class Merged:
    """The files that come of a merge, and what was said about it."""

    tree: Tree
    conflicts: dict[str, Stages] = field(default_factory=dict)  # what people have to decide
    settled: dict[str, str] = field(default_factory=dict)  # how, by path
    kept_away: list[str] = field(default_factory=list)  # deleted here, changed by the template
    broken: list[str] = field(default_factory=list)  # merged by lines, and no YAML any more


def merge(git: Git, base: Tree, ours: Tree, theirs: Tree) -> Merged:
    """Merge what became of `base` here and in the template."""
    root = git.commit(git.write(base), [], "Template, before")
    here = git.commit(git.write(ours), [root], "Project")
    there = git.commit(git.write(theirs), [root], "Template, after")
    merged = of_commits(git, here, there)
    for path, stages in list(merged.conflicts.items()):
        if set(stages) == {1, 3} and path not in ours:
            merged.tree.pop(path, None)
            merged.kept_away.append(path)
            del merged.conflicts[path]
        elif set(stages) == {1, 2, 3} and (found := _settled(git, path, stages)):
            content, how = found
            mode = merged.tree[path].mode if path in merged.tree else stages[2].mode
            merged.tree[path] = Entry(mode, git.put(content))
            merged.settled[path] = how
            del merged.conflicts[path]
    _check_yaml(git, merged, base, ours, theirs)
    return merged


def _check_yaml(git: Git, merged: Merged, base: Tree, ours: Tree, theirs: Tree) -> None:
    """Merge by key what merged by lines to something that is no YAML, or has a key twice."""
    for path, entry in merged.tree.items():
        sides = [tree[path] for tree in (base, ours, theirs) if path in tree]
        both = len(sides) == 3 and entry not in sides and path not in merged.conflicts
        if not (both and path.endswith(yaml_keys.SUFFIXES)) or path in merged.settled:
            continue
        if yaml_keys.is_sound(git.blob(entry.object).decode(errors="replace")):
            continue
        found = _settled(git, path, dict(enumerate(sides, start=1)))
        if found and found[1].startswith(yaml_keys.HOW):
            merged.tree[path] = Entry(entry.mode, git.put(found[0]))
            merged.settled[path] = found[1]
        else:
            merged.broken.append(path)


def of_commits(git: Git, ours: str, theirs: str) -> Merged:
    """Return what `git merge-tree` makes of two commits, and the conflicts that it leaves."""
    told = (*MERGING, "merge-tree", "--write-tree", "--no-messages", "-z", ours, theirs)
    done = git.run(*told, accept=(0, 1))
    name, *rest = done.stdout.decode(errors="surrogateescape").split("\0")
    conflicts: dict[str, Stages] = {}
    for line in rest:
        if found := LISTED.fullmatch(line):
            mode, blob, stage, path = found.groups()
            conflicts.setdefault(path, {})[int(stage)] = Entry(mode, blob)
    return Merged(git.tree(name.strip()), conflicts)


def _settled(git: Git, path: str, stages: Stages) -> tuple[bytes, str] | None:
    if any(entry.mode == LINK for entry in stages.values()):
        return None
    base, ours, theirs = (git.blob(stages[stage].object) for stage in (1, 2, 3))
    return settled(git, path, base, ours, theirs)
