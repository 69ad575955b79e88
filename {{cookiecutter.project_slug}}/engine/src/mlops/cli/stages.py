"""The stages of dvc.yaml, in their order, and what mends them."""

import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..config.settings import Settings
    from ..data.joins import Joins


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(resolve, "stage: compose params.yaml and conf/ into resolved.yaml")
    add.add_argument(
        "--check", action="store_true", help="write nothing: exit 2 if they do not fit"
    )
    verb(prepare, "stage: validate the raw data and split it")
    verb(train, "stage: fit the model and compile it")
    verb(evaluate, "stage: measure the model on the holdout and draw the report")
    verb(bundle, "stage: put everything that is promoted into candidate/")
    verb(track, "stage: log the candidate to MLflow")
    verb(engine, "say which engine this is: exit 1 where it was edited")
    verb(mend, "repair what DVC left unreadable when it was killed while writing")


def resolve(arguments: Arguments) -> None:
    from ..adoption.transaction import check_settled
    from ..config.compose import resolve
    from ..config.settings import RESOLVED, load
    from ..errors import ProjectError
    from ..features.agreement import changed_sides, check, unread

    check_settled(Path())
    try:
        before = load() if RESOLVED.is_file() else None
    except ProjectError:  # of another version, or half a merge
        before = None
    settings = resolve(out=None if arguments.check else RESOLVED, check=check)
    print(f"resolved.yaml: {settings.model.target} on {settings.data.name}")
    for told in filter(None, (changed_sides(before, settings), unread(settings))):
        print(told)
    _check_declared("resolve")


def prepare(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from ..compute.backend import backend
    from ..data.prepare import prepare

    with backend(), _joins(settings) as joins:
        print(prepare(settings.data, settings.split, joins=joins))
    _check_declared("prepare")


def train(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from ..compute.backend import backend
    from ..training.fitting import train

    with backend():
        print(train(settings))
    _check_declared("train")


def evaluate(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from ..compute.backend import backend
    from ..evaluation.evaluate import evaluate

    with backend():
        figures = evaluate(settings)
    primary = settings.evaluation.primary
    value, low, high = (figures["holdout"][primary][key] for key in ("value", "low", "high"))
    shown = "cannot be computed" if value is None else f"{value:.4g}"
    known = None not in (low, high)
    interval = f"{low:.4g} to {high:.4g}" if known else "no interval: too few rows of some class"
    print(f"{primary} {shown} ({interval}): reports/report.html")
    if (value := settings.evaluation.value) is not None:
        told = figures["value"]
        what, first = "the action worth most", next(iter(value.actions))
        if "threshold" in told:
            what = f"{value.names[1]} above {told['threshold']:g}"
        brings, gain = told["per_row"], told["gain"].get(first) or told["gain"]["nothing"]
        print(
            f"{what}: a row brings {brings['value']} {value.currency}, {gain['value']} "
            f"({gain['low']} to {gain['high']}) more than {first} for everyone"
        )
    for told in figures["check"]:
        print(f"check: {told}")
    _check_declared("evaluate")


def bundle(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from ..bundle.assembly import bundle

    print(f"candidate {bundle(settings)}")
    _check_declared("bundle")


def track(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from ..bundle.reading import CANDIDATE
    from ..tracking.registry import track

    print(f"MLflow run {track(settings, _project(), CANDIDATE)}")


def engine(_: Arguments) -> int:
    from ..engine import state

    found = state(Path())
    if found.intact:
        print(f"engine {found.version}, as the template made it")
        return 0
    print(
        f"engine/ is not as version {found.version} made it: put your change into src/project or "
        "src/policy, or take engine/ as it was (`git checkout COMMIT -- engine`)"
    )
    return 1


def mend(_: Arguments) -> None:
    from ..adoption.transaction import settle
    from ..git import landing
    from ..git.dvc import mend
    from ..git.repository import Repository

    repository = Repository()
    if settle(repository.root):
        print("an adoption that was killed half-way is undone: adopt again")

    with landing.serial(repository) as brought:
        for name in brought:
            print(f"{name} was not brought along by a killed promotion: it is as HEAD has it")

    for path in mend(repository):
        print(f"{path} was left half written by a killed command: mended")


def _settings() -> Any:
    from ..adoption.transaction import check_settled
    from ..config.settings import load

    check_settled(Path())
    return load()


def _joins(settings: "Settings") -> "AbstractContextManager[Joins | None]":
    """Open the feature views of the experiment, for which alone DuckDB is imported."""
    if not settings.features.views:
        return nullcontext()
    from ..views.joining import joined

    return joined(settings)


def _check_declared(stage: str) -> None:
    """End a stage that ran what DVC does not watch; outside a pipeline, nobody watches anything."""
    if Path("dvc.yaml").is_file():
        from ..owner import check_declared

        check_declared(stage, Path())


def _project() -> str:
    """Return the project's name, which names its MLflow experiment."""
    import tomllib

    with Path("pyproject.toml").open("rb") as stream:
        return str(tomllib.load(stream)["project"]["name"])


def _follow_parent() -> None:
    """Ask Linux to end this stage when DVC is killed, so that it cannot write after the next run.

    Elsewhere a stage that outlives DVC finishes on its own; its writes are atomic in any case.
    """
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.environ.get("DVC_ROOT") and os.getppid() == 1 and not _dvc_is_first():
            os.kill(os.getpid(), signal.SIGKILL)  # DVC was killed while this started


def _dvc_is_first() -> bool:
    """Say whether DVC is the first process, as in a container that runs nothing else."""
    return b"dvc" in Path("/proc/1/cmdline").read_bytes()
