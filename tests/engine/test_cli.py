"""The command line speaks in sentences and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.cli import main, parser
from mlops.cli.place import ANYWHERE, PlaceError, check
from mlops.cli.prediction import _tell_another
from mlops.git.dvc import dvc_digest

STAGES = ["resolve", "prepare", "train", "evaluate", "bundle", "track"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def verbs() -> dict[str, str]:
    """Return every verb with its help."""
    [group] = [a for a in parser()._actions if a.dest == "verb"]
    return {choice.dest: choice.help or "" for choice in group._choices_actions}  # type: ignore[attr-defined]


def test_every_verb_has_help() -> None:
    assert set(STAGES) < set(verbs())
    assert all(len(text) > 10 for text in verbs().values())


@pytest.mark.parametrize("verb", STAGES)
def test_a_stage_in_the_wrong_folder_says_where_to_run(verb: str, tmp_path: Path) -> None:
    done = run(tmp_path, verb)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "root folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adopt", "absent.csv", "--target", "y"], "root folder"),
        (["predict", "absent.csv", "--out", "o.csv"], "root folder, or name a bundle"),
        (["serve"], "root folder, or name a bundle"),
        (["serve", "--bundle", "nowhere"], "nowhere is no bundle"),
        (["monitor", "--log", "log"], "root folder)"),
        (["diff", "main:production", "candidate"], "root folder"),
        (["lineage", "nowhere"], "nowhere is no bundle"),
        (["sample", "--rows", "0"], "must be at least 1"),
        (["sample", "--rows", "many"], "invalid"),
        (["fly"], "invalid choice"),
        ([], "VERB"),
    ],
)
def test_a_wrong_call_is_refused_without_a_traceback(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


NEEDED = {  # what a verb does not run without
    "alerts": ["report.json"],
    "actions": ["--log", "log"],
    "adopt": ["a.csv", "--target", "y"],
    "counterfactual": ["--log", "log", "--policy", "threshold:0.5"],
    "data": ["diff"],
    "diff": ["main:production", "candidate"],
    "experiment": ["advance", "--log", "log"],
    "features": ["list"],
    "feedback": ["a.csv", "--log", "log"],
    "fetch": ["--against", "main"],
    "forget": ["key"],
    "gate": ["--against", "main"],
    "impact": ["--log", "log"],
    "predict": ["a.csv", "--out", "b.csv"],
    "proposal": ["--against", "main", "--since", "main"],
    "replay-experiment": ["--champion", "x", "--log", "log", "--since", "2026-01-01"],
    "verify": ["--against", "main"],
}


def test_every_verb_that_needs_a_project_says_so_and_its_remedy_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_text("{}\n")
    (tmp_path / "conf/data sets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "conf/data sets")
    monkeypatch.delenv("MLOPS_BUNDLE", raising=False)
    for verb in sorted(set(verbs()) - ANYWHERE):
        assert main([verb, *NEEDED.get(verb, [])]) == 2, verb
        told = capsys.readouterr().err
        assert told.count("\n") == 1, told
        assert "run this in a project's root folder (`cd ../..`)" in told, told
    assert list(Path().iterdir()) == []
    monkeypatch.chdir("../..")
    assert main(["history"]) == 2
    assert "root folder" not in capsys.readouterr().err


def test_what_names_its_bundle_needs_no_project(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = str(trained / "candidate")
    [table, *_] = sorted((trained / "data/raw").iterdir())
    assert main(["predict", str(table), "--out", "o.csv", "--bundle", bundle]) == 0
    assert main(["diff", bundle, bundle]) == 0
    assert main(["gate", "--explain"]) == 0
    capsys.readouterr()
    serving = parser().parse_args(["serve"])
    check(serving, {"MLOPS_BUNDLE": "/app/bundle"})
    with pytest.raises(PlaceError):
        check(serving, {"MLOPS_BUNDLE": ""})
    Path("candidate").symlink_to(bundle)
    check(serving, {})


def test_lineage_is_printed_as_yaml(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lineage", str(trained / "candidate")]) == 0
    printed = capsys.readouterr().out
    assert "bundle: " in printed
    assert "commit: null" in printed


def test_a_closed_pipe_is_no_error(trained: Path) -> None:
    command = f"{sys.executable} -m mlops.cli lineage {trained}/candidate | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("bundle: ")


def test_a_candidate_of_another_commit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    candidate = Path("candidate")
    candidate.mkdir()
    (candidate / "model.onnx").write_text("this branch's")
    out = {"path": "candidate", "md5": dvc_digest(candidate)}
    lock = {"schema": "2.0", "stages": {"bundle": {"outs": [out]}}}
    _tell_another(candidate)  # as in an image, which has no dvc.lock
    Path("dvc.lock").write_text(json.dumps(lock))
    _tell_another(candidate)
    assert capsys.readouterr().err == ""
    (candidate / "model.onnx").write_text("another's")
    _tell_another(candidate)
    assert "`dvc checkout` brings that one" in capsys.readouterr().err
    _tell_another(Path("deploy/production/champion"))
    monkeypatch.setenv("DVC_STAGE", "scores")
    _tell_another(candidate)
    assert capsys.readouterr().err == ""
