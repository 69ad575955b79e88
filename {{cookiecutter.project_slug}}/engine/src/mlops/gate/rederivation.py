"""A candidate made again: from what a commit has, in an empty folder, without any cache.

Digests prove that nothing was changed since; that this code makes this model of this data, only
making it again does. No DVC runs here, so that neither its cache nor its run cache answers, and
no study of a search is there to be gone on from.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import yaml

from ..config.settings import RESOLVED
from ..config.views import DATA
from ..errors import ProjectError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository

INPUTS = (
    *("engine/src", "src", "conf", "requirements", "params.yaml", "dvc.yaml", "dvc.lock"),
    *("data/raw.dvc", "data/tables", "pyproject.toml"),
)
RAW, LOCK = Path("data/raw"), "dvc.lock"
PREPARED = Path("data/prepared")
CODE = ("engine/src", "src")
ANSWERS, INTERVALS = "answers.npy", "intervals.json"
DECIDED, CHOICE = "decision.json", "choice.npy"
STAGES = ("resolve", "prepare", "train")
# What a stage sees of the environment: where programs are and how they count, and no secret.
SEEN = (
    *("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    "MLOPS_COMPUTE_WORKERS",
)
# The code of this folder runs, not that of the project's own, which its environment may name.
START = """
import os, runpy, sys
root, module, *sys.argv[1:] = sys.argv[1:]
def inside(path, folder):
    return (os.path.realpath(path) + os.sep).startswith(os.path.realpath(folder) + os.sep)
sys.path[:] = [p for p in sys.path if not inside(p, root) or inside(p, sys.prefix)]
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
AGAIN = (
    "`rm -r data/prepared`, `dvc repro --force --downstream prepare`, then commit dvc.lock and gate"
    " again"
)


class RederivationError(ProjectError):
    """The candidate cannot be made again; `part` says how far that came."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part


class Rederived(NamedTuple):
    """What a commit's inputs make: prepared rows in `prepared`, and predictions of the holdout.

    `intervals` is the file of the intervals around them; None where there are none. `decision` is
    that of the decision, `choice` the training rows that it was chosen on (predictions, and what
    each brings below the threshold and above it); None where none is made.
    """

    commit: str
    prepared: Path
    predictions: np.ndarray
    intervals: bytes | None = None
    decision: bytes | None = None
    choice: np.ndarray | None = None


class Run(Protocol):
    """Runs a module of a commit's code in its folder; `name` is what messages call that."""

    def __call__(self, name: str, *module: str) -> None: ...


@contextmanager
def fresh(
    repository: Repository, data: Sequence[Path], minutes: float, rule: str
) -> Iterator[tuple[str, Path, Run]]:
    """Yield HEAD, a folder with its inputs and some of its data, and what runs its code there.

    Raises RederivationError for data that are not those of the commit, and for what does not run,
    or not within the `minutes` of the rule.
    """
    commit = repository.commit_of("HEAD")
    with tempfile.TemporaryDirectory(prefix="rederived-") as place:
        folder = Path(place).resolve()
        repository.extract(commit, INPUTS, folder)
        _bring(repository, commit, folder, data)
        until = time.monotonic() + 60 * minutes

        def run(name: str, *module: str) -> None:
            _run(name, module, repository.root, folder, until, f"{rule}.minutes", minutes)

        yield commit, folder, run


@contextmanager
def rederived(repository: Repository, minutes: float) -> Iterator[Rederived]:
    """Make the model of HEAD again, in a folder that stands for as long as the block lasts.

    Raises RederivationError for inputs that are not those of the commit, a stage that fails, and
    after `minutes`.
    """
    tables = _tables(repository, repository.commit_of("HEAD"))
    with fresh(repository, [RAW, *tables], minutes, "reproduced") as (commit, folder, run):
        for stage in STAGES:
            run(stage, "mlops.cli", stage)
        run("predict", "mlops.bundle.answers", ANSWERS, INTERVALS, DECIDED, CHOICE)
        choice, decided = None, folder / DECIDED
        try:
            predictions = np.load(folder / ANSWERS, allow_pickle=False)
            if decided.is_file():
                choice = np.load(folder / CHOICE, allow_pickle=False)
        except (OSError, ValueError) as error:
            reason = f"the code of {commit[:12]} wrote no predictions: bring its engine/ up to date"
            raise RederivationError("predictions", reason) from error
        around = folder / INTERVALS
        yield Rederived(
            commit,
            folder / PREPARED,
            np.asarray(predictions, dtype=np.float64),
            around.read_bytes() if around.is_file() else None,
            decided.read_bytes() if decided.is_file() else None,
            choice,
        )


def _bring(repository: Repository, commit: str, folder: Path, every: Sequence[Path]) -> None:
    """Copy rows and tables, and believe nothing of them but the hash that the commit pins.

    Copied and not linked: the code that runs beside them may write.
    """
    for data in every:
        if (folder / data).is_dir():  # of which git has every file
            continue
        pinned = _pinned(repository, commit, data)
        if not (repository.root / data).is_dir():
            raise RederivationError("data", f"there is no {data}: `dvc pull`, then gate again")
        shutil.copytree(repository.root / data, folder / data)
        if (found := dvc.dvc_digest(folder / data)) != pinned:
            raise RederivationError(
                "data",
                f"{data} is {found} and {commit[:12]} pins {pinned}: `dvc checkout {data}.dvc`, or "
                "commit what is there and make the candidate of it, then gate again",
            )


def _tables(repository: Repository, commit: str) -> list[Path]:
    """Return the tables that the experiment of a commit joins, by its resolved.yaml."""
    try:
        resolved = parse_yaml(repository.text_at(commit, RESOLVED.as_posix()) or "") or {}
        views = (resolved.get("features") or {}).get("views") or {}
        return sorted({DATA / str(view["table"]["name"]) for view in views.values()})
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        reason = f"{commit[:12]} does not say which tables it joins: `dvc repro` and commit that"
        raise RederivationError("data", reason) from error


def _pinned(repository: Repository, commit: str, data: Path) -> str:
    """Return what a commit pins data by: their pointer, or the stage that makes them."""
    pointer = repository.text_at(commit, f"{data}.dvc")
    try:
        if pointer is not None:
            return str(parse_yaml(pointer)["outs"][0]["md5"])
        lock = parse_yaml(repository.text_at(commit, LOCK) or "")
        if found := dvc.pinned(lock, data):
            return found
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        reason = (
            f"{commit[:12]} does not say which {data} it is of: `dvc add {data}` and commit that"
        )
        raise RederivationError("data", reason) from error
    raise RederivationError(
        "data", f"{commit[:12]} pins no {data}: `dvc add {data}`, or `dvc repro`, and commit that"
    )


def _run(
    name: str,
    module: tuple[str, ...],
    root: Path,
    folder: Path,
    until: float,
    setting: str,
    minutes: float,
) -> None:
    """Run a module of the folder's code there, and raise where it fails or is not ready in time."""
    started = time.monotonic()
    print(f"\ngate: makes it again: {name}", end=" ", file=sys.stderr, flush=True)
    command = [sys.executable, "-E", "-P", "-c", START, str(root.resolve()), *module]
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its own children end with it
        )
        try:
            process.wait(max(0.0, until - started))
        except subprocess.TimeoutExpired as error:
            raise RederivationError(
                name,
                f"it is not made again within {minutes:g} minutes: let it take less, or give "
                f"`{setting}` more in conf/gate, in a pull request of its own",
            ) from error
        finally:
            _end(process)
        if process.returncode:
            said.seek(0)
            reason = _last(said.read(), folder)
            raise RederivationError(
                name, f"`{name}` of HEAD does not run ({reason}): mend that, then {AGAIN}"
            )
    print(f"({time.monotonic() - started:.1f} s)", end=" ", file=sys.stderr, flush=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and whatever it has started and left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _environment(folder: Path) -> dict[str, str]:
    own = {name: os.environ[name] for name in SEEN if name in os.environ}
    places = os.pathsep.join(str(folder / place) for place in CODE)
    # Here, by processes of this machine: the pull request names the clusters of conf/compute.
    return {**own, "MLOPS_COMPUTE": "local", "PYTHONPATH": places, "HOME": str(folder)}


def _last(said: str, folder: Path) -> str:
    """Return the sentence a verb ended with, or the last line that a process printed.

    Without the folder, which is gone by then. What else a verb says is written when it has ended.
    """
    lines = said.replace(f"{folder}/", "").strip().splitlines() or ["it said nothing"]
    told = next((line for line in reversed(lines) if line.startswith("mlops ")), lines[-1])
    return " ".join(told.split())
