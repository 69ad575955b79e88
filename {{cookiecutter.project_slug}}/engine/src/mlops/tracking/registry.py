"""The MLflow mirror: each candidate is a finished run, each champion a version with an alias.

The only module that imports MLflow.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..bundle import contents, lineage, manifest
from ..config.settings import Settings
from ..errors import ProjectError
from ..files import locked, scratch
from ..git import dvc
from ..runtime.model import ABOUT
from .parameters import parameters

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"  # the tag of a run: the digest that it was logged for
PLACE = "logged_from"  # the machine and folder, where one process at a time logs
BUNDLE, RELEASED = "bundle", "released"  # tags of a version and of its run
MODEL = "model"
PACKAGE = Path(__file__).parents[1]
PROJECT = PACKAGE.parents[2] / "src/project"  # what the owner adds to an answer
PACKAGES = ("msgspec", "numpy", "pandas", "pyarrow", "pyyaml", "tqdm")
RUNTIMES = {"onnx": ("onnxruntime",), "skops": ("scikit-learn", "skops")}
REPORTS = Path("reports")
LOCK = Path(".mlops/tracking.lock")
# A server that is away should cost seconds, not MLflow's default of minutes.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


class RegistryError(ProjectError):
    """MLflow cannot be reached or refuses."""


def tracking_uri(root: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or a SQLite database in the project's own folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root}/mlflow.db"


def track(settings: Settings, experiment: str, bundle: Path, reports: Path = REPORTS) -> str:
    """Log the candidate as one finished run and return the run's id.

    The same candidate is logged once. A run that an earlier, killed command left open here is
    closed as KILLED; one that this command cannot finish is closed as FAILED. Raises RegistryError
    where the server or database does not answer.
    """
    bundle_digest, content, _ = contents.read(bundle)
    home = dvc.home()
    with _client(home, "does not take the run", "dvc repro") as client:
        folder = _experiment(client, experiment, home)
        place = f"{socket.gethostname()}:{home}"
        known = _closed(client, folder, bundle_digest, place)
        if known is not None:
            return known
        return _log(client, folder, bundle_digest, place, settings, content, bundle, reports)


def mirrored(name: str, alias: str, home: Path) -> str | None:
    """Return the digest of the bundle that an alias of a registered model names; None for none."""
    with _client(home, f"cannot say what {name}@{alias} is", "mlops release") as client:
        version = _aliased(client, name, alias)
        return version.tags.get(BUNDLE) if version else None


def mirror(name: str, alias: str, bundle: Path, tags: dict[str, str], home: Path) -> str:
    """Have an alias of a registered model name the version of a bundle; return its number.

    The same bundle becomes a version once, with a python_function that answers as `mlops predict`
    does; what a killed command left of one is no version. Raises RegistryError.
    """
    bundle_digest = contents.read(bundle).bundle_digest
    with _client(home, f"does not take {name}", "mlops release") as client:
        if not client.search_registered_models(f"name = '{name}'"):
            _made(lambda: client.create_registered_model(name))
        asked = f"name = '{name}' and tags.{BUNDLE} = '{bundle_digest}'"
        known = client.search_model_versions(asked)
        whole = [version for version in known if version.status == "READY"]
        number = str(whole[0].version if whole else _version(client, name, bundle, tags, home))
        found = _aliased(client, name, alias)
        if found is None or str(found.version) != number:
            client.set_registered_model_alias(name, alias, number)
        return number


def _aliased(client: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(
    client: "MlflowClient", name: str, bundle: Path, tags: dict[str, str], home: Path
) -> int:
    """Make a version of a bundle; its run and files come first, so that a version is whole."""
    import mlflow.pyfunc

    folder = _experiment(client, name, home)
    bundle_digest = manifest.bundle_digest(bundle)
    runtime = manifest.read(bundle)["runtime"]
    needed = [f"{one}=={metadata.version(one)}" for one in (*PACKAGES, *RUNTIMES[runtime])]
    run = client.create_run(folder, tags={RELEASED: bundle_digest}, run_name=bundle_digest[:12])
    try:
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary) / MODEL
            mlflow.pyfunc.save_model(
                str(place),
                loader_module=f"{PACKAGE.name}.serving.pyfunc",
                data_path=str(bundle),
                code_paths=[str(path) for path in (PACKAGE, PROJECT) if path.is_dir()],
                pip_requirements=needed,
            )
            client.log_artifacts(run.info.run_id, str(place), MODEL)
        source = f"{run.info.artifact_uri}/{MODEL}"
        made = client.create_model_version(
            name, source, run.info.run_id, tags={**tags, BUNDLE: bundle_digest}
        )
        client.set_terminated(run.info.run_id)
    except BaseException:
        with suppress(Exception):
            client.set_terminated(run.info.run_id, status="FAILED")
        raise
    return int(made.version)


@contextmanager
def _client(home: Path, failed: str, remedy: str) -> Iterator["MlflowClient"]:
    """Yield a client of the tracking server, whose failures become RegistryError.

    Others of this project, or of this database, wait meanwhile: MLflow creates a database in a
    hundred steps, and meets another's half.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    uri = tracking_uri(home)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    if not uri.startswith("http"):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = 4  # of 10: a wrong address would cost two minutes
    try:
        database = _file(uri)
        lock = database.with_name(f"{database.name}.lock") if database else home / LOCK
        with locked(
            lock, lambda: print("mlops waits for another run to be logged", file=sys.stderr)
        ):
            if database and not database.exists():
                _create(database)
            yield MlflowClient(uri, uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RegistryError(
            f"MLflow at {_shown(uri)} {failed}: {reason}: check MLFLOW_TRACKING_URI, then run "
            f"`{remedy}` again"
        ) from error


def _file(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for any other address."""
    from sqlalchemy import make_url

    if not uri.startswith("sqlite:"):
        return None
    name = make_url(uri).database or ""
    return None if name in ("", ":memory:") or name.startswith("file:") else Path(name)


def _create(database: Path) -> None:
    """Create a database whole or not at all: MLflow does not mend one that was cut off."""
    from mlflow import MlflowClient

    with scratch(database) as folder:
        whole = f"sqlite:///{folder.resolve()}/{database.name}"
        MlflowClient(whole, whole).search_experiments()
        os.replace(folder / database.name, database)


def _made(create: Callable[[], object]) -> None:
    """Create what somebody else may create at the same moment, from another machine."""
    from mlflow.exceptions import MlflowException

    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _shown(uri: str) -> str:
    """Return the address without the password it may hold."""
    scheme, found, rest = uri.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def _experiment(client: "MlflowClient", name: str, home: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        own = not os.environ.get("MLFLOW_TRACKING_URI")
        location = (home / "mlartifacts").as_uri() if own else None
        _made(lambda: client.create_experiment(name, artifact_location=location))
        found = client.get_experiment_by_name(name)
    assert found is not None
    if found.lifecycle_stage == "deleted":
        told = f"MLFLOW_TRACKING_URI={_shown(tracking_uri(home))} mlflow experiments restore"
        raise RegistryError(
            f"the experiment {name} was deleted in MLflow, which keeps its name: bring it back "
            f"(`{told} --experiment-id {found.experiment_id}`), then run the same again"
        )
    return str(found.experiment_id)


def _closed(client: "MlflowClient", folder: str, bundle_digest: str, place: str) -> str | None:
    """Close what a dead process left open for this candidate; return a finished run, if any.

    Only one process of a place logs at a time, so what is open from here is dead.
    """
    runs: list[Run] = client.search_runs([folder], f"tags.{CANDIDATE} = '{bundle_digest}'")
    finished = None
    for run in runs:
        if run.info.status == "FINISHED":
            finished = str(run.info.run_id)
        elif run.info.status == "RUNNING" and run.data.tags.get(PLACE) == place:
            client.set_terminated(run.info.run_id, status="KILLED")
    return finished


def _log(
    client: "MlflowClient",
    folder: str,
    bundle_digest: str,
    place: str,
    settings: Settings,
    content: dict[str, Any],
    bundle: Path,
    reports: Path,
) -> str:
    from mlflow.entities import Metric, Param, RunTag

    origin = content["lineage"]
    tags = {
        CANDIDATE: bundle_digest,
        PLACE: place,
        "mlflow.source.git.commit": origin["commit"] or "",
        "clean": str(origin["clean"]).lower(),
        "data": lineage.data_digest(content),
        "holdout_predictions": content["holdout"]["predictions"],
    }
    run = client.create_run(folder, tags=tags, run_name=bundle_digest[:12])
    key = run.info.run_id
    try:
        measured = msgspec.json.decode((bundle / "metrics.json").read_bytes())["holdout"]
        about = msgspec.json.decode((bundle / ABOUT).read_bytes())
        now = run.info.start_time
        client.log_batch(
            key,
            metrics=[
                Metric(f"{name}.{part}" if part != "value" else name, float(number), now, 0)
                for name, figures in measured.items()
                for part, number in figures.items()
                if number is not None
            ],
            params=[Param(name, value) for name, value in parameters(settings, about).items()],
            tags=[RunTag("runtime", content["runtime"])],
        )
        client.log_artifacts(key, str(bundle), "candidate")
        with suppress(FileNotFoundError):
            client.log_artifact(key, str(reports / "report.html"))
        client.set_terminated(key)
    except BaseException:
        with suppress(Exception):
            client.set_terminated(key, status="FAILED")
        raise
    return str(key)
