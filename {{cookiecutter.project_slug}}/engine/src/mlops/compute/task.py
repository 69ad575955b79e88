"""One task in a process of a cluster: is this process like ours, then the function on the item."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from ..files import sha256, tree_sha256
from .choice import ADDRESS, NAME, ROOT, ComputeError

# What has to be the same file by file, where we have it.
CODE = ("engine/src", "src/project", "src/policy")
LOCK = "requirements/train.txt"
# What computes figures: another release may round otherwise.
PACKAGES = (
    *("numpy", "scipy", "pandas", "pyarrow", "pandera", "scikit-learn", "cloudpickle"),
    *("lightgbm", "xgboost", "catboost", "interpret-core"),
)
KEPT = 2  # functions that a process holds
ANSWER = 15.0  # seconds until what an address names has to answer

_loaded: dict[str, Callable[[Any], Any]] = {}


class Order(NamedTuple):
    """What goes with each item: who asks, and how the function is to run.

    `folder` is where paths begin, on a disk that the worker shares.
    """

    likeness: Mapping[str, str]
    function: str
    threads: int
    folder: str


@cache
def likeness(root: Path = ROOT) -> dict[str, str]:
    """Return what this process computes with: digests of code and lock, versions, machine."""
    found = {name: tree_sha256(root / name) for name in CODE if (root / name).is_dir()}
    if (root / LOCK).is_file():
        found[LOCK] = sha256(root / LOCK)
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found | {"Python": platform.python_version(), "machine": platform.machine()}


def check_alike(ours: Mapping[str, str], theirs: Mapping[str, str], who: str) -> None:
    """Raise ComputeError where a process has other code or packages than the one that asks it."""
    unlike = [name for name, value in ours.items() if theirs.get(name) != value]
    if unlike:
        said = ", ".join(
            f"{name} {theirs.get(name, 'none')} for {ours[name]}"
            if "/" not in name
            else f"another {name}"
            for name in unlike
        )
        raise ComputeError(
            f"{who} is not like this project ({said}): start it in a checkout of this commit, in "
            "which `make setup` ran, as engine/docs/compute.md has it"
        )


def check_shared(folder: Path) -> None:
    """Raise ComputeError in a worker that does not see a folder of the one that asks it."""
    if not folder.is_dir():
        raise ComputeError(
            f"worker {platform.node()} does not see {folder.absolute()}: put the project on a disk "
            "that the workers share, or run this with MLOPS_COMPUTE=local"
        )


class Cluster:
    """Base of what has tasks run in processes: how one is sent and waited for is each one's own."""

    @contextmanager
    def sent(self, function: Callable[[Any], Any], threads: int) -> Iterator[Callable[[Any], Any]]:
        """Yield what runs the function in a worker and waits for it."""
        submit = self._sent(function, threads)
        yield lambda item: self._result(submit(item))

    def _sent(self, function: Callable[[Any], Any], threads: int) -> Callable[[Any], Any]:
        raise NotImplementedError

    def _result(self, sent: Any) -> Any:
        raise NotImplementedError


def deadly(error: BaseException) -> ComputeError:
    """Return what is said of a task that ends its workers."""
    return ComputeError(
        f"a task has ended the worker that ran it, again and again ({plain(error)}): give it more "
        "memory, with fewer `workers` in conf/compute or on a larger machine"
    )


def silent(what: str, address: str, error: BaseException) -> ComputeError:
    """Return what is said where no cluster answers at an address."""
    return ComputeError(
        f"no {what} answers at {address} ({plain(error)}): start one, or correct `address` in "
        f"conf/compute, or {ADDRESS} where that is set"
    )


def plain(error: BaseException) -> str:
    """Return what an error says in one line, which a library may have written in many."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def run(payload: bytes, order: Order, item: Any) -> Any:
    """Return what the function of `payload` makes of an item."""
    from .local import limited

    os.environ[NAME] = "local"  # a task starts no cluster of its own
    check_alike(order.likeness, likeness(), f"worker {platform.node()}")
    if order.function not in _loaded:
        import cloudpickle

        while len(_loaded) >= KEPT:
            del _loaded[next(iter(_loaded))]
        _loaded[order.function] = cloudpickle.loads(payload)
    if os.path.isdir(order.folder):
        os.chdir(order.folder)
    with limited(order.threads):
        return _loaded[order.function](item)
