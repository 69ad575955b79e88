"""Renamed keys and moved files: `NNN_name.py` beside this module, one for each step.

A migration has `migrate(files: Files) -> None`. It is run on the version that a project follows and
on the project alike, so that a merge finds the same names on both sides; those run, in the order of
their numbers, that the project's version did not have yet.
"""

import importlib
import re
from collections.abc import Sequence
from fnmatch import fnmatch

import yaml

from .repository import PLAIN, Entry, Git, Tree

FOLDER = "upgrades"
NAME = re.compile(r"(\d{3}_[a-z0-9_]+)\.py")


class Files:
    """The files of a project, as a migration sees and changes them."""

    def __init__(self, git: Git, tree: Tree) -> None:
        self._git, self.tree = git, dict(tree)

    def paths(self, pattern: str = "*") -> list[str]:
        """Return the paths that a pattern like `conf/model/*.yaml` fits."""
        return [path for path in sorted(self.tree) if fnmatch(path, pattern)]

    def read(self, path: str) -> str:
        """Return the text of a file; bytes that are none survive `write`."""
        return self._git.blob(self.tree[path].object).decode(errors="surrogateescape")

    def write(self, path: str, text: str) -> None:
        """Write the text of a file, its mode kept."""
        mode = self.tree[path].mode if path in self.tree else PLAIN
        self.tree[path] = Entry(mode, self._git.put(text.encode(errors="surrogateescape")))

    def move(self, old: str, new: str) -> None:
        """Move a file that is there, unless something is at its new place already."""
        if old in self.tree and new not in self.tree:
            self.tree[new] = self.tree.pop(old)

    def rename_key(self, pattern: str, keys: Sequence[str], name: str) -> None:
        """Call a key of YAML files, given by the keys that lead to it, by another name."""
        for path in self.paths(pattern):
            text = self.read(path)
            if (renamed := _with_key(text, keys, name)) != text:
                self.write(path, renamed)


def _with_key(text: str, keys: Sequence[str], name: str) -> str:
    """Return a YAML text with another name of a key; as it is where the name is taken, or none."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    *above, old = keys
    for key in above:
        node = _under(node, key)
    entries = node.value if isinstance(node, yaml.MappingNode) else []
    found = [key for key, _ in entries if key.value == old]
    if not found or any(key.value == name for key, _ in entries):
        return text
    return text[: found[0].start_mark.index] + name + text[found[0].end_mark.index :]


def _under(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def due(template: Git, before: str, after: str) -> list[str]:
    """Return the migrations that a version has and another did not have yet, in their order."""
    had, has = (_names(template, commit) for commit in (before, after))
    return sorted(has - had)


def _names(template: Git, commit: str) -> set[str]:
    found = (NAME.fullmatch(path.rpartition("/")[2]) for path in template.tree(commit, FOLDER))
    return {one[1] for one in found if one}


def applied(git: Git, tree: Tree, names: Sequence[str]) -> Tree:
    """Return the files as some migrations leave them."""
    files = Files(git, tree)
    for name in names:
        importlib.import_module(f"{FOLDER}.{name}").migrate(files)
    return files.tree
