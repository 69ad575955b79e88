"""Files of a commit, taken out of git to the byte.

Blob by blob: `git archive` and a checkout obey attributes, with which a commit hides files or
changes them. Needs Python and git alone, so that `make gate` starts from the base's copy of it:
`git cat-file blob REF:./engine/src/mlops/git/extraction.py | python3 - REF OUT`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PLAIN, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
JUDGE = ("engine/src", "src/policy", "conf", "params.yaml")  # what the gate judges with

# What git answers must not hang on who asks. Settings that change what a command prints, writes
# or pushes, and variables that name another repository or put other objects in place of its own;
# who commits, how they sign and how they log in stays theirs.
SETTINGS = (
    *("core.quotePath=false", "core.commentChar=#", "core.fsmonitor=false"),
    *("log.showSignature=false", "trailer.separators=:"),
    *("i18n.commitEncoding=UTF-8", "i18n.logOutputEncoding=UTF-8"),
    *("fetch.prune=false", "fetch.pruneTags=false", "fetch.recurseSubmodules=false"),
    *("push.followTags=false", "push.recurseSubmodules=no"),
)
OPTIONS = tuple(part for setting in SETTINGS for part in ("-c", setting))
FOREIGN = (
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
    *("GIT_NAMESPACE", "GIT_REPLACE_REF_BASE", "GIT_ATTR_SOURCE"),
    *("GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)
NEUTRAL = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C.UTF-8",
}


class ExtractionError(ValueError):
    """The files cannot be taken out of git."""


def extract(commit: str, paths: Sequence[str], out: Path, root: Path) -> None:
    """Write those of the files and folders in `root` that a commit has to the folder `out`.

    Raises ExtractionError for a commit that git does not know, and for a link that leads out of
    the folder.
    """
    told = _git("ls-tree", "-r", "-z", commit, "--", *paths, root=root)
    lines = [line.partition("\t") for line in told.decode(errors="surrogateescape").split("\0")]
    entries = [(*head.split(), path) for head, _, path in lines if head]
    if absent := [path for mode, _, _, path in entries if mode == SUBMODULE]:
        raise ExtractionError(
            f"{absent[0]} of {commit[:12]} is a submodule, of which this repository has no file: "
            "put the files themselves there"
        )
    files = [(mode, name, path) for mode, _, name, path in entries]
    for folder in {os.path.dirname(path) for _, _, path in files}:
        (out / folder).mkdir(parents=True, exist_ok=True)
    for (mode, _, path), content in zip(files, _blobs(files, root), strict=True):
        place = out / path
        if mode == LINK:
            _link(place, content.decode(), out, commit)
            continue
        place.write_bytes(content)
        if mode == EXECUTABLE:
            place.chmod(0o755)


def _blobs(files: Sequence[tuple[str, str, str]], root: Path) -> Iterator[bytes]:
    """Yield the content of each file, as git has it."""
    asked = "".join(f"{name}\n" for _, name, _ in files)
    told = _git("cat-file", "--batch", root=root, text=asked)
    start = 0
    for _ in files:
        end = told.index(b"\n", start)
        size = int(told[start:end].split()[2])
        yield told[end + 1 : end + 1 + size]
        start = end + size + 2


def _link(place: Path, target: str, out: Path, commit: str) -> None:
    inside = Path(os.path.normpath(place.parent / target)).is_relative_to(out)
    if os.path.isabs(target) or not inside:
        raise ExtractionError(
            f"{place.relative_to(out)} of {commit[:12]} is a link to {target}, outside of what is "
            "taken: put the file itself there"
        )
    place.symlink_to(target)


def neutral() -> dict[str, str]:
    """Return this process's environment without what has git answer otherwise."""
    return {name: said for name, said in os.environ.items() if name not in FOREIGN} | NEUTRAL


def _git(*arguments: str, root: Path, text: str = "") -> bytes:
    command = ["git", *OPTIONS, *arguments]
    done = subprocess.run(
        command, cwd=root, env=neutral(), input=text.encode(), capture_output=True
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise ExtractionError(f"`git {arguments[0]}` failed ({said[-1]}): mend that and try again")
    return done.stdout


def main() -> int:
    """Take what the gate of a commit judges with to a folder, both named on the command line."""
    try:
        extract(sys.argv[1], JUDGE, Path(sys.argv[2]), Path())
    except ExtractionError as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
