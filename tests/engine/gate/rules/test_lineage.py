"""Every digest of where a candidate came from is recomputed."""

import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml
from baked import SOURCE

from mlops.bundle.assembly import bundle
from mlops.bundle.lineage import PACKAGES, packages
from mlops.bundle.manifest import BundleError
from mlops.config.settings import load
from mlops.gate.case import Case
from mlops.gate.rule import Finding
from mlops.gate.rules.lineage import Lineage
from mlops.git import dvc

PROJECT = SOURCE
Make = Callable[..., Case]
Rejected = Callable[[list[Finding]], set[str]]


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def lock(root: Path) -> None:
    """Write a dvc.lock that pins what is there."""
    outs = [
        {"path": path, "hash": "md5", "md5": dvc.dvc_digest(root / path)}
        for path in ("data/prepared", "candidate")
    ]
    content = {"schema": "2.0", "stages": {"resolve": {"cmd": "x"}, "all": {"outs": outs}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(content))


def point(root: Path) -> None:
    """Write the pointer of the raw data that are there."""
    out = {"md5": dvc.dvc_digest(root / "data/raw"), "hash": "md5", "path": "raw"}
    (root / "data/raw.dvc").write_text(yaml.safe_dump({"outs": [out]}))


def rebuild(root: Path) -> None:
    with chdir(root):
        bundle(load())
    lock(root)


@pytest.fixture
def committed(project: Path) -> Path:
    """The project, committed, with a candidate made from the commit."""
    shutil.copy(PROJECT / "dvc.yaml", project / "dvc.yaml")
    point(project)
    (project / ".gitignore").write_text("/candidate\n/data/raw\n/data/prepared\n/model\n")
    pins = json.loads((project / "candidate/manifest.json").read_text())["lineage"]["packages"]
    text = "".join(f"{name}=={pins[name]} \\\n    --hash=sha256:0\n" for name in PACKAGES)
    (project / "requirements/train.txt").write_text(text)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "--all")
    git(project, "commit", "-q", "-m", "experiment")
    rebuild(project)
    return project


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("sklearn.ensemble.RandomForestClassifier", set()),
        ("project.estimators.Cautious", set()),
        ("lightgbm.LGBMRegressor", {"lightgbm"}),
        ("interpret.glassbox.ExplainableBoostingClassifier", {"interpret-core"}),
        ("elsewhere.Model", set()),
    ],
)
def test_the_package_of_the_estimator_is_recorded(target: str, more: set[str]) -> None:
    assert set(packages(target)) == {*PACKAGES, *more}


def test_what_the_lock_of_a_model_pins_is_locked(committed: Path, make: Make) -> None:
    path = committed / "requirements/train.txt"
    pins = path.read_text()
    path.write_text(pins.replace("numpy==", "other=="))
    path.with_stem("model-xgboost").write_text(pins)
    rebuild(committed)
    case = make()
    for lock, verdict in (("", "rejected"), ("model-xgboost@0", "passed")):
        model = msgspec.structs.replace(case.settings.model, lock=lock)
        settings = msgspec.structs.replace(case.settings, model=model)
        judged = Lineage().judge(replace(case, settings=settings))
        assert next(one for one in judged if one.part == "packages").verdict == verdict


def test_a_committed_candidate_passes(committed: Path, make: Make, rejected: Rejected) -> None:
    git(committed, "commit", "-q", "--allow-empty", "-m", "its results")
    findings = Lineage().judge(make())
    assert not rejected(findings)
    assert {one.verdict for one in findings} == {"passed"}
    assert [one.part for one in findings] == [
        "bundle",
        "tree",
        "commit",
        "code",
        "config",
        "composition",
        "bundled config",
        "environment",
        "packages",
        "data",
        "raw data",
        "candidate",
        "prepared rows",
    ]


def append(path: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with (root / path).open("ab") as stream:
            stream.write(b"\n# changed\n")

    return change


def other_parameters(root: Path) -> None:
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("max_iter: 20", "max_iter: 200"))


def another_history(root: Path) -> None:
    git(root, "commit", "-q", "--amend", "-m", "another")


def another_lock(root: Path) -> None:
    text = (root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(text.replace("path: candidate", "path: other"))


def another_bundle(root: Path) -> None:
    shutil.copytree(root / "candidate", root / "kept")
    append("src/project/features.py")(root)
    with chdir(root):
        bundle(load())


def uncommitted(root: Path) -> None:
    append("src/project/features.py")(root)
    rebuild(root)


def other_package(root: Path) -> None:
    path = root / "requirements/train.txt"
    path.write_text(path.read_text().replace("numpy==", "numpy==0"))
    rebuild(root)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (append("engine/src/mlops/contract.py"), {"code"}),
        (append("resolved.yaml"), {"config", "bundled config"}),
        (append("requirements/train.txt"), {"environment"}),
        (append("data/raw/2025-02.parquet"), {"data", "raw data"}),
        (lambda root: (root / "data/raw/2025-02.parquet").unlink(), {"data", "raw data"}),
        (append("data/raw/2025-09.parquet"), {"data", "raw data"}),
        (lambda root: (root / "data/raw.dvc").unlink(), {"raw data"}),
        (lambda root: (root / "data/raw.dvc").write_text("outs: []\n"), {"raw data"}),
        (other_parameters, {"composition"}),
        (append("data/prepared/summary.json"), {"prepared rows"}),
        (append("data/prepared/added"), {"prepared rows"}),
        (another_history, {"commit"}),
        (another_lock, {"candidate"}),
        (another_bundle, {"tree", "candidate"}),
        (uncommitted, {"tree"}),
        (other_package, {"tree", "packages"}),
    ],
)
def test_anything_that_changed_is_rejected(
    committed: Path,
    make: Make,
    rejected: Rejected,
    change: Callable[[Path], None],
    parts: set[str],
) -> None:
    change(committed)
    assert rejected(Lineage().judge(make())) == parts


def test_a_candidate_from_outside_git_is_rejected(
    project: Path, make: Make, rejected: Rejected
) -> None:
    lock(project)
    assert {"tree", "commit"} <= rejected(Lineage().judge(make()))


def test_a_file_that_changed_after_loading_is_not_passed(committed: Path, make: Make) -> None:
    case = make()
    append("candidate/card.md")(committed)
    with pytest.raises(BundleError, match=r"card\.md"):
        Lineage().judge(case)


def test_a_manifest_that_changed_after_loading_is_rejected(
    committed: Path, make: Make, rejected: Rejected
) -> None:
    case = make()
    manifest = committed / "candidate/manifest.json"
    manifest.write_text(manifest.read_text().replace('"clean": true', '"clean": false'))
    assert rejected(Lineage().judge(case)) == {"bundle"}


def test_a_package_that_the_lock_lacks_is_rejected(
    committed: Path, make: Make, rejected: Rejected
) -> None:
    path = committed / "requirements/train.txt"
    path.write_text(path.read_text().replace("numpy==", "other=="))
    rebuild(committed)
    findings = Lineage().judge(make())
    assert rejected(findings) == {"tree", "packages"}
    (reason,) = [one.reason for one in findings if one.part == "packages"]
    assert reason.startswith("not as locked: numpy ")


def test_what_composes_otherwise_is_named(committed: Path, make: Make) -> None:
    other_parameters(committed)
    findings = Lineage().judge(make())
    (reason,) = [one.reason for one in findings if one.part == "composition"]
    assert reason.startswith("conf/ or params.yaml changed digests, model since")
