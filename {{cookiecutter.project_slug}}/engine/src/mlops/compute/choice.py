"""Which file of conf/compute says where work runs, and what it says.

Neither is part of the experiment: resolved.yaml has none of it, DVC ignores conf/compute, and no
digest depends on it. What is chosen is read beside the engine that runs, so the code of the base
branch, which judges, reads the base branch's files.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from ..errors import ProjectError
from ..files import read_yaml

ROOT = Path(__file__).parents[4]  # the folder that engine/ lies in
CONF = Path("conf/compute")
PROJECT = Path("pyproject.toml")
DEFAULT = "local"
SIZE = re.compile(r"[1-9][0-9]*(\.[0-9]+)? ?[KMGT]i?B")
NAME, WORKERS, ADDRESS = "MLOPS_COMPUTE", "MLOPS_COMPUTE_WORKERS", "MLOPS_COMPUTE_ADDRESS"


class ComputeError(ProjectError):
    """What was chosen to run work cannot run it."""


class Joins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of DuckDB where it joins tables: they change how long that takes, and no value.

    What does not fit into `memory` is spilled to a folder of its own in `spill`, by default where
    TMPDIR points. Without `threads` there is one a processor.
    """

    memory: str = "400MB"
    threads: int | None = None
    spill: str | None = None

    def __post_init__(self) -> None:
        if not SIZE.fullmatch(self.memory):
            raise ValueError(f"`memory` is {self.memory!r}: write it like `400MB` or `2 GB`")
        if self.threads is not None and self.threads < 1:
            raise ValueError("`threads` is at least 1")


class Compute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where work runs, and what it may use there.

    `workers` are how many tasks run at once: by default as many as each step says where `backend`
    is local, one a processor core otherwise. `address` is that of a cluster, which has workers of
    its own; without one, a cluster of this machine is started and ended with the command.
    """

    backend: Literal["local", "dask", "ray"] = "local"
    workers: int | None = None
    address: str | None = None
    joins: Joins = Joins()

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError("`workers` is 1 or more")
        if self.address and self.backend == "local":
            raise ValueError("`address` is of a cluster: choose dask or ray, or leave it out")
        if self.address and self.workers is not None:
            raise ValueError(
                "`address` is of a cluster, which says its workers: leave out `workers`"
            )


def chosen(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> Compute:
    """Return what the environment chooses, else pyproject.toml, else threads of this process.

    MLOPS_COMPUTE names a file of conf/compute; MLOPS_COMPUTE_WORKERS and MLOPS_COMPUTE_ADDRESS
    stand for its keys. Raises ComputeError for a file that is not there or is wrong.
    """
    name = environment.get(NAME) or _declared(root) or DEFAULT
    path = CONF / f"{name}.yaml"
    if not (root / path).is_file():
        if name == DEFAULT:  # as in an image
            return _read({}, path, environment)
        offered = sorted(file.stem for file in (root / CONF).glob("*.yaml"))
        raise ComputeError(
            f"{path} is missing: write it, or choose {', '.join(offered) or DEFAULT} as {NAME} "
            f"or as `compute` under [tool.mlops] in {PROJECT}"
        )
    try:
        said = read_yaml(root / path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ComputeError(f"{path} is no YAML ({' '.join(str(error).split())})") from error
    return _read(said if isinstance(said, dict) else {"": said}, path, environment)


def _declared(root: Path) -> str | None:
    """Return what pyproject.toml names; where automation judges, it is not there."""
    try:
        content = tomllib.loads((root / PROJECT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ComputeError(f"{PROJECT} is no TOML ({error}): correct it") from error
    found = content.get("tool", {}).get("mlops", {}).get("compute")
    return None if found is None else str(found)


def _read(said: Mapping[str, object], path: Path, environment: Mapping[str, str]) -> Compute:
    given: dict[str, object] = dict(said)
    if workers := environment.get(WORKERS):
        if re.fullmatch("[1-9][0-9]*", workers) is None:
            raise ComputeError(f"{WORKERS} is {workers!r}: give a number of workers, 1 or more")
        given["workers"] = int(workers)
    if address := environment.get(ADDRESS):
        given["address"] = address
    try:
        return msgspec.convert(given, Compute)
    except msgspec.ValidationError as error:
        from ..refusal import refusal  # no stage depends on what it says

        told = refusal(error, given, Compute).said
        sources = [str(path), *(name for name in (WORKERS, ADDRESS) if environment.get(name))]
        raise ComputeError(f"{', '.join(sources)}: {told}; correct it there") from error
