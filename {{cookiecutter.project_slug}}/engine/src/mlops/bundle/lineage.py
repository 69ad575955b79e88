"""Lineage: what a bundle came from."""

import hashlib
import platform
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..config.settings import LOCK
from ..errors import ProjectError
from ..files import read_yaml, sha256, sha256_of, tree_sha256
from ..git.repository import Repository

PACKAGES = ("scikit-learn", "numpy", "skl2onnx", "onnxruntime", "skops")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "interpret": "interpret-core"}
# The code that makes a model what it is: an edit of it makes another candidate, and no other edit
# does. The stages of dvc.yaml depend on these; a test holds both against what the stages import.
COMPUTED = (
    *(
        Path("engine/src/mlops", name)
        for name in (
            "amounts.py",
            "contract.py",
            "files.py",
            "origins.py",
            "spelling.py",
            "config/settings.py",
            "config/value.py",
            "config/views.py",
            "data/arrays.py",
            "data/delimited.py",
            "data/errors.py",
            "data/fingerprints.py",
            "data/foreign.py",
            "data/hashing.py",
            "data/header.py",
            "data/index.py",
            "data/joins.py",
            "data/parsing.py",
            "data/parts.py",
            "data/prepare.py",
            "data/prepared.py",
            "data/quoting.py",
            "data/scanning.py",
            "data/sources.py",
            "data/splitting.py",
            "data/validation.py",
            "data/zones.py",
            "views/entities.py",
            "views/expressions.py",
            "views/functions.py",
            "views/history.py",
            "views/join.py",
            "views/joining.py",
            "views/partitions.py",
            "views/scan.py",
            "views/tables.py",
            "views/values.py",
            "features",
            "metrics",
            "training",
            "runtime",
            "evaluation/decision.py",
            "evaluation/evaluate.py",
            "evaluation/expectation.py",
            "evaluation/importance.py",
            "evaluation/intervals.py",
            "evaluation/measurement.py",
            "evaluation/slices.py",
            "evaluation/units.py",
            "bundle/assembly.py",
            "bundle/card.py",
            "bundle/cells.py",
            "bundle/contents.py",
            "bundle/counting.py",
            "bundle/edges.py",
            "bundle/golden.py",
            "bundle/lineage.py",
            "bundle/losses.py",
            "bundle/manifest.py",
            "bundle/profile.py",
            "bundle/reading.py",
            "bundle/reference.py",
        )
    ),
    Path("src/project"),
    Path("src/policy/metrics.py"),
)
# Of the models that need more: resolved.yaml has the digest of the one that is used.
MODELS = tuple(LOCK.with_stem(f"model-{name}") for name in ("xgboost", "catboost", "ebm"))
# What may be written differently and still say the same; policy and server settings are not in it.
PARTS = ("config.yaml", "data", "split", "features", "model", "training", "tuning", "evaluation")
SAID = (*(Path("conf", part) for part in PARTS), Path("params.yaml"), Path("dvc.yaml"))
INPUTS = (*COMPUTED, LOCK, *MODELS, Path("data/raw.dvc"), *SAID)
TABLES = Path("data/tables")


def inputs(repository: Repository) -> tuple[Path, ...]:
    """Return every input that git has or should have: with them, the tables of feature views."""
    known = [path.relative_to(repository.root) for path in repository.root.glob(f"{TABLES}/*.dvc")]
    with suppress(ProjectError):  # before the first commit
        known += map(Path, repository.entries("HEAD", [str(TABLES)]))
    return (*INPUTS, *sorted({path for path in known if path.name != ".gitignore"}))


def lineage(repository: Repository, summary: dict[str, Any]) -> dict[str, Any]:
    """Return what the bundle came from.

    `commit` is the last that changed an input, so that committing the results of a run does not
    change what the next one writes; `clean` says whether the inputs stood as committed, and the
    digests what they were in either case.
    """
    return {
        "commit": repository.commit(inputs(repository)),
        "clean": is_clean(repository),
        "code": code(repository.root),
        "config": sha256(repository.root / "resolved.yaml"),
        "environment": sha256(repository.root / LOCK),
        "data": summary["files"],
        **({"tables": summary["tables"]} if "tables" in summary else {}),
        "rows": summary["rows"],
        "python": platform.python_version(),
        "packages": packages(read_yaml(repository.root / "resolved.yaml")["model"]["_target_"]),
    }


def packages(target: str) -> dict[str, str]:
    """Return the version of each package that fits, converts or runs an estimator of that class."""
    module = target.partition(".")[0]
    found = {name: version(name) for name in PACKAGES}
    name = DISTRIBUTIONS.get(module, module)
    if name != "project":
        with suppress(PackageNotFoundError):  # called otherwise than its module
            found[name] = version(name)
    return found


def code(root: Path) -> str:
    """Return one SHA-256 over the code that a model is computed with: the engine's and its own."""
    return sha256_of("".join(f"{path.as_posix()}\0{_digest(root / path)}\n" for path in COMPUTED))


def is_clean(repository: Repository) -> bool:
    """Say whether git has every input as it is now, or one that comes to the same."""
    given = tuple(path for path in inputs(repository) if path not in SAID)
    if not repository.is_clean(given):
        return False
    return repository.is_clean(SAID) or _says_the_same(repository)


def is_premature(repository: Repository, content: dict[str, Any]) -> bool:
    """Say whether a bundle names no commit of this branch that has its inputs, and now could.

    It was made before they were committed, or its commit was replaced since: by a rebase, a
    squash, an amendment. A shallow clone cannot tell.
    """
    origin = content["lineage"]
    if origin["clean"] is True and _is_here(repository, origin["commit"]):
        return False
    return is_clean(repository)


def data_digest(content: dict[str, Any]) -> str:
    """Return one SHA-256 over the names and digests of the raw files."""
    lines = [f"{file['name']}\0{file['sha256']}\n" for file in content["lineage"]["data"]]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file or folder; nothing where an owner has none."""
    if path.is_dir():
        return tree_sha256(path)
    return sha256(path) if path.is_file() else ""


def _is_here(repository: Repository, commit: str | None) -> bool:
    return commit is not None and (repository.is_ancestor(commit) or repository.is_shallow())


def _says_the_same(repository: Repository) -> bool:
    """Say whether HEAD composes to resolved.yaml too, and its pipeline differs in no value."""
    from ..config.compose import CONF, composed, written
    from ..config.experiment import EXPERIMENT, read_experiment

    pipeline = Path("dvc.yaml")
    with tempfile.TemporaryDirectory() as folder:
        then = Path(folder)
        try:
            named = [path.as_posix() for path in (CONF, EXPERIMENT, pipeline, *MODELS)]
            repository.extract("HEAD", named, then)
            resolved = written(composed(then / CONF, read_experiment(then / EXPERIMENT)))
        except ProjectError:
            return False
        if resolved != read_yaml(repository.root / "resolved.yaml"):
            return False
        return bool(read_yaml(then / pipeline) == read_yaml(repository.root / pipeline))
