"""The tutorial, walked block by block: from a clone of the template to a release that is undone."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import engine
import pytest
from baked import ROOT, Project, clean_environment, sharing
from sweeps import thorough
from walking import blocks, pipx, walk

WALKED = ROOT / "build/tutorial"  # what `make pictures` draws
REGISTRY, PORT = "localhost:5000", "8000"
DOCKER = '#!/bin/sh\n# The registry runs already; everything else is podman\'s.\ntest "$1" = run\n'


@thorough
def test_the_tutorial_works(template: Path, tmp_path: Path, isolated: Path) -> None:
    if reason := engine.lacking():
        assert not os.environ.get(engine.REQUIRED), reason
        pytest.skip(f"no container engine: {reason}")
    clone, project = tmp_path / "cookiecutter-gitops-mlops", tmp_path / "tumours"
    Project(tmp_path, clean_environment(tmp_path / "home")).run(
        "git", "clone", "--quiet", str(template), str(clone)
    )
    shared = sharing(project, tmp_path).environment
    place = pipx(tmp_path, isolated, project)
    (place / "docker").write_text(DOCKER)
    (place / "docker").chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    containers = engine.prepare(ROOT / "build/engine", tmp_path)
    environment = {**shared, **containers, "PATH": f"{place}:{shared['PATH']}"}
    text = (clone / "docs/tutorial.md").read_text(encoding="utf-8")
    with engine.registry(tmp_path) as address:
        told = [
            block.replace(REGISTRY, address).replace(PORT, port) for block in blocks(text, "sh")
        ]
        said = walk(told, clone, environment)
    first, second, third = released(tmp_path / "tumours.git")
    assert first != second
    assert third == first
    assert "Serve the first model" in said or "production" in said
    shutil.rmtree(WALKED, ignore_errors=True)
    shutil.copytree(project, WALKED / project.name, symlinks=True)


def released(remote: Path) -> list[str]:
    """Return the images that production ran, by digest, the oldest first."""

    def git(*arguments: str) -> str:
        told = ["git", "-C", str(remote), *arguments]
        return subprocess.run(told, check=True, text=True, capture_output=True).stdout

    commits = git("rev-list", "--reverse", "env/production").split()
    return [json.loads(git("show", f"{commit}:release.json"))["digest"] for commit in commits]
