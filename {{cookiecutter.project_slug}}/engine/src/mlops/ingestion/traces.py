"""What has seen the rows of a key, what still holds them, and how that is purged."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..bundle import contents
from ..bundle.manifest import BundleError
from ..bundle.reading import CANDIDATE
from ..git import dvc, versions
from ..git.repository import Repository
from .forgetting import ROOMS, Held, Wanted, files

DEPLOY = "deploy"
REPORTS = ("report.html", "metrics.json", "slices.json", "plots", "gate")  # of the candidate
DATA = "data"


class Kept(NamedTuple):
    """What DVC's cache holds of a key: versions of files, with those that are not in it here."""

    held: list[tuple[str, str]]  # what the file was called, and its MD5
    digests: set[str]  # SHA-256 of each
    keys: set[str]
    absent: int


class Bundle(NamedTuple):
    """A bundle that was made of rows of a key: where it is, or was declared by which commit."""

    where: str
    digest: str
    commit: str | None


def kept(repository: Repository, wanted: Wanted) -> Kept:
    """Search every version of every file below data/ that DVC's cache has here."""
    places, absent = versions.objects(dvc.cache(repository), versions.versions(repository, DATA))
    tables = [path for path, name in places.items() if _is_table(name)]
    found = wanted.search(tables, "search of DVC's cache", strict=False)
    named = sorted((places[one.path], _md5(one.path)) for one in found.held)
    return Kept(named, {one.sha256 for one in found.held}, found.keys, absent)


def _is_table(name: str) -> bool:
    """Say whether an object is one that rows are in: an index or a list of hashes is none."""
    raw = any(Path(name).is_relative_to(room) for room in ROOMS)
    return raw or name.endswith(".parquet")


def _md5(path: Path) -> str:
    return path.parent.name + path.name


def bundles(repository: Repository, digests: Iterable[str]) -> tuple[list[Bundle], int]:
    """Return the bundles whose lineage names one of these raw files, and how many cannot be told.

    The candidate, and every champion that a commit of any branch declares: from the cache or the
    remote.
    """
    wanted, found, untold = set(digests), [], 0
    if (repository.root / CANDIDATE).is_dir():
        found += _of(repository.root / CANDIDATE, str(CANDIDATE), None, wanted) or []
    declared = _declared(repository)
    with tempfile.TemporaryDirectory() as place:
        pointers = [*declared]
        outs = dvc.fetch_all(repository, pointers, "champion", Path(place)) if pointers else []
        for pointer, out in zip(pointers, outs, strict=True):
            made = _of(out, *declared[pointer], wanted)
            untold += made is None
            found += made or []
    return found, untold


def _declared(repository: Repository) -> dict[str, tuple[str, str]]:
    """Return each pointer that declares a bundle, with where and in which commit it came first."""
    found: dict[str, tuple[str, str]] = {}
    for commit in repository.commits([DEPLOY], of="--all"):
        for name in repository.entries(commit, [DEPLOY]):
            if name.endswith("/champion.dvc"):
                found[repository.text_at(commit, name) or ""] = (str(Path(name).parent), commit)
    return {text: where for text, where in found.items() if text}


def _of(folder: Path, where: str, commit: str | None, wanted: set[str]) -> list[Bundle] | None:
    """Return a bundle that saw one of the files; None where it cannot be told."""
    try:
        digest, manifest = contents.stated(folder)
        seen = {file["sha256"] for file in manifest["lineage"]["data"]}
    except (BundleError, OSError, LookupError, TypeError):
        return None
    return [Bundle(where, digest, commit)] if seen & wanted else []


def told(
    repository: Repository,
    held: Sequence[Held],
    kept: Kept,
    seen: Sequence[Bundle],
    untold: int,
    searched: bool = False,
) -> Iterator[str]:
    """Yield lines: what was removed, what had seen it, what remains, and what purges that.

    None names a key, or a value of a row. `searched` says that a log was.
    """
    root = repository.root
    rows = sum(len(one.rows) for one in held)
    yield f"removed: {rows:,} rows of {len(held):,} files" if held else "removed: nothing is here"
    for one in held:
        yield f"  {one.path.relative_to(root).as_posix()}: {len(one.rows):,} rows"
    yield f"had seen them: {len(seen)} bundles" + f", and {untold} that cannot be fetched" * (
        untold > 0
    )
    for bundle in seen:
        since = f", declared since {bundle.commit[:12]}" if bundle.commit else ""
        yield f"  {bundle.where}: {bundle.digest[:12]}{since}{_reports(root, bundle)}"
    yield f"remains: {len(kept.held)} versions of files in DVC's cache, and wherever it was pushed"
    for name, md5 in kept.held:
        yield f"  {name}: {md5}"
    if kept.absent:
        yield (
            f"  and {kept.absent} versions are not in the cache to be searched: `dvc fetch "
            "--all-commits` brings those that the remote has, then forget again"
        )
    yield "  git has pointers alone, which name such files by their hash"
    if not searched:
        yield "  a server's log may name them: search it with `--log LOG`"
    yield "  what data/raw is filled from has to forget them too, or they come again"
    yield "to purge it, here and in the remote (every version that nothing here names goes):"
    for command in _commands(repository, held):
        yield f"    {command}"


def _reports(root: Path, bundle: Bundle) -> str:
    """Say which reports tell of a bundle."""
    if bundle.commit is not None:
        return f"; report {bundle.where}/gate.json"
    there = [f"reports/{name}" for name in REPORTS if (root / "reports" / name).exists()]
    return f"; reports {', '.join(there)}" if there else ""


def _commands(repository: Repository, held: Sequence[Held]) -> Iterator[str]:
    """Yield the commands after which neither the cache nor the remote holds the rows."""
    root = repository.root
    paths = [one.path for one in held] or files(root)  # where all went before, but nobody did this
    for pointer in sorted({pointer for path in paths if (pointer := _pointer(root, path))}):
        yield f"dvc add {pointer.relative_to(root).as_posix()}"
    if (root / "dvc.yaml").is_file():
        yield "dvc repro"
    yield 'git commit --all --allow-empty --message "Rows are forgotten"'
    cloud = dvc.has_remote(repository)
    if cloud:
        yield "dvc push"
    yield f"dvc gc --workspace{' --cloud' * cloud} --force"


def _pointer(root: Path, path: Path) -> Path | None:
    """Return the file or folder that a pointer of DVC versions, and that holds a file."""
    above = (one for one in path.parents if one != root and one.is_relative_to(root))
    places = [path, *above]
    return next((p for p in places if p.with_name(f"{p.name}.dvc").is_file()), None)
