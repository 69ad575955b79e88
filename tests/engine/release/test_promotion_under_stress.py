"""Promotions that are killed, that run at the same time, and that meet damaged files.

A few of each; with MLOPS_THOROUGH=1 all: every call of git, 20 at a time, 100 damages.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import THOROUGH, thorough

from mlops.cli import main
from mlops.errors import ProjectError
from mlops.release.declaration import declared, paths
from mlops.release.environments import verify

AT_ONCE = 20 if THOROUGH else 3
CLONES = 20 if THOROUGH else 2
PUSHING = 4  # of the clones at any time: each that another one overtakes judges again
DAMAGES = 100 if THOROUGH else 6
SEED = 5
KILLER = """#!/bin/sh
count=$(($(cat "$0.count" 2>/dev/null || echo 0) + 1))
echo $count > "$0.count"
if [ $count = $KILL_AT ] && [ $KILL_WHEN = before ]; then kill -9 0; fi
{git} "$@"
code=$?
if [ $count = $KILL_AT ]; then kill -9 0; fi
exit $code
"""
FILES = paths("production")


def started(root: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the real command, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mlops.cli", *arguments],
        cwd=root,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate()
    return process.returncode, out + err


def promoted_but_killed(root: Path, at: int, when: str) -> tuple[int, int]:
    """Promote with a git that kills it at its `at`-th call; return exit code and calls made."""
    folder = root.parent / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "git").write_text(KILLER.format(git=shutil.which("git")))
    (folder / "git").chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    code, said = ended(started(root, "promote", PATH=path, KILL_AT=str(at), KILL_WHEN=when))
    assert code in (0, -signal.SIGKILL), said
    return code, int((folder / "git.count").read_text())


@thorough
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_head_declares_the_old_or_the_new(second: Any, when: str) -> None:
    head = second.git("rev-parse", "HEAD")
    old = second.declared()
    code, calls = promoted_but_killed(second.root, 0, "never")
    assert code == 0
    new = second.declared()
    found = set()
    for at in range(1, calls + 1):
        second.git("reset", "-q", "--hard", head)
        second.write("mine.txt", "x")
        code, _ = promoted_but_killed(second.root, at, when)
        assert code == -signal.SIGKILL
        found.add("new" if second.declared() == new else "old")
        assert second.declared() in (old, new)
        shutil.rmtree(second.root / ".dvc/tmp/lock", ignore_errors=True)
        assert second.mlops("promote") == 0
        assert second.declared() == new
        assert second.git("rev-parse", "HEAD~1") == head
        assert second.git("status", "--porcelain") == "?? mine.txt"
        (second.root / "mine.txt").unlink()
    assert "old" in found
    assert "new" in found or when == "before"  # the last call may be the one that declares


@thorough
def test_mend_brings_along_what_a_killed_promotion_left(second: Any) -> None:
    _, calls = promoted_but_killed(second.root, 0, "never")
    second.git("reset", "-q", "--hard", "HEAD~1")
    assert promoted_but_killed(second.root, calls - 4, "after")[0] == -signal.SIGKILL
    assert second.git("status", "--porcelain") != ""
    assert second.mlops("mend") == 0
    assert second.git("status", "--porcelain") == ""


def test_one_of_many_at_once_promotes(second: Any) -> None:
    head = second.git("rev-parse", "HEAD")
    running = [started(second.root, "promote") for _ in range(AT_ONCE)]
    results = [ended(process) for process in running]
    assert [code for code, _ in results] == [0] * AT_ONCE, results
    assert sum("nothing to do" not in said for _, said in results) == 1
    assert second.git("rev-parse", "HEAD~1") == head
    assert second.git("status", "--porcelain") == ""


def variants(workshop: Any, count: int) -> list[str]:
    """Make that many bundles of the same model."""
    names = [f"variant{number}" for number in range(count)]
    for name in names:
        workshop.edit("good", name, lambda content, name=name: content.update(note=name))
    return names


def beside(workshop: Any, name: str) -> Any:
    """Return where a copy of the project may stand, so that it finds the same remote."""
    return type(workshop)(workshop.root.parent / name)


def furnish(place: Any, source: Any, name: str) -> None:
    """Give a clone or working tree what git does not hold: data, cache, and its candidate."""
    for folder in ("data", "trained", ".dvc/cache"):
        shutil.copytree(source.root / folder, place.root / folder, symlinks=True)
    place.put(name)


@thorough
def test_different_ones_from_the_working_trees_of_one_clone(second: Any) -> None:
    names = variants(second, AT_ONCE)
    trees = []
    for name in names:
        tree = beside(second, name)
        second.git("worktree", "add", "-q", "-b", name, str(tree.root), "main")
        furnish(tree, second, name)
        trees.append(tree)
    for tree in trees:
        assert tree.gate() == 0
    results = [ended(process) for process in [started(tree.root, "promote") for tree in trees]]
    assert [code for code, _ in results] == [0] * len(trees), results
    for tree, name in zip(trees, names, strict=True):
        said = yaml.safe_load(tree.declared()["release.yaml"])
        assert said["manifest"] == second.bundle_digest(name)
        assert tree.git("rev-parse", "HEAD~2") == second.git("rev-parse", "main")


@thorough
def test_clones_that_push_make_one_line_of_judged_declarations(second: Any) -> None:
    hub = second.root.parent / "hub.git"
    second.git("clone", "-q", "--bare", str(second.root), str(hub))
    names = variants(second, CLONES)
    clones = []
    for name in names:
        clone = beside(second, name)
        second.git("clone", "-q", str(hub), str(clone.root))
        clone.git("checkout", "-q", "-B", "work", "origin/main")
        furnish(clone, second, name)
        clones.append(clone)
    with ThreadPoolExecutor(PUSHING) as pool:
        tries = list(pool.map(pushed, clones, names))
    print(f"{sum(tries)} judgments for {len(names)} promotions")
    clones[0].git("fetch", "-q")
    line = list(declarations(clones[0], "origin/main"))
    assert [one.champion for _, one in line[:-1]] == [one.bundle_digest for _, one in line[1:]]
    declared_digests = sorted(one.bundle_digest for _, one in line[:-1])
    assert declared_digests == sorted(map(second.bundle_digest, names))
    for commit, _ in line:
        out = second.root.parent / "out" / commit
        assert verify(clones[0].repository, commit, "production", out) is not None


def pushed(clone: Any, name: str) -> int:
    """Judge, promote and push until the push is accepted; return how often that took."""
    for attempt in range(1, 99):
        clone.git("fetch", "-q")
        clone.git("reset", "-q", "--hard", "origin/main")
        shutil.copy(clone.root / f"trained/{name}.lock", clone.root / "dvc.lock")
        clone.git("commit", "-q", "-a", "--allow-empty", "-m", f"candidate {name}")
        code, said = ended(started(clone.root, "gate", "--against", "origin/main"))
        assert code == 0, said
        clone.git("fetch", "-q")
        if clone.git("rev-parse", "HEAD~1") != clone.git("rev-parse", "origin/main"):
            continue
        code, said = ended(started(clone.root, "promote"))
        assert code == 0, said
        try:
            clone.git("push", "-q", "origin", "HEAD:main")
        except subprocess.CalledProcessError:
            continue
        return attempt
    raise AssertionError("never accepted")


def declarations(workshop: Any, ref: str) -> Iterator[tuple[str, Any]]:
    """Yield what was declared on a branch, the newest first."""
    told = workshop.git("log", "--first-parent", "--format=%H", ref, "--", "deploy/production")
    for commit in told.split("\n"):
        one = declared(workshop.repository, commit, "production")
        assert one is not None
        yield commit, one.declaration


def damaged(path: Path, chance: random.Random) -> None:
    """Flip a bit of a file, or cut something off."""
    content, mode = bytearray(path.read_bytes()), path.stat().st_mode
    path.chmod(0o644)
    if chance.random() < 0.3:
        del content[chance.randrange(len(content)) :]
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    path.chmod(mode)  # DVC believes what is read-only


def places(second: Any) -> dict[str, list[Path]]:
    """Return the files to be damaged, by where they are; of the stores, those of the candidate."""
    sizes = {path.read_bytes() for path in (second.root / "candidate").iterdir()}
    stores = {
        "cache": second.root / ".dvc/cache/files",
        "remote": second.root.parent / "storage/files",
    }
    found = {
        name: [p for p in store.rglob("*") if p.is_file() and p.read_bytes() in sizes]
        for name, store in stores.items()
    }
    pinned = yaml.safe_load((second.root / "dvc.lock").read_text())["stages"]["bundle"]["outs"][0]
    listing = Path("md5", pinned["md5"][:2], pinned["md5"][2:])
    for name, store in stores.items():
        if (store / listing).is_file():
            found[name].append(store / listing)
    return {
        **found,
        "bundle": [p for p in (second.root / "candidate").rglob("*") if p.is_file()],
        "lock": [second.root / "dvc.lock"],
        "report": [second.root / "reports/gate/gate.json"],
    }


@thorough
def test_damage_is_found_before_promotion(second: Any, tmp_path: Path) -> None:
    second.dvc("push", "--quiet", "candidate")
    assert second.mlops("promote") == 0
    whole = second.declared()
    second.git("reset", "-q", "--hard", "HEAD~1")
    chance = random.Random(SEED)
    kinds = sorted(places(second))
    refused = 0
    for number in range(DAMAGES):
        case = type(second).copied(second, tmp_path / "damaged")
        path = chance.choice(places(case)[kinds[number % len(kinds)]])
        damaged(path, chance)
        with chdir(case.root):
            code = main(["promote"])
        if code == 0:
            # Without effect: a digit of the report's clock, which is not declared, or the cache's
            # listing of the folder, for which DVC asks the remote where it cannot be read.
            assert case.declared() == whole, path
            assert path.name == "gate.json" or (path.suffix == ".dir" and ".dvc" in path.parts)
        else:
            assert code == 2, path
            assert case.git("rev-parse", "HEAD") == second.git("rev-parse", "HEAD")
            refused += 1
        shutil.rmtree(case.root.parent)
    print(f"{refused} of {DAMAGES} refused, the others without effect")
    assert refused > 0.8 * DAMAGES


def test_damage_to_what_is_declared_is_found_before_release(second: Any, tmp_path: Path) -> None:
    assert second.mlops("promote") == 0
    merged = second.merge()
    chance = random.Random(SEED)
    for number in range(DAMAGES):
        path = second.root / FILES[number % len(FILES)]
        damaged(path, chance)
        second.git("commit", "-q", "-a", "-m", "damaged")
        head = second.git("rev-parse", "HEAD")
        with pytest.raises(ProjectError):
            verify(second.repository, head, "production", tmp_path / "out")
        second.git("reset", "-q", "--hard", merged)
    assert verify(second.repository, merged, "production", tmp_path / "out") is not None
