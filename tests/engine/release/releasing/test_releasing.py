"""A release that fails or is killed leaves what was declared; run again, it is done."""

import json
from pathlib import Path
from typing import Any

import pytest
from sweeps import some, thorough

# MLflow calls what its own dependencies have deprecated.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("tracked")]

# Where a release has just not done something, or just done it.
KILLS = [
    ("mlops.release.environments:verify", "after"),
    ("mlops.release.containers:Engine.build", "before"),
    ("mlops.release.containers:Engine.build", "after"),
    ("mlops.release.containers:Engine.ask", "before"),
    ("mlops.release.containers:Engine.push", "before"),
    ("mlops.release.containers:Engine.push", "after"),
    ("mlflow:MlflowClient.create_run", "before"),
    ("mlflow:MlflowClient.create_run", "after"),
    ("mlflow:MlflowClient.log_artifacts", "after"),
    ("mlflow:MlflowClient.create_model_version", "after"),
    ("mlflow:MlflowClient.set_registered_model_alias", "after"),
    ("mlops.release.branch:made", "after"),
    ("mlops.release.branch:move", "after"),
]


def check_released(yard: Any, which: str) -> None:
    """Branch, registry and MLflow agree on this bundle."""
    record = yard.record()
    assert record["model"] == yard.workshop.bundle_digest(which) == yard.alias()
    assert record["commit"] == yard.workshop.git("rev-parse", "HEAD")
    assert yard.branch(".env") == f"IMAGE={record['image']}@{record['digest']}\n"
    assert f"digest: {record['digest']}" in yard.branch("kubernetes/kustomization.yaml")


def test_first_release_and_nothing_after_it(yard: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert yard.release() == 0
    check_released(yard, "middle")
    assert yard.workshop.mlops("reconcile", "--check") == 0
    line, said = yard.line(), yard.record()
    assert yard.release() == 0
    assert (yard.line(), yard.record(), yard.builds(), yard.versions()) == (line, said, 1, 1)
    assert "is in the registry" in capsys.readouterr().err


@thorough  # the story has it with the workflows in every run
def test_a_better_model_and_its_revert_without_a_build(yard: Any) -> None:
    assert yard.release() == 0
    before = yard.record()
    yard.workshop.released("good")
    assert yard.release() == 0
    check_released(yard, "good")
    yard.workshop.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert yard.release() == 0
    check_released(yard, "middle")
    after = yard.record()
    assert {**after, "commit": before["commit"]} == before
    assert (yard.builds(), yard.versions(), len(yard.line())) == (2, 2, 3)


@thorough
@pytest.mark.parametrize(("call", "when"), some(KILLS, 6))
def test_killed_anywhere_it_converges(yard: Any, call: str, when: str) -> None:
    yard.killed(call, when)
    assert (yard.record() is None) == (call != "mlops.release.branch:move")
    assert yard.release() == 0
    check_released(yard, "middle")
    assert (yard.pushed(), yard.versions(), len(yard.line())) == (1, 1, 1)


@thorough
def test_killed_on_the_way_to_a_better_model_the_old_one_stays(yard: Any) -> None:
    assert yard.release() == 0
    before = yard.record()
    yard.workshop.released("good")
    yard.killed("mlops.release.branch:move", "before")
    assert yard.record() == before
    assert yard.release() == 0
    check_released(yard, "good")


@pytest.mark.parametrize("away", some(["podman", "skopeo"], every=2))
def test_engine_or_registry_away(
    yard: Any, away: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_AWAY", away)
    assert yard.release() == 2
    assert yard.record() is None
    (said,) = (li for li in capsys.readouterr().err.splitlines() if li.startswith("mlops release:"))
    if away == "skopeo":
        assert "the registry registry.invalid does not answer" in said
        assert "(connection refused): see that this machine reaches it" in said
        assert "`image` under [tool.mlops] in pyproject.toml" in said
    monkeypatch.delenv("STAND_IN_AWAY")
    assert yard.release() == 0
    assert "mlops release:" not in capsys.readouterr().err


@thorough
def test_a_registry_that_pyproject_names_anew_is_followed_by_the_next_release(
    yard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a model that is declared already: gate and promote have nothing to do with it."""
    assert yard.release() == 0
    before = yard.record()
    text = (yard.root / "pyproject.toml").read_text()
    yard.workshop.write(
        "pyproject.toml", text.replace("registry.invalid/acme", "other.invalid/team")
    )
    yard.workshop.commit("Another registry")
    yard.push()
    assert yard.workshop.mlops("reconcile", "--check") == 1
    assert "image other.invalid/team/demo:" in capsys.readouterr().out
    yard.killed("mlops.release.branch:move", "before")  # pushed, not recorded yet
    assert yard.record() == before
    assert yard.release() == 0
    check_released(yard, "middle")
    assert yard.record()["image"] == "other.invalid/team/demo"
    yard.workshop.git("revert", "--no-edit", "HEAD")
    assert yard.release() == 0
    after = yard.record()
    assert {**after, "commit": before["commit"]} == before
    assert (yard.builds(), yard.versions(), yard.pushed()) == (2, 1, 2)


@pytest.mark.parametrize(
    ("says", "reason"),
    some(
        [
            ({"user": 0}, "runs as root"),
            ({"model": {"digest": "f" * 64}}, "it serves"),
            ({"status": 500, "answer": {"title": "broken"}}, "with 500"),
            ({"installed": [["Pip", "1.0"]]}, "locked and not installed"),
            ({"answer": {"model": "x", "predictions": []}}, "0 of 20 golden rows"),
        ],
        every=2,
    ),
)
def test_an_image_that_fails_its_smoke_test_is_never_pushed(
    yard: Any,
    says: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAND_IN_SAYS", json.dumps(says))
    assert yard.release() == 2
    assert reason in capsys.readouterr().err
    assert (yard.pushed(), yard.record()) == (0, None)


@thorough
def test_a_tag_that_was_moved_is_built_anew(yard: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And what is deployed and attested is what was built, not what the tag names meanwhile."""
    assert yard.release() == 0
    before = yard.record()
    (pushed,) = (yard.engine / "registry").iterdir()
    pushed.write_text(json.dumps({**json.loads(pushed.read_text()), "built": "elsewhere"}))
    assert yard.workshop.mlops("reconcile", "--check") == 1
    assert "was deployed under that tag, declared is" in capsys.readouterr().out
    assert yard.release() == 0
    assert "it is built anew" in capsys.readouterr().err
    check_released(yard, "middle")
    assert yard.record()["tag"] == before["tag"]
    assert json.loads(pushed.read_text())["built"] == "2"
    assert yard.workshop.mlops("reconcile", "--check") == 0


@thorough
def test_other_serving_code_is_another_image_and_other_training_code_is_not(yard: Any) -> None:
    assert yard.release() == 0
    first = yard.record()
    yard.workshop.write("engine/src/mlops/training/more.py", "")
    yard.workshop.commit("training")
    assert yard.release() == 0
    assert yard.record() == first
    yard.workshop.write("engine/src/mlops/serving/more.py", "")
    yard.workshop.commit("serving")
    assert yard.release() == 0
    second = yard.record()
    assert (second["model"], yard.builds()) == (first["model"], 2)
    assert second["tag"] != first["tag"]


def test_an_older_commit_does_not_undo_a_later_one(yard: Any) -> None:
    older = yard.workshop.git("rev-parse", "HEAD")
    yard.workshop.released("good")
    yard.workshop.git("push", "-q", "origin", "main")
    assert yard.release() == 0
    line = yard.line()
    assert yard.release("--commit", older) == 0
    assert yard.line() == line
    assert yard.alias() == yard.workshop.bundle_digest("good")


def test_a_merge_with_its_parents_the_wrong_way_round_is_not_released(
    yard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert yard.release() == 0
    before, git = yard.record(), yard.workshop.git
    main = git("rev-parse", "HEAD")
    git("checkout", "-q", "-b", "wrong", f"{main}^")
    yard.workshop.write("notes.md", "What else the branch brings\n")
    yard.workshop.commit("Notes")
    git("merge", "-q", "--no-edit", main)
    assert git("rev-parse", "HEAD^2") == main
    assert yard.release() == 2
    assert "by first parents: merge into main again" in capsys.readouterr().err
    assert yard.record() == before


def test_without_a_server_nothing_is_mirrored(
    yard: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = yard.versions()
    with monkeypatch.context() as automation:
        automation.setenv("MLFLOW_TRACKING_URI", "")
        assert yard.release() == 0
        assert yard.workshop.mlops("reconcile", "--check") == 0
    assert "MLFLOW_TRACKING_URI is empty" in capsys.readouterr().err
    assert yard.versions() == versions
    assert yard.workshop.mlops("reconcile", "--check") == 1


def test_what_automation_is_told(
    yard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert yard.release() == 0
    told = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    record = yard.record()
    assert {told[key] == record[key] for key in ("digest", "image", "tag", "model")} == {True}
    assert (told["built"], told["changed"], told["released"]) == ("true", "true", "true")
    bill = json.loads((yard.root / told["sbom"]).read_text())
    names = {part["name"] for part in bill["components"]}
    assert {"onnxruntime", "uvicorn", "churn"} <= names
    assert record["digest"] in (tmp_path / "summary").read_text()


def test_a_branch_is_not_released(yard: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With a policy of its own, against which its own commits judge."""
    yard.push()
    yard.workshop.git("checkout", "-q", "-b", "lax")
    yard.workshop.replace("conf/gate/standard.yaml", "at_least: 0.6", "at_least: 0.1")
    yard.workshop.commit("Whatever comes")
    assert yard.workshop.mlops("release") == 2
    assert "is not on main" in capsys.readouterr().err
    assert yard.workshop.mlops("reconcile") == 2
    assert yard.record() is None


def test_nothing_declared_nothing_released(yard: Any, capsys: pytest.CaptureFixture[str]) -> None:
    start = yard.workshop.git("rev-list", "--max-parents=0", "HEAD")
    yard.workshop.git("reset", "-q", "--hard", start)
    assert yard.release() == 0
    assert "nothing is declared" in capsys.readouterr().out
    assert yard.record() is None
