"""What lands on HEAD does so whole or not at all, wherever the process is killed."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from sweeps import THOROUGH, thorough

from mlops.git import commits, landing
from mlops.git.repository import Repository, RepositoryError

FILES = {"deploy/e/one": "new one\n", "deploy/e/two": "new two\n", "deploy/e/three": "new three\n"}
MAKE = f"""
from mlops.git import commits, landing
from mlops.git.repository import Repository
repository = Repository()
with landing.serial(repository):
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, {FILES!r}, "New")
    landing.land(repository, new, head, list({FILES!r}), "test")
"""
# Stands before git on PATH, and kills the whole group before or after the call that is counted out.
KILLER = """#!/bin/sh
count=$(($(cat "$0.count" 2>/dev/null || echo 0) + 1))
echo $count > "$0.count"
if [ $count = $KILL_AT ] && [ $KILL_WHEN = before ]; then kill -9 0; fi
{git} "$@"
code=$?
if [ $count = $KILL_AT ]; then kill -9 0; fi
exit $code
"""
# Kills the process itself before or after a file is replaced, linked or removed, counted out.
REPLACED = """
import os, signal
left, when = int(os.environ["KILL_AT"]), os.environ["KILL_WHEN"]
def counted(real):
    def call(*arguments, **settings):
        global left
        left -= 1
        if left == 0 and when == "before":
            os.killpg(0, signal.SIGKILL)
        try:
            return real(*arguments, **settings)
        finally:
            if left == 0:
                os.killpg(0, signal.SIGKILL)
    return call
for name in ("replace", "link", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
"""


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with old files, and changes of the user's."""
    place = tmp_path / "repository"
    (place / "deploy/e").mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    for name in [*FILES, "staged", "changed"]:
        (place / name).write_text("old\n")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "Old")
    (place / "staged").write_text("mine\n")
    git(place, "add", "staged")
    (place / "changed").write_text("mine\n")
    (place / "untracked").write_text("mine\n")
    return place


def killed(root: Path, at: int, when: str, by_git: bool) -> bool:
    """Make the commit in a process that is killed at its `at`-th step; say whether it was."""
    folder = root.parent / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    environment = {**os.environ, "KILL_AT": str(at), "KILL_WHEN": when}
    script = MAKE if by_git else REPLACED + MAKE
    if by_git:
        stand_in = folder / "git"
        stand_in.write_text(KILLER.format(git=shutil.which("git")))
        stand_in.chmod(0o755)
        environment["PATH"] = f"{folder}:{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, start_new_session=True
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def state(root: Path) -> str:
    """Return `old` or `new` for what HEAD holds, `mixed` for anything else."""
    held = {git(root, "show", f"HEAD:{name}") + "\n" for name in FILES}
    return "old" if held == {"old\n"} else "new" if held == set(FILES.values()) else "mixed"


def check_files(root: Path) -> None:
    assert {name: (root / name).read_text() for name in FILES} == FILES
    assert git(root, "status", "--porcelain", "--", *FILES) == ""
    assert not (root / ".git/index.lock").exists()


def check_settled(root: Path) -> None:
    check_files(root)
    assert git(root, "status", "--porcelain").split("\n") == [
        " M changed",
        "M  staged",
        "?? untracked",
    ]
    assert git(root, "fsck", "--no-dangling", "--no-progress") == ""


@thorough
@pytest.mark.parametrize("by_git", [True, False], ids=["at a call of git", "at a file"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_it_is_the_old_or_the_new(root: Path, by_git: bool, when: str) -> None:
    found = []
    for at in range(1, 99, 3 if by_git and not THOROUGH else 1):
        git(root, "update-ref", "HEAD", git(root, "rev-list", "--max-parents=0", "HEAD"))
        (root / ".git/index.lock").unlink(missing_ok=True)
        git(root, "reset", "-q", "--", *FILES)
        git(root, "checkout", "-q", "--", *FILES)
        if not killed(root, at, when, by_git):
            break
        found.append(state(root))
        if found[-1] == "old":
            assert not killed(root, 0, when, by_git)
        with landing.serial(Repository(root)):
            pass
        assert state(root) == "new"
        check_settled(root)
    assert len(found) > 3
    assert set(found) <= {"old", "new"}
    assert sorted(found, reverse=True) == found
    assert "new" in found


def test_nothing_is_settled_that_somebody_has_worked_on(root: Path) -> None:
    repository = Repository(root)
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, FILES, "New")
    repository.git_path(landing.UNFINISHED).write_text(
        f'{{"commit": "{new}", "paths": ["deploy/e/one"]}}'
    )
    for _ in range(2):
        with landing.serial(repository) as brought:
            assert brought == []
        assert git(root, "status", "--porcelain", "--", *FILES) == ""


def test_head_that_moved_is_not_moved(root: Path) -> None:
    repository = Repository(root)
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, FILES, "New")
    git(root, "commit", "-q", "-m", "somebody else's")
    moved = repository.commit_of("HEAD")
    with pytest.raises(RepositoryError, match="HEAD moved meanwhile"):
        landing.land(repository, new, head, list(FILES), "test")
    assert repository.commit_of("HEAD") == moved
    assert not repository.git_path(landing.UNFINISHED).exists()


def test_the_index_is_waited_for(root: Path) -> None:
    repository = Repository(root)
    lock = root / ".git/index.lock"
    lock.touch()
    release = subprocess.Popen(["bash", "-c", f"sleep 0.5; rm '{lock}'"])
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, FILES, "New")
    landing.land(repository, new, head, list(FILES), "test")
    release.wait()
    check_settled(root)


@pytest.mark.parametrize("name", sorted(landing.UNDER_WAY))
def test_nothing_is_committed_in_the_middle_of_something(root: Path, name: str) -> None:
    repository = Repository(root)
    landing.check_ready(repository)
    (root / ".git" / name).mkdir()
    with pytest.raises(RepositoryError, match="is under way here"):
        landing.check_ready(repository)


def test_nobody_commits_while_files_follow(root: Path) -> None:
    repository = Repository(root)
    others = "while git commit -q --allow-empty -m other || true; do sleep 0.4; done"
    landed = 0
    with subprocess.Popen(["bash", "-c", others], cwd=root, stderr=subprocess.DEVNULL) as process:
        while landed < 2:
            head = repository.commit_of("HEAD")
            files = {name: f"{text}{landed}\n" for name, text in FILES.items()}
            new = commits.made(repository, head, files, "New")
            with suppress(RepositoryError), landing.serial(repository):
                landing.land(repository, new, head, list(files), "test")
                landed += 1
        process.kill()
    (root / ".git/index.lock").unlink(missing_ok=True)  # where a commit of the others was killed
    subjects = git(root, "log", "--format=%s").split("\n")
    assert subjects.count("New") == 2
    assert git(root, "diff", "--name-only", new, "HEAD", "--", *FILES) == ""
    assert git(root, "status", "--porcelain", "--", *FILES) == ""


def test_an_index_that_stays_locked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(root)
    (root / ".git/index.lock").touch()
    monkeypatch.setattr(landing, "WAITS", 2)
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, FILES, "New")
    with pytest.raises(RepositoryError, match=r"index\.lock exists"):
        landing.land(repository, new, head, list(FILES), "test")
    assert repository.commit_of("HEAD") == head
    assert (root / ".git/index.lock").exists()


def test_outside_git_nothing_is_waited_for(tmp_path: Path) -> None:
    with landing.serial(Repository(tmp_path)) as brought:
        assert brought == []
