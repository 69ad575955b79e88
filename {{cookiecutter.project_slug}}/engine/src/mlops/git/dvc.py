"""DVC, called as the command that the user has: nothing else starts it."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from ..files import is_running, read_yaml, sweep
from .repository import Repository, RepositoryError


def dvc_add(repository: Repository, path: Path) -> Path:
    """Version a file or folder with DVC and return its pointer, the .dvc file."""
    _check_dvc(repository)
    repository.run("dvc", "add", str(path))
    return path.with_name(f"{path.name}.dvc")


def unversioned(repository: Repository, path: Path) -> list[Path]:
    """Return the files in the folder `path` that the DVC cache could not bring back."""
    _check_dvc(repository)
    root = repository.root
    folder = root / path
    files = [file.relative_to(root) for file in sorted(folder.rglob("*")) if not file.is_dir()]
    if not files or not (root / f"{path}.dvc").is_file():
        return files
    status = json.loads(repository.run("dvc", "data", "status", "--json", "--granular") or "{}")
    # Not only added and modified: they are "unknown" where the cache has lost the listing.
    changed = [*status.get("uncommitted", {}).values(), status.get("not_in_cache", [])]
    endangered = {Path(name.rstrip("/")) for names in changed for name in names}
    return [file for file in files if file in endangered]


def maker(root: Path, path: Path) -> str | None:
    """Return the stage of dvc.yaml that makes `path`, something in it or what it is in."""
    pipeline = root / "dvc.yaml"
    stages = read_yaml(pipeline)["stages"] if pipeline.is_file() else {}
    wanted = Path(os.path.normpath(root / path))
    for name, stage in stages.items():
        one = stage.get("do", stage)  # of a foreach
        outs = [out if isinstance(out, str) else next(iter(out)) for out in one.get("outs", ())]
        places = [Path(os.path.normpath(root / one.get("wdir", ".") / out)) for out in outs]
        if any(wanted.is_relative_to(p) or p.is_relative_to(wanted) for p in places):
            return str(name)
    return None


def fetch(repository: Repository, pointer: str, name: str, out: Path) -> None:
    """Write the folder `name` that the text of a DVC pointer names to `out`, from cache or remote.

    What was fetched is not verified.
    """
    with _placed(repository, [pointer], name) as (place,):
        repository.run("dvc", "pull", place)
        shutil.copytree((repository.root / place).with_suffix(""), out)


def fetch_all(repository: Repository, pointers: Sequence[str], name: str, out: Path) -> list[Path]:
    """Write what each pointer to a folder `name` names below `out`, from cache or remote, at once.

    Returns where each belongs: what neither has is not there. Nothing is verified.
    """
    outs = [out / str(number) for number in range(len(pointers))]
    with _placed(repository, pointers, name) as places:
        with suppress(RepositoryError):  # where one is missing, the others came all the same
            repository.run("dvc", "pull", "--allow-missing", *places)
        for place, where in zip(places, outs, strict=True):
            fetched = (repository.root / place).with_suffix("")
            if fetched.is_dir():
                shutil.copytree(fetched, where)
    return outs


def fetch_afresh(repository: Repository, pointer: str, name: str, out: Path) -> None:
    """Do the same from the remote alone, as somebody does who has nothing in the cache."""
    with _placed(repository, [pointer], name) as (place,), tempfile.TemporaryDirectory() as cache:
        # Of all that DVC is configured with only the cache's place differs, and no option of
        # the command sets that.
        pull = (
            "import sys; from dvc.repo import Repo; "
            "Repo('.', config={'cache': {'dir': sys.argv[1]}}).pull(targets=sys.argv[2:])"
        )
        shown = f"dvc pull {name}.dvc"
        python = Path(sys.executable).name
        repository.run(python, "-P", "-c", pull, cache, place, shown=shown)
        shutil.copytree((repository.root / place).with_suffix(""), out)


def pull(repository: Repository) -> None:
    """Fetch what the remote has of everything that git names here; what it lacks stays away."""
    _check_dvc(repository)
    repository.run("dvc", "pull", "--allow-missing")


def cache(repository: Repository) -> Path:
    """Return the folder of the cache, where DVC keeps each version of a file by its MD5."""
    _check_dvc(repository)
    return repository.root / repository.run("dvc", "cache", "dir").strip()


def has_remote(repository: Repository) -> bool:
    """Say whether DVC knows a place that data are pushed to."""
    return bool(repository.run("dvc", "remote", "list").strip())


def is_behind(repository: Repository) -> bool:
    """Say whether a stage would run by what dvc.lock and the files say; data may be missing."""
    _check_dvc(repository)
    return "Running stage" in repository.run("dvc", "repro", "--dry", "--allow-missing")


def push(repository: Repository, pointer: str, name: str) -> None:
    """Upload the folder `name` that the text of a DVC pointer names from the cache."""
    with _placed(repository, [pointer], name) as (place,):
        repository.run("dvc", "push", place)


def dvc_digest(folder: Path) -> str:
    """Return the hash by which DVC 3 names a folder, recomputed from the files in it."""
    listing = []
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
            listing.append(
                {"md5": found.hexdigest(), "relpath": path.relative_to(folder).as_posix()}
            )
    listing.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def read_lock(root: Path) -> dict[str, Any]:
    """Return what dvc.lock holds; raises RepositoryError where a killed DVC left half of it."""
    path = root / "dvc.lock"
    if not path.is_file() or not _readable(path):
        raise RepositoryError("dvc.lock is missing or cut off: run `make repro`, which mends it")
    return dict(read_yaml(path))


def pinned(lock: dict[str, Any], path: Path) -> str | None:
    """Return the digest that dvc.lock has for an output."""
    outs = [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
    return next((out["md5"] for out in outs if out["path"] == path.as_posix()), None)


def left_over(repository: Repository, path: Path) -> str | None:
    """Return the commit whose pointer to `path` stands here in place of HEAD's; None for none.

    After a change of branch without `dvc checkout` the data are still those of the other branch,
    and `dvc repro` then takes them for new ones and writes their pointer.
    """
    pointer = f"{path}.dvc"
    known = repository.text_at("HEAD", pointer) if repository.commit() else None
    if known is None or not (repository.root / pointer).is_file():
        return None
    try:
        md5 = read_yaml(repository.root / pointer)["outs"][0]["md5"]
    except (yaml.YAMLError, LookupError, TypeError):
        return None
    if md5 in known:
        return None
    known_by = repository.commits([pointer], of="--all")
    return next(
        (one[:7] for one in known_by if md5 in (repository.text_at(one, pointer) or "")), None
    )


def home() -> Path:
    """Return the project's own folder, where results that outlive an experiment are kept.

    DVC runs queued experiments in copies that it throws away, and names the original there.
    """
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def mend(repository: Repository) -> list[Path]:
    """Put right what a killed command left half written; return the files.

    DVC writes dvc.lock and its lock on files in place, and then refuses to start. The lock file
    is taken from the last commit, or begun anew: DVC's run cache knows the later runs. What our
    own stages leave is never at a final path, and is removed.
    """
    root = repository.root
    mended = [path for name in ("", "data", "reports") for path in sweep(root / name)]
    for left in (path for path in root.glob("fetched.*.*") if not is_running(path)):
        shutil.rmtree(left, ignore_errors=True)
        mended.append(left)
    lock, busy = root / "dvc.lock", root / ".dvc/tmp/rwlock"
    if lock.exists() and not _readable(lock):
        lock.unlink()
        with suppress(RepositoryError):
            committed = repository.text_at("HEAD", lock.name)
            if committed is not None:
                lock.write_text(committed, encoding="utf-8")
        if lock.exists() and not _readable(lock):
            lock.unlink()  # it was committed like that
        mended.append(lock)
    if busy.exists() and not _readable(busy):
        busy.unlink()
        mended.append(busy)
    return mended


@contextmanager
def _placed(repository: Repository, pointers: Sequence[str], name: str) -> Iterator[list[str]]:
    """Yield the paths of pointers in a folder that stands for as long as the block lasts.

    DVC reads pointers only inside its repository, where git does not ignore them.
    """
    _check_dvc(repository)
    root = repository.root
    with tempfile.TemporaryDirectory(prefix=f"fetched.{os.getpid()}.", dir=root) as folder:
        places = [Path(folder, str(number), f"{name}.dvc") for number in range(len(pointers))]
        for place, pointer in zip(places, pointers, strict=True):
            place.parent.mkdir()
            place.write_text(pointer, encoding="utf-8")
        yield [str(place.resolve().relative_to(root.resolve())) for place in places]


def _check_dvc(repository: Repository) -> None:
    root = repository.root
    if not (root / ".dvc").is_dir():
        raise RepositoryError(f"{root.resolve()} is no DVC repository: run `make setup` there")


def _readable(path: Path) -> bool:
    """Say whether the file holds the YAML or JSON mapping that DVC expects there."""
    try:
        content = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and (path.name != "dvc.lock" or "schema" in content)
