"""New raw data and new files of conf/ as one step: all of them, or the old state."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import ProjectError
from ..files import sha256, sha256_of, write_text
from ..git.dvc import unversioned
from ..git.repository import Repository, RepositoryError

RAW = Path("data/raw")
POINTERS = (Path("data/raw.dvc"), Path("data/.gitignore"))
# Inside .dvc/tmp, which git ignores and which lies on the same file system as data/.
JOURNAL = Path(".dvc/tmp/adoption")
STATE = "state.json"


class TransactionError(ProjectError):
    """The old data cannot be replaced."""


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the right to exchange in this project, where nothing else is at work or unsettled."""
    with _locked(root):
        _clear(root / JOURNAL)
        check_settled(root)
        _check_idle(root)
        yield


def check_settled(root: Path) -> None:
    """Raise TransactionError where an exchange did not end: data and contract may not match."""
    if (root / JOURNAL).is_dir():
        raise TransactionError(
            "an adoption is running here or was killed half-way: wait for its end, or undo it "
            "with `mlops mend`"
        )


def settle(root: Path) -> bool:
    """Undo an exchange that was killed, and say whether there was one.

    Raises TransactionError, and changes nothing, where somebody has worked on since.
    """
    if not (root / JOURNAL).is_dir():
        return False
    with _locked(root):
        _check_untouched(root)
        undo(root)
    return True


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    if not (root / ".dvc").is_dir():
        raise RepositoryError(f"{root.resolve()} is no DVC repository: run `make setup` there")
    lock = root / JOURNAL.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TransactionError("another adoption is running here: wait for its end") from error
        # A DVC that outlives a killed run holds the lock on, and so is never undone halfway.
        os.set_inheritable(stream.fileno(), True)
        yield


def _check_idle(root: Path) -> None:
    """Raise TransactionError while DVC runs, which would mix the old data with the new."""
    busy = root / ".dvc/tmp/rwlock"
    said = busy.read_text(errors="replace") if busy.exists() else ""
    for number in re.findall(r'"pid": (\d+)', said):
        if Path("/proc", number).exists():
            raise TransactionError(f"DVC is at work here (process {number}): wait for its end")


def _check_untouched(root: Path) -> None:
    """Raise TransactionError where files are neither as before it nor as it wrote them."""
    journal = root / JOURNAL
    state = json.loads((journal / STATE).read_text(encoding="utf-8"))
    touched = [
        name
        for name, written in state["written"].items()
        if (root / name).exists()
        and sha256(root / name) != written
        and not _same(root / name, journal / "files" / name)
    ]
    if not (journal / "new").exists() and (root / RAW).exists():
        raw = [path for path in (root / RAW).rglob("*") if path.is_file()]
        touched += [str(p.relative_to(root)) for p in raw if sha256(p) != state["data"]]
    if touched:
        raise TransactionError(
            f"an adoption was killed half-way, and {', '.join(touched)} changed since: move "
            f"your work elsewhere and run `mlops mend`, or keep all as it is by deleting {JOURNAL}"
        )


def _same(one: Path, other: Path) -> bool:
    return other.exists() and sha256(one) == sha256(other)


def check_raw(repository: Repository, file: Path) -> None:
    """Raise TransactionError where data/raw holds a file that DVC could not bring back."""
    raw, root = unversioned(repository, RAW), repository.root
    own = [path for path in raw if (root / path).resolve() != file.resolve()]
    if own:
        shown = ", ".join(map(str, own[:3])) + (", …" if len(own) > 3 else "")
        raise TransactionError(
            f"{RAW} holds files that DVC has no copy of ({shown}): move them elsewhere, keep "
            f"them with `dvc add {RAW}`, or after a change of commits run `dvc checkout`"
        )


@contextmanager
def exchange(root: Path, file: Path, texts: Mapping[Path, str]) -> Iterator[None]:
    """Make `file` the only raw data and write `texts`; undo both when the block raises."""
    journal = root / JOURNAL
    staging = journal.with_suffix(".new")
    _begin(root, staging, file, texts)
    staging.rename(journal)
    try:
        if (root / RAW).exists():
            (root / RAW).rename(journal / "raw")
        (root / RAW).parent.mkdir(exist_ok=True)
        (journal / "new").rename(root / RAW)
        for path, text in texts.items():
            write_text(root / path, text)
        yield
    except BaseException:
        undo(root)
        raise
    journal.rename(journal.with_suffix(".old"))
    shutil.rmtree(journal.with_suffix(".old"), ignore_errors=True)


def undo(root: Path) -> None:
    """Bring back the state before an exchange that did not end, and clear leftovers."""
    journal = root / JOURNAL
    _clear(journal)
    if not journal.is_dir():
        return
    state = json.loads((journal / STATE).read_text(encoding="utf-8"))
    if (journal / "raw").exists() or not state["raw"]:
        shutil.rmtree(root / RAW, ignore_errors=True)
    if (journal / "raw").exists():
        (journal / "raw").rename(root / RAW)
    for name in state["present"]:
        if not _same(root / name, journal / "files" / name):
            write_text(root / name, (journal / "files" / name).read_text(encoding="utf-8"))
    for name in state["absent"]:
        if (root / name).exists():
            (root / name).unlink()
    journal.rename(journal.with_suffix(".old"))
    shutil.rmtree(journal.with_suffix(".old"), ignore_errors=True)


def _clear(journal: Path) -> None:
    """Remove an exchange that never began, and one that has ended."""
    for leftover in (journal.with_suffix(".new"), journal.with_suffix(".old")):
        shutil.rmtree(leftover, ignore_errors=True)


def _begin(root: Path, staging: Path, file: Path, texts: Mapping[Path, str]) -> None:
    """Keep the present files, and a copy of the new data, until the exchange has ended."""
    paths = [*texts, *POINTERS]
    (staging / "new").mkdir(parents=True)
    shutil.copyfile(file, staging / "new" / file.name.lstrip("."))
    present = [path for path in paths if (root / path).is_file()]
    for path in present:
        (staging / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, staging / "files" / path)
    state = {
        "present": [path.as_posix() for path in present],
        "absent": [path.as_posix() for path in paths if path not in present],
        "raw": (root / RAW).exists(),
        "written": {path.as_posix(): sha256_of(text) for path, text in texts.items()},
        "data": sha256(file),
    }
    (staging / STATE).write_text(json.dumps(state), encoding="utf-8")
