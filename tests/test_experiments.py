"""Experiments in a generated project behave as users of DVC expect."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from baked import Project
from sweeps import some, thorough


def stages(printed: str) -> list[str]:
    """Return the stages that a run of the pipeline ran."""
    return re.findall(r"Running stage '(\w+)'", printed)


def edit(project: Project, path: str, old: str, new: str) -> None:
    """Replace one text in a file of the project."""
    file = project.path / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def digest(project: Project) -> str:
    """Return the digest of the candidate's predictions on the holdout."""
    manifest = json.loads((project.path / "candidate/manifest.json").read_text(encoding="utf-8"))
    return str(manifest["holdout"]["predictions"])


def test_nothing_to_do(candidate: Project) -> None:
    assert stages(candidate.run("dvc", "repro").stdout) == []
    assert candidate.run("git", "status", "--porcelain").stdout == ""


def test_a_change_reruns_what_depends_on_it(candidate: Project) -> None:
    edit(candidate, "conf/evaluation/standard.yaml", "resamples: 500", "resamples: 100")
    assert stages(candidate.run("dvc", "repro").stdout) == [
        "resolve",
        "evaluate",
        "bundle",
        "track",
    ]


def test_a_choice_that_is_not_used_reruns_the_composition_alone(candidate: Project) -> None:
    edit(candidate, "conf/model/logistic.yaml", "C: 1.0", "C: 2.0")
    assert stages(candidate.run("dvc", "repro").stdout) == ["resolve"]


def test_where_work_runs_is_no_change(candidate: Project) -> None:
    """Neither the choice nor what it says; of an experiment's change DVC sees as much as before."""
    edit(candidate, "pyproject.toml", "[tool.mlops]\n", '[tool.mlops]\ncompute = "here"\n')
    (candidate.path / "conf/compute/here.yaml").write_text("{backend: local, workers: 3}\n")
    chosen = Project(candidate.path, {**candidate.environment, "MLOPS_COMPUTE_WORKERS": "2"})
    told = chosen.run("dvc", "status").stdout
    assert "up to date" in told
    assert stages(chosen.run("dvc", "repro").stdout) == []
    before = (candidate.path / "candidate/manifest.json").read_bytes()
    chosen.run("dvc", "repro", "--force", "--single-item", "bundle")
    assert (candidate.path / "candidate/manifest.json").read_bytes() == before
    (candidate.path / "conf/compute/here.yaml").unlink()
    refused = candidate.run("mlops", "train", check=False)
    assert refused.returncode == 2
    assert "conf/compute/here.yaml is missing: write it, or choose" in refused.stdout
    edit(candidate, "conf/model/logistic.yaml", "C: 1.0", "C: 2.0")
    assert "resolve" in candidate.run("dvc", "status").stdout


@thorough
def test_every_stage_runs_again_with_the_same_predictions(candidate: Project) -> None:
    before = digest(candidate)
    printed = candidate.run("dvc", "repro", "--force").stdout
    assert len(stages(printed)) == 6
    assert digest(candidate) == before


def remark(project: Project, path: str) -> None:
    """Add a comment to a file, which says nothing to the machine."""
    with (project.path / path).open("a", encoding="utf-8") as file:
        file.write("\n# Another remark.\n")


def identity(project: Project) -> bytes:
    """Return what names the candidate."""
    return (project.path / "candidate/manifest.json").read_bytes()


def test_what_computes_no_model_makes_no_candidate(candidate: Project) -> None:
    before = identity(candidate)
    for path in ("serving/server.py", "gate/judge.py", "cli/table.py", "data/simulation.py"):
        remark(candidate, f"engine/src/mlops/{path}")
    remark(candidate, "dvc.yaml")
    (candidate.path / "engine/docs/gate.md").write_text("Nothing\n", encoding="utf-8")
    edit(candidate, "conf/gate/standard.yaml", "resamples: 1000", "resamples: 200")
    (candidate.path / "conf/serving/standard.yaml").write_text("{}\n", encoding="utf-8")
    assert set(stages(candidate.run("dvc", "repro").stdout)) <= {"resolve"}
    candidate.run("dvc", "repro", "--force", "--single-item", "bundle")
    assert identity(candidate) == before  # nor does it count as uncommitted


@pytest.mark.parametrize(
    "path",
    some(
        [
            "engine/src/mlops/data/splitting.py",
            "engine/src/mlops/bundle/card.py",
            "src/project/features.py",
            "src/policy/metrics.py",
        ],
        every=4,
    ),
)
def test_what_computes_a_model_makes_another(candidate: Project, path: str) -> None:
    before = identity(candidate)
    remark(candidate, path)
    assert "bundle" in stages(candidate.run("dvc", "repro").stdout)
    assert identity(candidate) != before


@thorough
def test_a_file_that_no_stage_declares_is_refused(candidate: Project) -> None:
    (candidate.path / "src/project/words.py").write_text("FACTOR = 2\n", encoding="utf-8")
    with (candidate.path / "src/project/features.py").open("a", encoding="utf-8") as file:
        file.write("\nfrom project import words\n")
    done = candidate.run("dvc", "repro", check=False)
    assert done.returncode
    assert "the stage resolve ran src/project/words.py" in done.stdout
    text = (candidate.path / "dvc.yaml").read_text(encoding="utf-8")
    named = "      - src/project/features.py\n"
    wider = text.replace(named, named + "      - src/project/words.py\n")
    (candidate.path / "dvc.yaml").write_text(wider, encoding="utf-8")
    assert stages(candidate.run("dvc", "repro").stdout)[-1] == "track"


def watched(project: Project) -> Path:
    """Have the features of a project note the file that they were imported from; return where."""
    log = project.path.parent / "imported.txt"
    with (project.path / "src/project/features.py").open("a", encoding="utf-8") as file:
        file.write(f'\nwith open({str(log)!r}, "a") as log:\n    log.write(__file__ + "\\n")\n')
    return log


@thorough
@pytest.mark.parametrize("how", ["--queue", "--temp"])
def test_an_experiment_elsewhere_runs_the_code_of_its_copy(candidate: Project, how: str) -> None:
    log = watched(candidate)
    candidate.run("dvc", "exp", "run", how, "-S", "model.n_estimators=10")
    if how == "--queue":
        candidate.run("git", "checkout", "src")
        candidate.run("dvc", "exp", "run", "--run-all")
    files = set(log.read_text(encoding="utf-8").split())
    assert files
    assert all(Path(file).is_relative_to(candidate.path / ".dvc/tmp/exps") for file in files)


@thorough
@pytest.mark.parametrize("how", ["work tree", "second project"])
def test_another_folder_runs_its_own_code(candidate: Project, how: str) -> None:
    place = candidate.path.parent / "other" / "elsewhere"
    if how == "work tree":
        candidate.run("git", "worktree", "add", "-q", "-b", "other", str(place))
    else:
        shutil.copytree(candidate.path, place, symlinks=True)
    other = Project(place, candidate.environment)  # the first project's stays active
    other.run("dvc", "config", "--local", "cache.dir", str(candidate.path / ".dvc/cache"))
    other.run("dvc", "checkout", "--quiet")
    log = watched(other)
    other.run("dvc", "repro", "train")
    assert set(log.read_text("utf-8").split()) == {str(place / "src/project/features.py")}
    log.unlink()
    candidate.run("mlops", "evaluate")
    assert not log.exists()


def lone(project: Project) -> Project:
    """Return the project with an environment of its own, of which nothing is on the PATH."""
    own = project.path / ".venv/bin"
    own.mkdir(parents=True)
    shutil.copy2(project.path.parent / "bin/mlops", own)
    found = {name: shutil.which(name) for name in ("git", "sh")}
    places = [str(Path(path).parent) for path in found.values() if path]
    environment = {**project.environment, "PATH": os.pathsep.join(places)}
    assert shutil.which("mlops", path=environment["PATH"]) is None
    return Project(project.path, environment)


DVC = str(Path(sys.executable).with_name("dvc"))


@thorough
def test_stages_find_their_environment_where_it_is_not_active(candidate: Project) -> None:
    project = lone(candidate)
    assert stages(project.run(DVC, "repro", "--force", "prepare").stdout) == ["resolve", "prepare"]
    project.run(DVC, "exp", "run", "--temp", "-S", "model.n_estimators=5", "resolve")
    mlops = project.path / ".venv/bin/mlops"
    text = mlops.read_text(encoding="utf-8")
    mlops.write_text(f"#!/gone/bin/python\n{text.partition(chr(10))[2]}")  # as in a moved folder
    done = project.run(DVC, "repro", "--force", "resolve", check=False)
    assert done.returncode
    assert "engine/run: there is no mlops in" in done.stdout
    assert "run `make setup`" in done.stdout


@thorough
def test_another_model(candidate: Project) -> None:
    candidate.run("dvc", "exp", "run", "-S", "model.use=forest", "resolve")
    assert "RandomForest" in (candidate.path / "resolved.yaml").read_text(encoding="utf-8")
    candidate.run("dvc", "exp", "run", "-S", "model.use=logistic", "-S", "gate.use=strict")
    settings = yaml.safe_load((candidate.path / "resolved.yaml").read_text(encoding="utf-8"))
    assert settings["model"]["max_iter"] == 500  # its own, not that of the choice before
    assert "LogisticRegression" in settings["model"]["_target_"]
    assert "logistic" in candidate.run("dvc", "params", "diff").stdout
    assert "roc_auc" in candidate.run("dvc", "metrics", "diff").stdout


@thorough
def test_a_sweep(candidate: Project) -> None:
    sweep = "model.n_estimators=10,20"
    candidate.run("dvc", "exp", "run", "-S", sweep, "--queue")
    candidate.run("dvc", "exp", "run", "--run-all")
    shown = candidate.run("dvc", "exp", "show", "--csv", "--hide-workspace").stdout
    names = candidate.run("dvc", "exp", "list", "--name-only").stdout.split()
    assert len(names) == 2
    assert all(name in shown for name in names)
    candidate.run("dvc", "exp", "apply", names[0])
    settings = yaml.safe_load((candidate.path / "resolved.yaml").read_text(encoding="utf-8"))
    assert settings["model"]["n_estimators"] in (10, 20)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("use: lightgbm", "use: lihgtgbm", ["params.yaml", "model.use", "lightgbm", "logistic"]),
        ("n_estimators: {lightgbm: 170}", "n_estimator: 9", ["model.n_estimator", "n_estimators"]),
        ("n_estimators: {lightgbm: 170}", "n_estimators: many", ["model.n_estimators", "170"]),
        ("model:", "modle:", ["params.yaml", "modle", "model"]),
        ("model:", "model: [", ["params.yaml", "YAML"]),
    ],
)
def test_a_slip_is_named(candidate: Project, old: str, new: str, said: list[str]) -> None:
    resolved = (candidate.path / "resolved.yaml").read_bytes()
    edit(candidate, "params.yaml", old, new)
    done = candidate.run("mlops", "resolve", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout
    assert all(word in done.stdout for word in said), done.stdout
    assert (candidate.path / "resolved.yaml").read_bytes() == resolved


@pytest.mark.parametrize("stage", some(["train", "prepare", "bundle"], every=3))
def test_a_killed_run_ends_as_a_clean_one(candidate: Project, stage: str) -> None:
    before = digest(candidate)
    with subprocess.Popen(
        ["dvc", "repro", "--force"],
        cwd=candidate.path,
        env=dict(candidate.environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert any(f"> sh engine/run mlops {stage}" in line for line in running.stdout)
        # With the stage that it runs: an orphan would still be writing beside the next run.
        os.killpg(running.pid, signal.SIGKILL)
    candidate.run("mlops", "mend")  # as `make repro` does first: DVC may have nothing to run
    assert not list(candidate.path.rglob("*.tmp"))
    candidate.run("dvc", "repro")
    assert digest(candidate) == before
    assert not list(candidate.path.rglob("*.tmp"))
    assert candidate.run("git", "status", "--porcelain").stdout == ""


@thorough
def test_a_table_of_ones_own(candidate: Project) -> None:
    draw = random.Random(0)
    days = [draw.uniform(0, 10) for _ in range(400)]
    rows = [
        f"{n},{day:.2f},{'yes' if day > draw.gauss(6, 2) else 'no'}" for n, day in enumerate(days)
    ]
    (candidate.path / "mine.csv").write_text("id,days,late\n" + "\n".join(rows) + "\n")
    candidate.run("mlops", "adopt", "mine.csv", "--target", "late")
    candidate.run("dvc", "repro")
    candidate.run("mlops", "predict", "mine.csv", "--out", "scored.csv")
    assert len((candidate.path / "scored.csv").read_text().splitlines()) == 401
    assert "commit" in candidate.run("mlops", "lineage").stdout
