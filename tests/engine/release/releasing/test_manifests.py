"""What kustomize makes of the branch of an environment runs the image of the release."""

import subprocess
from pathlib import Path
from typing import Any

from linting import kustomized

from mlops.release import deployment
from mlops.release.image import Image

DIGEST = f"sha256:{'a' * 64}"
PINNED = f"registry.invalid/acme/demo@{DIGEST}"
IMAGE = Image("registry.invalid/acme/demo", "b" * 64, "c" * 64, {})


def followed(yard: Any, place: Path) -> Path:
    """Return the manifests of the branch, checked out as a deployer does."""
    commit = yard.workshop.git("rev-parse", "HEAD")
    deployment.deploy(
        yard.repository, deployment.record(commit, "production", "churn", IMAGE, DIGEST)
    )
    cloning = ("git", "clone", "-q", "--branch", "env/production", yard.remote, place)
    subprocess.run(cloning, check=True)
    return place / deployment.KUBERNETES


def test_the_server_is_that_of_the_release_by_digest(yard: Any, tmp_path: Path) -> None:
    with (yard.root / "deploy/kubernetes/kustomization.yaml").open("a") as file:
        file.write("components: [batch, autoscaling, shipping]\n")
    yard.workshop.commit("Components")
    folder = followed(yard, tmp_path / "followed")
    objects = {one["kind"]: one for one in kustomized(folder)}
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert [one["image"] for one in pod["containers"]] == [PINNED]
    assert [one["image"] for one in pod["initContainers"]] == ["registry.invalid/ship:latest"]
    assert "HorizontalPodAutoscaler" in objects
    (service,) = kustomized(folder / "kserve")
    assert [one["image"] for one in service["spec"]["predictor"]["containers"]] == [PINNED]
