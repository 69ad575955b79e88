"""Locks: taken whole where one side alone changed them, compiled again where both did."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .repository import PLAIN, Entry, Git, Tree

FOLDER = "requirements/"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==.*\n(?:^[ \t].*\n?)*", re.MULTILINE)
OWN = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH")


class Locks(NamedTuple):
    """The locks of the new version, and those of them that have to be compiled again."""

    files: Tree
    stale: list[str]


def is_lock(path: str) -> bool:
    """Say whether a file is a lock, which is never merged by lines."""
    return path.startswith(FOLDER) and path.endswith(".txt")


def chosen(git: Git, base: Tree, ours: Tree, theirs: Tree) -> Locks:
    """Return the locks to start from; where both sides changed one, with the pins that ours adds.

    Those hold until it is compiled again, which keeps them as far as they go together.
    """
    files: Tree = {}
    stale = []
    for path in sorted(filter(is_lock, {*base, *ours, *theirs})):
        was, here, there = base.get(path), ours.get(path), theirs.get(path)
        taken = there if here == was else here
        if here and there and was not in (here, there) and here != there:
            old, own, new = (git.blob(one.object).decode() for one in (was or there, here, there))
            taken = Entry(PLAIN, git.put(_with_own(old, own, new).encode()))
            stale.append(path)
        if taken:
            files[path] = taken
    return Locks(files, stale)


def _with_own(old: str, own: str, new: str) -> str:
    """Return the new lock with the pins of packages that only ours has."""
    known = {found[1].lower() for text in (old, new) for found in PIN.finditer(text)}
    added = [found[0] for found in PIN.finditer(own) if found[1].lower() not in known]
    return new + "".join(pin if pin.endswith("\n") else f"{pin}\n" for pin in added)


def compiled(git: Git, tree: Tree) -> tuple[Tree, str]:
    """Return the locks that `make lock` compiles of a project's files, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        git.extract({path: one for path, one in tree.items() if _is_needed(path)}, Path(folder))
        own: Mapping[str, str] = {k: v for k, v in os.environ.items() if k not in OWN}
        done = subprocess.run(
            ["make", "--no-print-directory", "lock"], cwd=folder, env=own, capture_output=True
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            said = [line for line in lines if not line.startswith("make: ")]
            return {}, (said or ["no reason given"])[-1]
        made = {
            path: Entry(PLAIN, git.put(Path(folder, path).read_bytes()))
            for path in tree
            if is_lock(path)
        }
        return made, ""


def _is_needed(path: str) -> bool:
    top = path.partition("/")[0]
    return top in ("engine", "requirements", "conf", ".dvc") or "/" not in path
