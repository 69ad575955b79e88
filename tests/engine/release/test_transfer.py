"""A handover: only what the pipeline and promote write reaches a branch."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import SOURCE

from mlops.release import transfer
from mlops.release.transfer import TransferError, accepted

Make = Callable[..., str]
REPORTS = (
    *("reports/metrics.json", "reports/lift.csv", "reports/a b.svg", "reports/lift/größe.html"),
    "reports/lift/by month/1.png",
)


def git(folder: Path, *arguments: str) -> str:
    told = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(
        told, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def author(tmp_path: Path) -> Path:
    """A clone with a branch that its remote has."""
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(remote))
    git(tmp_path, "init", "-q", "-b", "main", str(clone))
    git(clone, "remote", "add", "origin", str(remote))
    (clone / "src.py").write_text("1\n")
    (clone / "dvc.lock").write_text("1\n")
    commit(clone)
    git(clone, "push", "-q", "origin", "HEAD:main", "HEAD:work")
    git(tmp_path, "clone", "-q", str(remote), "pusher")
    return clone


@pytest.fixture
def pusher(author: Path) -> Path:
    """Another clone, which knows the branch and not what comes."""
    return author.parent / "pusher"


def commit(clone: Path) -> str:
    git(clone, "add", "--all")
    git(clone, "commit", "-q", "--allow-empty", "-m", "x")
    return git(clone, "rev-parse", "HEAD")


def write(clone: Path, name: str, content: str = "2\n") -> None:
    (clone / name).parent.mkdir(parents=True, exist_ok=True)
    (clone / name).write_text(content)


def bundled(author: Path, onto: str) -> Path:
    bundle = author.parent / "commits.bundle"
    git(author, "bundle", "create", "-q", str(bundle), f"{onto}..HEAD")
    return bundle


def test_results_and_declaration_reach_the_branch(
    author: Path, pusher: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onto = git(author, "rev-parse", "HEAD")
    for name in ("dvc.lock", "resolved.yaml", *REPORTS):
        write(author, name)
    monkeypatch.chdir(author)
    assert transfer.main(["--results", "Run"]) == 0
    assert git(author, "status", "--porcelain") == ""
    for name in ("champion.dvc", "release.yaml", "gate.json"):
        write(author, f"deploy/production/{name}")
    new = commit(author)
    monkeypatch.chdir(pusher)
    told = [str(bundled(author, onto)), "--onto", onto, "--branch", "work"]
    assert transfer.main(told) == 0
    assert transfer.main(told) == 0  # twice changes nothing
    assert capsys.readouterr().out.split() == [new, new]
    assert git(author, "ls-remote", "origin", "work").split()[0] == new


LEFT = ("reports/.gitattributes", "reports/lift/.keep", "src.py", "notes.md")


def test_the_one_job_commits_what_the_other_accepts(
    author: Path,
    pusher: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A stage of one's own leaves what it likes in reports/; the rest stays, and is named."""
    write(author, "reports/.gitignore", "/plots\n")
    write(author, "reports/gone.json")
    write(author, "reports/plots/one.png")
    git(author, "add", "reports/.gitignore", "reports/gone.json")
    git(author, "commit", "-q", "-m", "Reports")
    git(author, "push", "-q", "origin", "HEAD:work")
    git(pusher, "fetch", "-q")
    onto = git(author, "rev-parse", "HEAD")
    for name in (*REPORTS, *LEFT, "reports/run.sh"):
        write(author, name)
    (author / "reports/gone.json").unlink()
    (author / "reports/run.sh").chmod(0o755)
    (author / "reports/link.csv").symlink_to("lift.csv")
    git(author, "config", "status.showUntrackedFiles", "no")
    monkeypatch.chdir(author)
    assert transfer.main(["--results", "Run"]) == 0
    told = capsys.readouterr().err
    left = ("reports/gone.json", "reports/run.sh", "reports/link.csv", *LEFT[:2])
    assert all(f"not committed: {name!r}" in told for name in left)
    written = git(author, "diff", "-z", "--name-only", onto, "HEAD").strip("\0").split("\0")
    assert set(written) == set(REPORTS)
    new = git(author, "rev-parse", "HEAD")
    assert transfer.main(["--results", "Run"]) == 0  # twice changes nothing
    assert git(author, "rev-parse", "HEAD") == new
    assert accepted(bundled(author, onto), onto, pusher) == new


@pytest.mark.parametrize(
    "name",
    [
        *(
            "src.py",
            "engine/src/mlops/cli/__init__.py",
            ".github/workflows/check.yml",
            "Makefile",
            "dvc.yaml",
        ),
        *("conf/gate/standard.yaml", "params.yaml", "reports/.gitattributes", "reports/x/.z"),
        *(
            "deploy/Dockerfile",
            "deploy/environments.yaml",
            "deploy/production/other",
            "x\ndvc.lock",
        ),
        *("deploy/a/b/gate.json", "deploy/-x/gate.json", "sub/dvc.lock", "dvc.lock/x"),
    ],
)
def test_another_file_is_not_accepted(author: Path, pusher: Path, name: str) -> None:
    onto = git(author, "rev-parse", "HEAD")
    (author / "dvc.lock").unlink()
    write(author, name)
    commit(author)
    with pytest.raises(TransferError, match="not accepted"):
        accepted(bundled(author, onto), onto, pusher)


def test_nor_is_one_that_a_later_commit_takes_back(author: Path, pusher: Path) -> None:
    onto = git(author, "rev-parse", "HEAD")
    write(author, "src.py")
    commit(author)
    write(author, "src.py", "1\n")
    commit(author)
    with pytest.raises(TransferError, match="not accepted"):
        accepted(bundled(author, onto), onto, pusher)


@pytest.mark.parametrize("kind", ["link", "executable", "deletion"])
def test_nor_is_anything_but_a_plain_file(author: Path, pusher: Path, kind: str) -> None:
    onto = git(author, "rev-parse", "HEAD")
    path = author / "dvc.lock"
    if kind == "executable":
        path.chmod(0o755)
    else:
        path.unlink()
        if kind == "link":
            path.symlink_to("/etc/passwd")
    commit(author)
    with pytest.raises(TransferError, match="not accepted"):
        accepted(bundled(author, onto), onto, pusher)


def test_a_merge_is_not_accepted(author: Path, pusher: Path) -> None:
    onto = git(author, "rev-parse", "HEAD")
    git(author, "checkout", "-q", "-b", "other")
    write(author, "dvc.lock")
    commit(author)
    git(author, "checkout", "-q", "main")
    write(author, "resolved.yaml")
    commit(author)
    git(author, "merge", "-q", "--no-edit", "other")
    with pytest.raises(TransferError, match="does not follow"):
        accepted(bundled(author, onto), onto, pusher)


def test_nor_are_many(author: Path, pusher: Path) -> None:
    onto = git(author, "rev-parse", "HEAD")
    for number in range(transfer.MOST + 1):
        write(author, "dvc.lock", str(number))
        commit(author)
    with pytest.raises(TransferError, match="1 to 5"):
        accepted(bundled(author, onto), onto, pusher)


@pytest.mark.parametrize("onto", ["main", "", "--all", "0" * 40])
def test_commits_follow_a_commit(author: Path, pusher: Path, onto: str) -> None:
    before = git(author, "rev-parse", "HEAD")
    write(author, "dvc.lock")
    commit(author)
    with pytest.raises(TransferError):
        accepted(bundled(author, before), onto, pusher)


def test_a_damaged_file_is_refused(author: Path, pusher: Path) -> None:
    onto = git(author, "rev-parse", "HEAD")
    write(author, "dvc.lock")
    commit(author)
    bundle = bundled(author, onto)
    bundle.write_bytes(bundle.read_bytes()[:-30])
    with pytest.raises(TransferError, match="failed"):
        accepted(bundle, onto, pusher)


def test_a_branch_that_moved_on_is_left_as_it_is(
    author: Path, pusher: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onto = git(author, "rev-parse", "HEAD")
    write(author, "dvc.lock")
    commit(author)
    bundle = bundled(author, onto)
    git(author, "reset", "-q", "--hard", onto)
    write(author, "src.py")
    moved = commit(author)
    git(author, "push", "-q", "origin", "HEAD:work")
    monkeypatch.chdir(pusher)
    assert transfer.main([str(bundle), "--onto", onto, "--branch", "work"]) == 2
    assert "takes over" in capsys.readouterr().err
    assert git(author, "ls-remote", "origin", "work").split()[0] == moved


def test_it_starts_with_python_alone() -> None:
    """The job that pushes installs nothing."""
    import sys

    engine = str(SOURCE / "engine/src")
    code = f"import sys; sys.path.insert(0, {engine!r}); import mlops.release.transfer"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
