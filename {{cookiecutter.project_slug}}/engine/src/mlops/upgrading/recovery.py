"""Take back what an upgrade left half done in the working tree, because a machine stopped.

Nothing is half done but in the one step that git takes at the end, and of that there is a note.
Files of the engine may then be of two versions, so that `make upgrade` starts from the copy of this
module that HEAD has: `git cat-file blob HEAD:./engine/src/mlops/upgrading/recovery.py | python3 -`.
Needs Python and git alone.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

NOTE = "mlops-upgrade"
KEPT = "refs/mlops/interrupted"  # files as they were found, should somebody have worked on them
WAIT, WAITS = 0.1, 50  # for git, which goes on where only its caller was killed


def recover(root: Path) -> str:
    """Return what was done about an upgrade that did not end; nothing where there was none."""
    note = _place(root, NOTE)
    if note is None or not note.is_file():
        return ""
    said = json.loads(note.read_text(encoding="utf-8"))
    lock = _place(root, "index.lock")
    for _ in range(WAITS):
        if lock and lock.exists():
            time.sleep(WAIT)
    if lock:
        lock.unlink(missing_ok=True)  # of a git that is gone: the note says whose it was
    head, before, after = _git(root, "rev-parse", "HEAD"), said["before"], said["after"]
    pick = _place(root, "CHERRY_PICK_HEAD")
    done = ""
    if head == before and not (pick and pick.exists()) and _git(root, "status", "--porcelain"):
        done = _restored(root, before, after)
    note.unlink()
    return done


def _restored(root: Path, before: str, after: str) -> str:
    """Have the files that an upgrade touches be those of before; others are nobody's business."""
    touched = _git(root, "diff", "--name-only", "--no-renames", "-z", before, after).split("\0")
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    had = set(_git(root, "ls-tree", "-r", "-z", "--full-tree", "--name-only", before).split("\0"))
    for path in filter(None, touched):
        if path not in had and os.path.lexists(top / path):
            (top / path).unlink()  # new in the upgrade, which began with nothing at its place
    if kept := _git(root, "stash", "create", check=False):
        _git(root, "update-ref", KEPT, kept)
    _git(root, "reset", "--quiet", "--hard", before)
    return f"an upgrade was cut off: files are as before it (`git show {KEPT}` has what was there)"


def _place(root: Path, name: str) -> Path | None:
    told = _git(root, "rev-parse", "--git-path", name, check=False)
    return Path(os.path.abspath(root / told)) if told else None


def _git(root: Path, *arguments: str, check: bool = True) -> str:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True)
    if check and done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        sys.exit(f"upgrade: `git {arguments[0]}` failed ({said[-1]}): mend that and try again")
    return done.stdout.decode(errors="surrogateescape").strip("\n")


if __name__ == "__main__":
    if told := recover(Path()):
        print(f"upgrade: {told}", file=sys.stderr)
