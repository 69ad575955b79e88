"""What an error of the loop tells its reader to do gets them through, word for word."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from baked import Project, sharing
from sweeps import some, thorough

MAKE = ("make", "-o", ".venv/.installed")  # these tests' environment stands in for the project's
# The rules that look at origins: the others take their time and name no remedy.
POLICY = "resamples: 100\nseed: 0\nconfidence: 0.95\nrules: {lineage: {}}\n"


def edit(project: Project, path: str, old: str, new: str) -> None:
    """Replace one text in a file of the project."""
    file = project.path / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def gate(project: Project, against: str = "main") -> tuple[int, str]:
    """Judge the candidate; return the exit code and what was printed."""
    done = project.run("mlops", "gate", "--against", against, check=False)
    return done.returncode, done.stdout


def told(project: Project, said: str, against: str = "main") -> list[str]:
    """Judge what is rejected for that reason; return the commands that the reason names."""
    code, printed = gate(project, against)
    assert code, printed
    lines = [line for line in printed.splitlines() if said in line]
    assert lines, printed
    commands = re.findall(r"`([^`]+)`", lines[0])
    assert commands, f"no remedy is named: {lines[0]}"
    return commands


def follow(project: Project, *commands: str) -> None:
    """Run commands as they were named."""
    for command in commands:
        first, *rest = command.split()
        project.run(*(MAKE if first == "make" else (first,)), *rest)


def passes(project: Project, against: str = "main") -> None:
    """Commit what there is and have it judged."""
    if project.run("git", "status", "--porcelain").stdout:
        project.commit("Remedy")
    code, printed = gate(project, against)
    assert code == 0, printed


@pytest.fixture(scope="module")
def proposed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose branch `work` proposes another model; main moved since."""
    folder = tmp_path_factory.mktemp("proposed")
    path = folder / finished.path.name
    shutil.copytree(finished.path, path, symlinks=True)
    project = sharing(path, folder)
    (path / "conf/gate/standard.yaml").write_text(POLICY, encoding="utf-8")
    edit(project, "conf/evaluation/standard.yaml", "resamples: 500", "resamples: 20")
    pipeline = yaml.safe_load((path / "dvc.yaml").read_text(encoding="utf-8"))
    del pipeline["stages"]["track"], pipeline["plots"]  # minutes of MLflow, and no remedy
    (path / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    project.commit("Policy")
    project.run("git", "checkout", "-q", "-b", "work")
    edit(project, "params.yaml", "n_estimators: {lightgbm: 170}", "n_estimators: 20")
    project.commit("Fewer trees")
    project.run("dvc", "repro")
    project.commit("Candidate")
    project.run("git", "checkout", "-q", "main")
    (path / "NOTES.md").write_text("Notes\n", encoding="utf-8")
    project.commit("Notes")
    project.run("git", "checkout", "-q", "work")
    return project


@pytest.fixture
def work(proposed: Project, tmp_path: Path) -> Project:
    """A copy of that project, in another folder."""
    path = tmp_path / "moved" / "elsewhere"
    shutil.copytree(proposed.path, path, symlinks=True)
    project = sharing(path, tmp_path)
    return Project(path, {**project.environment, "AGAINST": "main"})


def rebased(project: Project) -> None:
    project.run("git", "rebase", "-q", "main")


def squashed(project: Project) -> None:
    project.run("git", "reset", "-q", "--soft", "HEAD~2")
    project.run("git", "commit", "-q", "-m", "Fewer trees, and their candidate")


def amended(project: Project) -> None:
    results = project.run("git", "rev-parse", "work").stdout.strip()
    project.run("git", "checkout", "-q", "-B", "work", "HEAD~1")
    project.run("git", "commit", "-q", "--amend", "-m", "Fewer trees than before")
    project.run("git", "cherry-pick", results)


def picked(project: Project) -> None:
    project.run("git", "checkout", "-q", "-b", "other", "main")
    project.run("git", "cherry-pick", "work~1", "work")


@pytest.mark.parametrize("rewrite", some([rebased, squashed, amended, picked], 4))
def test_a_commit_that_was_replaced(work: Project, rewrite: Callable[[Project], None]) -> None:
    rewrite(work)
    follow(work, *told(work, "is no ancestor of HEAD"))
    passes(work)


def test_a_moved_folder_needs_no_remedy_nor_does_a_merge_of_main(work: Project) -> None:
    work.run("git", "merge", "-q", "--no-edit", "main")
    follow(work, "make repro")
    assert work.run("git", "status", "--porcelain").stdout == ""
    passes(work)


@thorough
def test_uncommitted_inputs(work: Project) -> None:
    edit(work, "params.yaml", "n_estimators: 20", "n_estimators: 21")
    follow(work, "make repro")
    remedies = told(work, "uncommitted changes")
    work.commit("Inputs, and what was made of them")
    follow(work, *remedies)
    passes(work)


@thorough
def test_raw_data_that_was_edited(work: Project) -> None:
    sorted((work.path / "data/raw").glob("*.parquet"))[0].unlink()
    versioned = told(work, "is not what data/raw.dvc says")
    made = told(work, "raw files are not those of the manifest")
    follow(work, *versioned)
    work.commit("Data")
    follow(work, *made)
    passes(work)


def test_code_that_was_not_run(work: Project) -> None:
    (work.path / "src/project/words.py").write_text('"""Words."""\n', encoding="utf-8")
    work.commit("Words")
    follow(work, *told(work, "what it is computed with"))
    passes(work)


@pytest.mark.parametrize("committed", some([False, True], every=2))
def test_a_lock_that_is_cut_off(work: Project, committed: bool) -> None:
    lock = work.path / "dvc.lock"
    whole = lock.read_text(encoding="utf-8")
    lock.write_text(whole[: whole.rindex(": ")])
    if committed:
        work.commit("Half of it")
    remedies = told(work, "dvc.lock")
    assert refused(work)[1] == remedies
    follow(work, *remedies)
    passes(work)


def test_a_shallow_clone(work: Project, tmp_path: Path) -> None:
    work.run("git", "commit", "-q", "--allow-empty", "-m", "One more")
    clone = tmp_path / "clone"
    url = work.path.resolve().as_uri()
    work.run("git", "clone", "-q", "--depth=1", "--no-single-branch", url, str(clone))
    shallow = sharing(clone, tmp_path)
    cache = str(work.path / ".dvc/cache")
    shallow.run("dvc", "config", "--local", "cache.dir", cache)
    shallow.run("dvc", "checkout", "--quiet")
    follow(shallow, *told(shallow, "is no ancestor of HEAD", "origin/main"))
    passes(shallow, "origin/main")


@thorough
def test_a_project_inside_a_larger_repository(work: Project, tmp_path: Path) -> None:
    top = tmp_path / "company"
    inside = top / "models/churn"
    shutil.copytree(work.path, inside, symlinks=True)
    shutil.rmtree(inside / ".git")
    project = sharing(inside, tmp_path)
    project.run("git", "init", "-q", "-b", "main", str(top))
    project.commit("Everything")
    project.run("git", "checkout", "-q", "-b", "work")
    follow(project, *told(project, "is no ancestor of HEAD"))
    passes(project)
    project.run("dvc", "push", "-q")
    assert "production declares" in project.run("mlops", "promote").stdout


def refused(project: Project) -> tuple[str, list[str]]:
    """Have a promotion refused; return what was printed and the commands that it names."""
    done = project.run("mlops", "promote", check=False)
    assert done.returncode == 2, done.stdout
    return done.stdout, re.findall(r"`([^`]+)`", done.stdout)


@thorough
def test_the_champion_changed_meanwhile(work: Project) -> None:
    passes(work)
    work.run("git", "checkout", "-q", "-b", "faster", "main")
    edit(work, "params.yaml", "n_estimators: {lightgbm: 170}", "n_estimators: 30")
    work.commit("More trees")
    follow(work, "make repro")
    passes(work)
    work.run("mlops", "promote")
    work.run("git", "checkout", "-q", "main")
    work.run("git", "merge", "-q", "--no-edit", "faster")
    work.run("git", "checkout", "-q", "work")
    work.run("dvc", "checkout", "-q")
    printed, commands = refused(work)
    assert "main has promoted since" in printed
    merge, make, judge = commands
    work.run(*merge.split(), check=False)
    # The experiment is its authors' to decide; what the pipeline wrote is made again.
    work.run("git", "checkout", "--ours", "params.yaml", "dvc.lock", "resolved.yaml", "reports")
    follow(work, make)
    work.commit("Merge main")
    follow(work, judge)
    assert "production declares" in work.run("mlops", "promote").stdout


@thorough
def test_configuration_that_was_not_run_and_a_report_of_another_bundle(work: Project) -> None:
    passes(work)
    kept = work.path.parent / "report"
    shutil.copytree(work.path / "reports/gate", kept)
    edit(work, "params.yaml", "n_estimators: 20", "n_estimators: 23")
    work.commit("More trees")
    follow(work, *told(work, "conf/ or params.yaml changed"))
    work.commit("Candidate")
    shutil.copytree(kept, work.path / "reports/gate", dirs_exist_ok=True)
    printed, commands = refused(work)
    assert "judged another candidate" in printed
    follow(work, *commands)
    assert "production declares" in work.run("mlops", "promote").stdout


def test_a_candidate_that_was_edited(work: Project) -> None:
    (work.path / "candidate/card.md").write_text("Better\n", encoding="utf-8")
    follow(work, told(work, "not what its manifest says")[0])
    passes(work)


def test_a_base_that_is_not_there(work: Project) -> None:
    """Without a remote that is main; with one, nothing is taken in the place of its main."""
    shell = Project(work.path, {k: v for k, v in work.environment.items() if k != "AGAINST"})
    show = (*MAKE, "--eval", "show: ; @echo judged against $$AGAINST", "show")
    assert "judged against main\n" in shell.run(*show).stdout
    shell.run("git", "remote", "add", "origin", "../nowhere")
    assert "judged against origin/main\n" in shell.run(*show).stdout
    done = shell.run(*MAKE, "gate", check=False)
    assert "git knows no origin/main to judge against" in done.stdout
    assert "fatal" not in done.stdout
    _, remedy = re.findall(r"`([^`]+)`", done.stdout)
    follow(shell, remedy)
    assert (work.path / "reports/gate/gate.json").is_file()
