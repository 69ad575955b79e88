"""New raw data and new files of conf/ as one step: all of them, or the old state."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ProjectError
from ..files import write_text
from ..repository import RepositoryError, unversioned

RAW = Path("data/raw")
POINTERS = (Path("data/raw.dvc"), Path("data/.gitignore"))
# Inside .dvc/tmp, which git ignores and which lies on the same file system as data/.
JOURNAL = Path(".dvc/tmp/adoption")
STATE = "state.json"


class ExchangeError(ProjectError):
    """The old data cannot be replaced."""


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the right to exchange in this project, after undoing what a killed run left there."""
    if not (root / ".dvc").is_dir():
        raise RepositoryError(f"{root.resolve()} is no DVC repository: run `make setup` there")
    lock = root / JOURNAL.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExchangeError("another adoption is running here: wait for its end") from error
        # A DVC that outlives a killed run holds the lock on, and so is never undone halfway.
        os.set_inheritable(stream.fileno(), True)
        undo(root)
        yield


def check_raw(root: Path, file: Path) -> None:
    """Raise ExchangeError where data/raw holds a file that DVC could not bring back."""
    own = [path for path in unversioned(RAW, root) if (root / path).resolve() != file.resolve()]
    if own:
        shown = ", ".join(map(str, own[:3])) + (", …" if len(own) > 3 else "")
        raise ExchangeError(
            f"{RAW} holds files that DVC has no copy of ({shown}): move them elsewhere, or keep "
            f"them with `dvc add {RAW}`"
        )


@contextmanager
def exchange(root: Path, file: Path, texts: Mapping[Path, str]) -> Iterator[None]:
    """Make `file` the only raw data and write `texts`; undo both when the block raises."""
    journal = root / JOURNAL
    staging = journal.with_suffix(".new")
    _begin(root, staging, file, [*texts, *POINTERS])
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
    for leftover in (journal.with_suffix(".new"), journal.with_suffix(".old")):
        shutil.rmtree(leftover, ignore_errors=True)
    if not journal.is_dir():
        return
    state = json.loads((journal / STATE).read_text(encoding="utf-8"))
    for name in state["present"]:
        write_text(root / name, (journal / "files" / name).read_text(encoding="utf-8"))
    for name in state["absent"]:
        (root / name).unlink(missing_ok=True)
    if (journal / "raw").exists() or not state["raw"]:
        shutil.rmtree(root / RAW, ignore_errors=True)
    if (journal / "raw").exists():
        (journal / "raw").rename(root / RAW)
    journal.rename(journal.with_suffix(".old"))
    shutil.rmtree(journal.with_suffix(".old"), ignore_errors=True)


def _begin(root: Path, staging: Path, file: Path, paths: Sequence[Path]) -> None:
    """Keep the present files, and a copy of the new data, until the exchange has ended."""
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
    }
    (staging / STATE).write_text(json.dumps(state), encoding="utf-8")
