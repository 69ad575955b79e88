"""A release of the template: a version that stands everywhere, its changes, and a tag.

`make version VERSION=0.3.0` writes the first two, for a pull request; `make release VERSION=0.3.0`
checks all of it on main, and tags.
"""

import argparse
import datetime
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ENGINE = Path("{{cookiecutter.project_slug}}/engine")
PLACE = ENGINE / "VERSION"  # what a project reads; the other places repeat it
DIGEST = ENGINE / "DIGEST"
COMPUTE = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder / "src"))
from mlops.engine import digest
print(digest(folder))
"""
REPEATED = (ENGINE / "pyproject.toml", Path("pyproject.toml"))
LINE = re.compile(r'^version = "([^"]*)"$', re.MULTILINE)
CHANGES = Path("CHANGELOG.md")
SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)
UPGRADING = re.compile(r"^### Upgrading\n+(?=- \S)", re.MULTILINE)
TESTED = Path("build/tested")  # the commit that `make test` passed on
NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
BRANCH, UPSTREAM = "main", "refs/remotes/origin/main"
Check = Callable[[], bool]


class ReleaseError(Exception):
    """This commit cannot be released as that; the sentence says what to do."""


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare it by."""
    if not NUMBERS.fullmatch(version):
        raise ReleaseError(f"{version!r} is no version: give three numbers, like VERSION=0.3.0")
    return tuple(map(int, version.split(".")))


def stated(texts: Mapping[Path, str]) -> dict[Path, str]:
    """Return the version that each place states; nothing where it states none."""
    found = {PLACE: texts[PLACE].strip()}
    for path in REPEATED:
        line = LINE.search(texts[path])
        found[path] = line[1] if line else ""
    return found


def sections(changes: str) -> dict[str, str]:
    """Return the text of each section of a changelog by its heading, in order."""
    return {heading.strip(): text for heading, text in SECTION.findall(f"{changes}\n")}


def changed(changes: str, version: str) -> str:
    """Return what a changelog says of its newest release, if that is this one.

    Raises:
        ReleaseError: it is another one, has no day, or says nothing about upgrading.
    """
    released = [heading for heading in sections(changes) if heading != "Unreleased"]
    newest = released[0] if released else "nothing"
    name, _, day = newest.partition(" - ")
    if name != version or not _is_day(day):
        raise ReleaseError(
            f"the newest release in {CHANGES} is {newest!r}: run `make version VERSION={version}`, "
            f'which makes it "{version} - DAY", and merge that'
        )
    text = sections(changes)[newest]
    if not UPGRADING.search(text):
        raise ReleaseError(
            f"{CHANGES} does not say how to come to {version}: give it a line below "
            '"### Upgrading", also where there is nothing to do'
        )
    return text.strip()


def written(texts: Mapping[Path, str], version: str, day: datetime.date) -> dict[Path, str]:
    """Return the files of a version, of those of the one before.

    Raises:
        ReleaseError: it is no later version, or nothing is written about upgrading to it.
    """
    if numbers(version) < numbers(stated(texts)[PLACE]):
        raise ReleaseError(
            f"{PLACE.name} is at {stated(texts)[PLACE]} already: give a later version than that"
        )
    lines = {path: LINE.sub(f'version = "{version}"', texts[path], 1) for path in REPEATED}
    heading = f"## Unreleased\n\n## {version} - {day}\n"
    changes = re.sub(r"^## Unreleased\n", heading, texts[CHANGES], count=1, flags=re.MULTILINE)
    changed(changes, version)
    return {PLACE: f"{version}\n", **lines, CHANGES: changes}


class Template:
    """The clone that is released."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str, check: bool = True) -> str:
        """Return what git prints; nothing where it fails and may."""
        told = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(told, text=True, capture_output=True)
        if check and done.returncode:
            raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return "" if done.returncode else done.stdout.strip()

    def texts(self) -> dict[Path, str]:
        """Return the files that a version stands in."""
        paths = (PLACE, *REPEATED, CHANGES)
        return {path: (self.root / path).read_text(encoding="utf-8") for path in paths}

    def state(self, version: str, day: datetime.date) -> None:
        """Write a version to every place and its day to the changelog, or nothing anywhere."""
        for path, text in written(self.texts(), version, day).items():
            (self.root / path).write_text(text, encoding="utf-8")
        (self.root / DIGEST).write_text(f"{self._digest()}\n", encoding="utf-8")

    def tag(self, version: str, check: Check) -> str:
        """Tag the commit that is checked out; return the tag.

        Raises:
            ReleaseError: something speaks against it, and no tag was made.
        """
        numbers(version)
        self._check_commit()
        self._check_versions(version)
        text = changed(self.texts()[CHANGES], version)
        self._check_tests(check)
        self._check_commit()  # what the check ran left everything as it was
        tag = f"v{version}"
        message = f"{tag}\n\n{text}\n"
        self.git("tag", "--annotate", "--cleanup=whitespace", "--message", message, tag)
        return tag

    def _check_commit(self) -> None:
        branch = self.git("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        if branch != BRANCH:
            raise ReleaseError(
                f"{branch or 'a detached HEAD'} is checked out: `git switch {BRANCH}`"
            )
        if left := self.git("status", "--porcelain"):
            raise ReleaseError(
                f"the tree is not as committed ({left.splitlines()[0].strip()}): commit it, or "
                "`git stash --include-untracked`"
            )
        there = self.git("rev-parse", "--verify", "--quiet", UPSTREAM, check=False)
        if there and not self._has(there):
            raise ReleaseError(f"{BRANCH} lacks commits of origin: `git pull --ff-only`")

    def _has(self, commit: str) -> bool:
        """Say whether a commit is HEAD or before it."""
        return self.git("merge-base", "HEAD", commit, check=False) == commit

    def _check_versions(self, version: str) -> None:
        for path, one in stated(self.texts()).items():
            if one != version:
                raise ReleaseError(
                    f"{path} says {one or 'nothing'}: run `make version VERSION={version}` and "
                    "merge that"
                )
        tags = self.git("tag", "--list", "v*.*.*").splitlines()
        known = [tag[1:] for tag in tags if NUMBERS.fullmatch(tag[1:])]
        newest = max(known, key=numbers, default="")
        if newest and numbers(newest) >= numbers(version):
            raise ReleaseError(f"v{newest} is released already: give a later version than that")
        if (self.root / DIGEST).read_text(encoding="utf-8").strip() != self._digest():
            raise ReleaseError("engine/DIGEST is that of another engine: `make digest`, commit it")

    def _digest(self) -> str:
        """Return the engine's digest, as a project computes it."""
        told = [sys.executable, "-B", "-c", COMPUTE, str(self.root / ENGINE)]
        return subprocess.run(told, check=True, text=True, capture_output=True).stdout.strip()

    def _check_tests(self, check: Check) -> None:
        tested = self.root / TESTED
        if tested.is_file() and tested.read_text().strip() == self.git("rev-parse", "HEAD"):
            return
        if not check():
            raise ReleaseError("this commit does not pass: mend what was printed, and merge that")


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """State or tag a version, or say in a sentence why not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["state", "tag"])
    parser.add_argument("version")
    parser.add_argument(
        "--check", nargs=argparse.REMAINDER, help="the command where no test run is known"
    )
    told = parser.parse_args(argv)
    template = Template(Path.cwd())
    try:
        if told.what == "state":
            template.state(told.version, datetime.datetime.now(datetime.UTC).date())
            print(f"{told.version} is stated: read the diff, commit it, have it merged")
            return 0
        tag = template.tag(told.version, lambda: subprocess.run(told.check).returncode == 0)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"{tag} is tagged here alone. Next: git push --atomic origin {BRANCH} {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
