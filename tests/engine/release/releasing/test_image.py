"""An image is named after what it is made from, and made from nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops.release import image
from mlops.release.image import ImageError

MODEL = "b" * 64


@pytest.fixture
def tag(yard: Any) -> Any:
    def tag(bundle_digest: str = MODEL, runtime: str = "onnx", base: str | None = None) -> str:
        return image.describe(
            yard.repository, "HEAD", "host/demo", bundle_digest, runtime, base
        ).tag

    return tag


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("engine/src/mlops/serving/batch.py", True),
        ("requirements/serve.txt", True),
        ("deploy/Dockerfile", True),
        (".dockerignore", True),
        ("requirements/serve-skops.txt", False),
        ("requirements/ship.txt", False),
        ("requirements/batch.txt", False),
        ("requirements/train.txt", False),
        ("engine/src/mlops/training/fitting.py", False),
        ("deploy/compose.yaml", False),
    ],
)
def test_the_tag_follows_what_is_in_the_image(
    yard: Any, tag: Any, path: str, changes: bool
) -> None:
    before = tag()
    yard.workshop.write(path, (yard.root / path).read_text() + "\n# more\n")
    assert tag() == before  # what is not committed is not released
    yard.workshop.commit("more")
    assert (tag() != before) == changes


@pytest.fixture
def imported(yard: Any, tmp_path: Path) -> Any:
    """Import modules where nothing of the project is but what an image has."""
    image.context(yard.repository, "HEAD", yard.root / "trained/middle", tmp_path / "context")

    def run(modules: str) -> subprocess.CompletedProcess[str]:
        code = f"import sys; sys.path[:0] = ['engine/src', 'src']; import {modules}"
        command = [sys.executable, "-P", "-c", code]
        place = tmp_path / "context"
        return subprocess.run(command, cwd=place, env={}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("verb", ["serving.server", "serving.batch", "serving.recording.shipping"])
def test_what_an_image_runs_needs_nothing_that_it_lacks(imported: Any, verb: str) -> None:
    """The server, `predict` and `ship`; what they do there, tests of containers say."""
    done = imported(f"mlops.{verb}, mlops.cli, mlops.views.partitions")
    assert done.returncode == 0, done.stderr


def test_what_needs_git_would_not_start_there(imported: Any) -> None:
    assert "No module named 'mlops.git'" in imported("mlops.git.repository").stderr


def test_the_tag_follows_model_runtime_and_base(tag: Any) -> None:
    tags = {tag(), tag(bundle_digest="d" * 64), tag(runtime="skops"), tag(base="other:1")}
    assert len(tags) == 4
    assert tag().startswith(MODEL[:12])


def test_the_context_holds_the_recipe_and_the_bundle(yard: Any, tmp_path: Path) -> None:
    bundle = yard.root / "trained/middle"
    image.context(yard.repository, "HEAD", bundle, tmp_path / "context")
    names = {p.relative_to(tmp_path / "context").as_posix() for p in tmp_path.rglob("context/**/*")}
    assert {
        "deploy/Dockerfile",
        "bundle/manifest.json",
        "engine/src/mlops/cli/__init__.py",
    } <= names
    assert not {name for name in names if "training" in name.split("/")}
    assert "requirements/train.txt" not in names


def test_the_base_is_pinned_by_digest(yard: Any) -> None:
    name, _, digest = image.base(yard.repository, "HEAD").partition("@")
    assert name.startswith("python:")
    assert len(digest) == len("sha256:") + 64


def test_a_commit_that_says_nothing_of_images(yard: Any) -> None:
    for path in ("deploy/Dockerfile", ".dockerignore"):
        (yard.root / path).unlink()
    shutil.rmtree(yard.root / "requirements")
    yard.workshop.commit("none")
    with pytest.raises(ImageError, match="FROM … AS python"):
        image.base(yard.repository, "HEAD")
    with pytest.raises(ImageError, match="make lock"):
        image.lock(yard.repository, "HEAD", "onnx")
    with pytest.raises(ImageError, match="what an image is made from"):
        image.describe(yard.repository, "HEAD", "host/demo", MODEL, "onnx", None)
    with pytest.raises(ImageError, match="names no image"):
        image.describe(yard.repository, "HEAD", "", MODEL, "onnx", None)
