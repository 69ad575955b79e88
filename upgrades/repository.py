"""Git, called as the command: trees are read and written as objects, no file is touched."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

PLAIN, EXECUTABLE, LINK = "100644", "100755", "120000"
# What git answers must not hang on who asks.
SETTINGS = (
    *("core.quotePath=false", "core.fsmonitor=false", "core.autocrlf=false", "core.safecrlf=false"),
    *("log.showSignature=false", "i18n.commitEncoding=UTF-8", "gc.auto=0"),
)
OPTIONS = tuple(part for setting in SETTINGS for part in ("-c", setting))
# Its own three-way merge: renames of files and folders followed, the base shown in a conflict.
MERGE = ("merge.renames=true", "merge.directoryRenames=true", "merge.conflictStyle=diff3")
MERGING = tuple(part for setting in MERGE for part in ("-c", setting))
FOREIGN = (
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
    *("GIT_NAMESPACE", "GIT_REPLACE_REF_BASE", "GIT_ATTR_SOURCE"),
)


class UpgradeError(Exception):
    """A failure with a remedy, in one sentence."""


class Entry(NamedTuple):
    """What git has at a path: the mode, and the object that holds the content."""

    mode: str
    object: str


Tree: TypeAlias = dict[str, Entry]  # by the path of each file


class Git:
    """The repository that has the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self,
        *arguments: str,
        text: bytes = b"",
        environment: Mapping[str, str] | None = None,
        accept: Sequence[int] = (0,),
        detached: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git; raise UpgradeError where its exit code is none of `accept`.

        `detached` keeps a signal to the caller's group from ending git as well.
        """
        kept = {name: said for name, said in os.environ.items() if name not in FOREIGN}
        own = {**kept, "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C.UTF-8", **(environment or {})}
        try:
            done = subprocess.run(
                ["git", *OPTIONS, *arguments],
                cwd=self.root,
                env=own,
                input=text,
                capture_output=True,
                start_new_session=detached,
            )
        except OSError as error:
            raise UpgradeError(f"git cannot be started ({error}): install it") from error
        if done.returncode not in accept:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise UpgradeError(
                f"`git {_verb(arguments)}` failed ({said[-1]}): mend that, try again"
            )
        return done

    def say(self, *arguments: str) -> str:
        """Return what git prints, without the end of the last line."""
        return self.run(*arguments).stdout.decode(errors="surrogateescape").rstrip("\n")

    def commit_of(self, ref: str) -> str:
        """Return the hash of the commit that a tag, branch or hash names."""
        for name in (f"refs/tags/{ref}", f"refs/heads/{ref}", ref):
            told = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
            done = self.run(*told, accept=(0, 1, 128))
            if done.returncode == 0:
                return done.stdout.decode().strip()
        raise UpgradeError(f"there is no commit {ref!r} here: correct the name, or fetch it")

    def has(self, commit: str) -> bool:
        """Say whether a commit is here."""
        return (
            self.run("cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128)).returncode == 0
        )

    def path(self, name: str) -> Path:
        """Return where git keeps something of this working tree."""
        return Path(os.path.abspath(self.root / self.say("rev-parse", "--git-path", name)))

    def tree(self, treeish: str, *paths: str) -> Tree:
        """Return the files of a tree, those at and below some paths where some are named."""
        told = self.run("ls-tree", "-r", "-z", "--full-tree", treeish, "--", *paths).stdout
        lines = [line.partition("\t") for line in told.decode(errors="surrogateescape").split("\0")]
        heads = ((head.split(), path) for head, _, path in lines if head)
        return {path: Entry(mode, name) for (mode, _, name), path in heads}

    def write(self, tree: Tree) -> str:
        """Write a tree and return its name."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            told = "".join(f"{one.mode} {one.object}\t{path}\0" for path, one in tree.items())
            text = told.encode(errors="surrogateescape")
            self.run("update-index", "-z", "--add", "--index-info", text=text, environment=index)
            return self.run("write-tree", environment=index).stdout.decode().strip()

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of objects, by their names."""
        asked = list(dict.fromkeys(names))
        told = self.run("cat-file", "--batch", text="".join(f"{n}\n" for n in asked).encode())
        found, start = dict[str, bytes](), 0
        for name in asked:
            end = told.stdout.index(b"\n", start)
            size = int(told.stdout[start:end].split()[2])
            found[name] = told.stdout[end + 1 : end + 1 + size]
            start = end + size + 2
        return found

    def lend(self, other: "Git", names: Sequence[str]) -> bool:
        """Have objects of another repository here; say whether both name them alike."""
        if self._format() != other._format():
            return False
        asked = "".join(f"{name}\n" for name in dict.fromkeys(names)).encode()
        told = self.run("cat-file", "--batch-check=%(objecttype)", text=asked).stdout
        kinds = zip(dict.fromkeys(names), told.decode().splitlines(), strict=True)
        absent = "".join(f"{name}\n" for name, kind in kinds if kind.endswith("missing"))
        if absent:
            pack = other.run("pack-objects", "--quiet", "--stdout", text=absent.encode()).stdout
            self.run("unpack-objects", "-q", text=pack)
        return True

    def _format(self) -> str:
        return self.say("rev-parse", "--show-object-format")

    def blob(self, name: str) -> bytes:
        """Return the content of one object."""
        return self.run("cat-file", "blob", name).stdout

    def put(self, content: bytes) -> str:
        """Write an object and return its name."""
        told = self.run("hash-object", "-w", "--no-filters", "--stdin", text=content)
        return told.stdout.decode().strip()

    def commit(self, tree: str, parents: Sequence[str], message: str, signed: bool = False) -> str:
        """Write a commit and return its name; no branch has it."""
        options = [part for parent in parents for part in ("-p", parent)]
        sign = ["-S"] if signed and self._signs() else []
        told = self.run("commit-tree", *sign, *options, "-F", "-", tree, text=message.encode())
        return told.stdout.decode().strip()

    def extract(self, tree: Tree, out: Path) -> None:
        """Write files of a tree to a folder, to the byte."""
        contents = self.blobs(entry.object for entry in tree.values())
        for path, entry in tree.items():
            place = out / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.mode == LINK:
                place.symlink_to(contents[entry.object].decode())
                continue
            place.write_bytes(contents[entry.object])
            if entry.mode == EXECUTABLE:
                place.chmod(0o755)

    def _signs(self) -> bool:
        told = self.run("config", "--type=bool", "--get", "commit.gpgsign", accept=(0, 1))
        return told.stdout.strip() == b"true"


def _verb(arguments: Sequence[str]) -> str:
    rest = list(arguments)
    while rest[:1] == ["-c"]:
        del rest[:2]
    return rest[0]
