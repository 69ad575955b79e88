"""What differs from main is named, and repaired; main itself is never touched."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from mlflow import MlflowClient
from sweeps import some, thorough

from mlops.release.branch import made, move
from mlops.release.deployment import deployed

# MLflow calls what its own dependencies have deprecated.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("tracked")]


def lose_image(yard: Any) -> None:
    shutil.rmtree(yard.engine / "registry")


def lose_both_images(yard: Any) -> None:
    shutil.rmtree(yard.engine / "registry")
    shutil.rmtree(yard.engine / "images")


def lose_alias(yard: Any) -> None:
    client = MlflowClient(f"sqlite:///{yard.root}/mlflow.db")
    client.delete_registered_model_alias("demo", "champion")


def lose_model(yard: Any) -> None:
    client = MlflowClient(f"sqlite:///{yard.root}/mlflow.db")
    client.delete_registered_model("demo")


def lose_branch(yard: Any) -> None:
    told = ["git", "-C", str(yard.remote), "update-ref", "-d", "refs/heads/env/production"]
    subprocess.run(told, check=True)


def write(yard: Any, path: str, text: str) -> None:
    """Write to the branch as somebody does by hand."""
    now = deployed(yard.repository, "production")
    assert now is not None
    new = made(yard.repository, {**now.entries, path: text}, "by hand", "HEAD", now.commit)
    move(yard.repository, "env/production", new, now.commit)


def break_record(yard: Any) -> None:
    write(yard, "release.json", "{")


def edit_record(yard: Any) -> None:
    write(yard, "release.json", json.dumps({**yard.record(), "model": "0" * 64}))


def edit_image(yard: Any) -> None:
    write(yard, ".env", "IMAGE=docker.io/library/other\n")


HARMS = [
    (lose_image, "not there, declared is in the registry"),
    (lose_both_images, "not there, declared is in the registry"),
    (lose_alias, "MLflow alias demo@champion is nothing"),
    (lose_model, "MLflow alias demo@champion is nothing"),
    (lose_branch, "branch env/production is nothing"),
    (break_record, "branch env/production is no record of a release"),
    (edit_record, "branch env/production is 000000000000"),
    (edit_image, "branch env/production is others"),
]


@pytest.mark.parametrize(("harm", "named"), some(HARMS, 3))
def test_named_then_repaired(
    yard: Any, harm: Any, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert yard.release() == 0
    main, before = yard.workshop.git("rev-parse", "main"), yard.record()
    harm(yard)
    capsys.readouterr()
    assert yard.workshop.mlops("reconcile", "--check") == 1
    told = capsys.readouterr()
    assert named in told.out
    assert "deploy" not in told.err  # which repaired nothing
    assert yard.workshop.mlops("reconcile") == 0
    assert yard.workshop.mlops("reconcile", "--check") == 0
    after = yard.record()
    assert yard.alias() == after["model"] == before["model"]
    assert (after["digest"] == before["digest"]) == (harm is not lose_both_images)
    assert yard.workshop.git("rev-parse", "main") == main


def test_a_branch_of_what_nobody_declares_is_named_and_left(
    yard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert yard.release() == 0
    line = yard.line()
    yard.workshop.git("rm", "-rq", "deploy/production")
    yard.workshop.commit("No more")
    yard.push()
    assert yard.workshop.mlops("reconcile") == 1
    assert "declared is nothing" in capsys.readouterr().out
    assert yard.line() == line


@thorough
def test_an_old_checkout_repairs_nothing(yard: Any, capsys: pytest.CaptureFixture[str]) -> None:
    older = yard.workshop.git("rev-parse", "HEAD")
    yard.workshop.released("good")
    assert yard.release() == 0
    assert yard.workshop.mlops("reconcile", "--commit", older) == 2
    assert "a later commit" in capsys.readouterr().err
    assert yard.alias() == yard.workshop.bundle_digest("good")
