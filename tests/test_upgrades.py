"""Projects follow their template: no edit is lost, no change of the template dropped unsaid."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from baked import Project, sharing
from sweeps import some, thorough
from versions import EDITS, GONE, LATER, OUTDATED, SECOND, TRIED, Edit, history

REPORT = "reports/upgrade/upgrade.md"
PASSING = ("--exclude=__pycache__", "--exclude=.git")
Make = Callable[..., Project]
# Those that leave something for the others to change.
APART = (
    "renamed, renamed there otherwise",
    "README, rewritten",
    "README, first paragraph",
    "conf, the same line",
    "the same change",
)
TOGETHER = [edit for edit in EDITS if edit.name not in APART]


@pytest.fixture(scope="module")
def address(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a template of four versions is."""
    return history(template, tmp_path_factory.mktemp("versions") / "cookiecutter-git")


@pytest.fixture(scope="module")
def first(address: str, isolated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project of the first version."""
    return started(address, "v1", tmp_path_factory.mktemp("first"), isolated)


def started(address: str, version: str, folder: Path, isolated: Path, **answers: str) -> Path:
    """Return a committed project of a version."""
    from cookiecutter.main import cookiecutter

    told = {"no_input": True, "extra_context": answers, "config_file": str(isolated)}
    path = Path(cookiecutter(address, checkout=version, output_dir=str(folder), **told))
    made = sharing(path, folder)
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    made.commit("Start")
    return path


@pytest.fixture
def make(first: Path, tmp_path: Path) -> Make:
    """Copy the project of the first version, edited; as a shallow clone, if asked for."""

    def run(*edits: Edit, shallow: bool = False) -> Project:
        path = tmp_path / first.name
        if shallow:
            edited = run_in(first, tmp_path / "whole")
            change(edited, edits)
            told = ("git", "clone", "--quiet", "--depth", "1", f"file://{edited.path}", str(path))
            edited.run(*told)
            for edit in edits:
                if edit.name == "ignored secret":
                    edit.do(path)
            return sharing(path, tmp_path)
        project = run_in(first, path)
        change(project, edits)
        return project

    def run_in(source: Path, path: Path) -> Project:
        path.parent.mkdir(exist_ok=True)
        shutil.copytree(source, path, symlinks=True)
        return sharing(path, path.parent)

    def change(project: Project, edits: Sequence[Edit]) -> None:
        for edit in edits:
            edit.do(project.path)
        project.run("git", "add", "--all")
        project.run("git", "commit", "--quiet", "--allow-empty", "--message", "Ours")

    return run


def upgrade(project: Project, *told: str, code: int = 0) -> str:
    """Run the verb; return what it said."""
    done = project.run("mlops", "upgrade", "--no-lock", *told, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def unmerged(project: Project) -> list[str]:
    told = project.run("git", "diff", "--name-only", "--diff-filter=U").stdout
    return sorted(told.splitlines())


def texts(project: Project) -> dict[str, str]:
    """Return every file but git's own, by its path."""
    found = {}
    for path in project.path.rglob("*"):
        name = path.relative_to(project.path).as_posix()
        if path.is_file() and not name.startswith((".git/", "reports/upgrade")):
            found[name] = path.read_bytes().decode(errors="replace")
    return found


def check_nothing_is_lost(project: Project, edits: Sequence[Edit], later: bool) -> None:
    """Assert that all edits and all of the template's changes are there, or said not to be."""
    there = texts(project)
    everything = "\n".join(there.values())
    plain = everything.replace("\r\n", "\n")
    report = (project.path / REPORT).read_text()
    for edit in edits:
        assert all(text in everything for text in edit.kept), edit.name
        assert not [path for path in edit.gone if path in there], edit.name
    wanted = [*SECOND, *(LATER if later else ())]
    dropped = [
        (path, text)
        for path, text in wanted
        if text not in plain and f"`{path}`" not in report.partition("## What changed")[0]
        if not (later and (path, text) in OUTDATED)
    ]
    assert dropped == []
    assert {path for path in GONE if path in there} <= set(unmerged(project))
    assert not [path for path in there if path.endswith((".rej", ".orig"))]


@pytest.mark.parametrize("shallow", [False, True], ids=["whole", "shallow"])
@pytest.mark.parametrize("to", ["v2", "v4"])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
@thorough
def test_each_edit_by_itself(make: Make, edit: Edit, to: str, shallow: bool) -> None:
    project = make(edit, shallow=shallow)
    said = upgrade(project, "--to", to, code=int(edit.conflict))
    assert bool(unmerged(project)) is edit.conflict, said
    check_nothing_is_lost(project, [edit], to == "v4")


@pytest.mark.parametrize(("to", "shallow"), [("v2", True), ("v4", False)])
def test_all_edits_at_once(make: Make, to: str, shallow: bool) -> None:
    project = make(*TOGETHER, shallow=shallow)
    said = upgrade(project, "--to", to, code=1)
    assert unmerged(project) == [
        "conf/model/nearest.yaml",
        "conf/model/quantile.yaml",
        "src/policy/rules.py",
    ], said
    check_nothing_is_lost(project, TOGETHER, to == "v4")
    training = (project.path / "conf/training/standard.yaml").read_text()
    assert f"\n{'transform' if to == 'v2' else 'mapping'}: sqrt" in training
    mode = (project.path / "orchestration/airflow.py").stat().st_mode
    assert mode & stat.S_IXUSR
    assert os.readlink(project.path / "pages") == "engine/docs"
    cleaning = (project.path / "src/project/cleaning.py").read_bytes()
    assert cleaning.count(b"\n") == cleaning.count(b"\r\n")


def test_of_all_kinds_of_edits_few_are_for_people_to_decide() -> None:
    assert len(TRIED) == 23  # and uncommitted work, below
    assert sum(edit.conflict for edit in TRIED) <= 4


@pytest.mark.parametrize("to", ["v4", pytest.param("v2", marks=thorough)])
def test_an_untouched_project_becomes_a_fresh_one(
    make: Make, address: str, isolated: Path, tmp_path: Path, to: str
) -> None:
    project = make()
    answers = {"team": "data"}
    upgrade(project, "--to", to)
    fresh = started(address, to, tmp_path / "fresh", isolated, **answers)
    (fresh / "resolved.yaml").unlink()  # which a run writes, and so no upgrade
    told = ["diff", "-r", "--exclude=upgrade", *PASSING, str(fresh), str(project.path)]
    done = subprocess.run(told, capture_output=True, text=True)
    assert done.stdout == ""
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert upgrade(project, "--to", to) == f"this project follows {to} already: nothing to do\n"
    assert f"v1 is older than {to}" in upgrade(project, "--to", "v1", code=2)
    assert "the template has no version 'v9'" in upgrade(project, "--to", "v9", code=2)


def test_uncommitted_work_is_refused_with_the_remedy(make: Make) -> None:
    project = make()
    (project.path / "params.yaml").write_text("mine")
    assert "params.yaml differs from the last commit" in upgrade(project, code=2)
    assert (project.path / "params.yaml").read_text() == "mine"
    project.run("git", "stash")
    upgrade(project)


def test_a_file_that_git_does_not_have_is_not_overwritten(make: Make) -> None:
    project = make()
    for name in ("conf/model/nearest.yaml", ".git/info/exclude"):
        (project.path / name).write_text("conf/model/nearest.yaml\n")
    assert "conf/model/nearest.yaml is new in the template" in upgrade(project, code=2)
    assert project.run("git", "log", "--format=%s").stdout.splitlines()[0] == "Ours"
    (project.path / "conf/model/nearest.yaml").unlink()
    upgrade(project)


def test_an_edited_engine_is_said_and_its_edit_kept(make: Make) -> None:
    project = make()
    path = project.path / "engine/tasks.mk"
    path.write_text(path.read_text() + "mine:\n\ttrue\n")
    project.commit()
    said = upgrade(project, "--to", "v2")
    assert said.index("engine/ was edited here") < said.index("# Upgrade")
    assert "mine:" not in path.read_text()
    patch = project.path / "reports/upgrade/engine.patch"
    assert "+mine:" in patch.read_text()
    project.run("git", "apply", "--3way", "--unidiff-zero", str(patch), check=False)
    assert "mine:" in path.read_text()


def test_undo_takes_a_merge_and_a_commit_back(make: Make) -> None:
    conflicting = next(edit for edit in EDITS if edit.name == "conf, the same line")
    project = make(conflicting)
    before = project.run("git", "rev-parse", "HEAD").stdout
    upgrade(project, code=1)
    assert "<<<<<<<" in (project.path / "params.yaml").read_text()
    assert "a cherry-pick is under way" in upgrade(project, code=2)
    upgrade(project, "--undo")
    assert project.run("git", "status", "--porcelain").stdout == ""
    upgrade(project, code=1)
    (project.path / "params.yaml").write_text("data: {use: churn}\n")
    project.run("git", "add", "params.yaml")
    project.run("git", "-c", "core.editor=true", "cherry-pick", "--continue")
    assert upgrade(project).startswith("this project follows v4 already")
    upgrade(project, "--undo")
    assert project.run("git", "rev-parse", "HEAD").stdout == before


def test_it_goes_to_the_last_release_and_what_was_built_on_that_is_reverted(make: Make) -> None:
    project = make()
    said = upgrade(project)
    assert "# Upgrade from v1 to v4" in said
    assert "`team`: `data`" in said  # the new question
    assert "resolved.yaml" in said.partition("## Not taken")[2]
    assert json.loads((project.path / ".template.json").read_text())["checkout"] == "v4"
    (project.path / "notes.md").write_text("later\n")
    project.commit("Later")
    assert "reverted by a new commit" in upgrade(project, "--undo")
    assert json.loads((project.path / ".template.json").read_text())["checkout"] == "v1"
    assert (project.path / "notes.md").exists()
    assert "lightgbm: 170" in (project.path / "params.yaml").read_text()
    assert "no upgrade that it still follows" in upgrade(project, "--undo", code=2)


def test_a_project_without_a_record_is_adopted(make: Make, address: str) -> None:
    project = make(next(edit for edit in EDITS if edit.name == "answer changed by hand"))
    project.run("git", "rm", "--quiet", ".template.json")
    (project.path / "engine/tasks.mk").write_text("mine:\n")
    project.commit("As it was made once")
    assert "names no template" in upgrade(project, code=2)
    said = upgrade(project, "--to", "v2", "--template", address)
    assert "has the engine that is most like its own (2 files differ)" in said
    record = json.loads((project.path / ".template.json").read_text())
    assert (record["template"], record["checkout"]) == (address, "v2")
    assert record["context"]["cookiecutter"]["description"] == "Predicts who leaves"
    assert "lightgbm: 180" in (project.path / "params.yaml").read_text()


def test_a_project_in_a_folder_of_a_repository(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / "all/ours", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "all/theirs").write_text("another's\n")
    whole = sharing(tmp_path / "all", tmp_path)
    whole.run("git", "init", "--quiet", "--initial-branch", "main")
    whole.commit("Start")
    project = sharing(tmp_path / "all/ours", tmp_path)
    upgrade(project)
    assert "lightgbm: 190" in (project.path / "params.yaml").read_text()
    assert whole.run("git", "status", "--porcelain").stdout == ""
    assert (tmp_path / "all/theirs").read_text() == "another's\n"


class Started:
    """An upgrade that runs, to be killed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.process = subprocess.Popen(
            ["mlops", "upgrade", "--no-lock", "--to", "v4"],
            cwd=project.path,
            env=dict(project.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_for_the_last_step(self) -> None:
        """Return as soon as git may be at the files, or the upgrade has ended."""
        note = self.project.path / ".git/mlops-upgrade"
        while not note.exists() and self.process.poll() is None:
            time.sleep(0.001)

    def kill(self, git_too: bool) -> None:
        """Kill it and its children; what git was detached as, only if asked for."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while there := self._gits():
            if git_too:
                for number in there:
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
            time.sleep(0.001)

    def _gits(self) -> list[int]:
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(place / "cwd") == str(self.project.path):
                    found.append(int(place.name))
        return found


@pytest.mark.parametrize("number", some(range(50), every=25))
def test_killed_at_any_moment_it_is_the_old_tree_or_a_merge_to_go_on_with(
    make: Make, number: int
) -> None:
    chance = random.Random(number)
    conflicting = [edit for edit in EDITS if edit.name == "conf, the same line"]
    project = make(*conflicting * (number % 2))
    before = project.run("git", "rev-parse", "HEAD").stdout
    started = Started(project)
    if number % 5 < 3:
        started.wait_for_the_last_step()
        time.sleep(chance.uniform(0, 0.2))
    else:
        time.sleep(chance.uniform(0, 4))
    started.kill(git_too=chance.random() < 0.6)
    module = "engine/src/mlops/upgrading/recovery.py"
    copy = project.run("git", "cat-file", "blob", f"HEAD:{module}").stdout
    project.run(sys.executable, "-P", "-c", copy)
    status = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    after = project.run("git", "rev-parse", "HEAD").stdout
    if (project.path / ".git/CHERRY_PICK_HEAD").exists():
        assert unmerged(project) == ["params.yaml"]
    elif after == before:
        assert status == ""
        upgrade(project, "--to", "v4", code=number % 2)
    else:
        assert status == ""
        assert project.run("git", "rev-parse", "HEAD~1").stdout == before
    upgrade(project, "--undo")
    assert project.run("git", "rev-parse", "HEAD").stdout == before
    assert project.run("git", "status", "--porcelain", "--untracked-files=all").stdout == ""


def test_a_machine_that_stopped_amid_the_files_is_put_back(make: Make) -> None:
    """And what somebody did since is kept aside."""
    project = make()
    before = project.run("git", "rev-parse", "HEAD").stdout.strip()
    upgrade(project, "--to", "v2")
    after = project.run("git", "rev-parse", "HEAD").stdout.strip()
    project.run("git", "reset", "--quiet", "--hard", before)
    project.run("git", "checkout", after, "--", "params.yaml", "engine/tasks.mk")
    project.run("git", "reset", "--quiet")
    (project.path / "conf/model/nearest.yaml").write_text("half of i")
    (project.path / "README.md").write_text("mine, since\n")
    (project.path / ".git/index.lock").touch()
    note = json.dumps({"before": before, "after": after})
    (project.path / ".git/mlops-upgrade").write_text(note)
    assert "an upgrade was cut off" in upgrade(project, "--undo")
    assert project.run("git", "status", "--porcelain").stdout == ""
    kept = project.run("git", "show", "refs/mlops/interrupted:README.md").stdout
    assert kept == "mine, since\n"
    assert "no upgrade that it still follows" in upgrade(project, "--undo", code=2)


def test_what_will_run_again_is_said(candidate: Project, address: str) -> None:
    """Of a project that ran its pipeline, and was made from a folder without an address."""
    told = ("--to", "v2", "--template", address)
    assert "write null for it and commit" in upgrade(candidate, *told, code=2)
    place = candidate.path / ".template.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "commit": None}))
    candidate.commit("As it was made once")
    said = upgrade(candidate, *told)
    assert "(0 files differ)" in said
    stages = said.partition("## What will run again")[2].partition("##")[0]
    assert "`train`" in stages
    assert "`resolve`" in stages


@thorough
def test_an_environment_of_its_own_is_set_up_where_there_is_none(
    make: Make, tmp_path: Path
) -> None:
    """And locks that cannot be compiled, here without a network, are said with the command."""
    project = make(next(edit for edit in EDITS if edit.name == "dependency and lock"))
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", str(bare)], check=True)
    told = [str(bare / "bin/pip"), "install", "--quiet"]
    subprocess.run([*told, "PyYAML"], check=True)
    subprocess.run([*told, "-r", str(project.path / "requirements/uv.txt")], check=True)
    script = bare / "bin/mlops"
    script.write_text(
        f"#!{bare}/bin/python\nimport sys\nsys.path.append({str(project.path / 'engine/src')!r})\n"
        "from mlops.start import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    index = subprocess.run(
        [str(bare / "bin/pip"), "config", "get", "global.index-url"], capture_output=True, text=True
    ).stdout.strip()
    own = {
        **project.environment,
        "PATH": os.pathsep.join([str(bare / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        **({"UV_DEFAULT_INDEX": index} if index else {}),
    }
    alone = Project(project.path, own)
    first = alone.run("mlops", "upgrade", "--to", "v2").stdout
    assert "setting up what renders the template" in first
    assert "`make lock`: `requirements/serve.txt` changed on both sides and could not" in first
    assert "humanize" in (project.path / "requirements/serve.txt").read_text()
    assert "setting up" not in alone.run("mlops", "upgrade", "--to", "v4").stdout
