"""The prepare stage: raw files -> validated, typed rows, split into training and holdout.

Each raw file becomes a part: one file a role. A part whose raw file, settings and code are as they
were is kept, so that a new day costs a day.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..compute.backend import backend
from ..compute.task import check_shared
from ..config.settings import Split
from ..contract import Contract
from ..files import atomic_directory, sha256, sha256_of
from ..progress import progress
from . import index, sources
from .errors import DataError
from .index import UNIQUE, Entry, Recipe
from .joins import Joins
from .parts import Computed, compute, unique
from .sources import raw_files
from .splitting import CALIBRATION, SplitError, describe, roles
from .validation import SHOWN, refuse

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SUMMARY = "summary.json"
READ = "read"  # the one part that the project's own reader gives


def prepare(
    contract: Contract,
    split: Split,
    raw: Path = RAW,
    out: Path = PREPARED,
    joins: Joins | None = None,
    known: Path | None = None,
) -> str:
    """Write out/ROLE/PART for each role and raw file, an index and a summary; return a line of it.

    Roles are train and holdout, and calibration where the contract promises intervals; parts are
    named after the raw files. What `known`, by default `out`, holds of parts that would be the same
    is kept, once its digest is checked; `joins` gives columns that no raw file has. Raises
    DataError with every broken cell (the first are shown) and writes nothing then.
    """
    files = raw_files(raw)
    digests = {path.relative_to(raw).as_posix(): sha256(path) for path in files}
    _check_repeated({raw / name: digest for name, digest in digests.items()})
    given = _given(contract, digests)
    names = index.part_names(given)
    recipe = Recipe(contract, split, joins)
    with atomic_directory(out) as folder:
        # What a function of the project's reads besides data/raw, nobody knows: it always runs.
        kept = {} if contract.source.reader else _kept(recipe, given, names, known or out, folder)
        changed = [name for name in given if name not in kept]
        paths = {name: files if contract.source.reader else [raw / name] for name in changed}

        def made_of(name: str) -> Computed:
            check_shared(folder)
            frames = sources.table(raw, paths[name], contract.source)
            shown = progress(frames, "prepare", unit="frame", disable=len(changed) > 1)
            return compute(recipe, folder, name, names[name], given[name], shown)

        # A join reads a database that is open here.
        with backend(alone=joins is not None) as pool:
            title = "prepare" if len(changed) > 1 else None
            done = list(pool.map(made_of, changed, title=title, unit="part"))
        refuse([finding for one in done for finding in one.findings], contract)
        made = {name: one.entry for name, one in zip(changed, done, strict=True)}
        entries = {name: entry for name in given if (entry := kept.get(name) or made[name])}
        _check_contents({raw / name: entry for name, entry in entries.items()})
        hashes = [index.place(folder, UNIQUE, names[name]) for name in given]
        _check_unique(unique(contract), hashes, contract)
        rows = sum((Counter(entry.rows) for entry in entries.values()), Counter[str]())
        rows["unlabelled"] = sum(entry.unlabelled for entry in entries.values())
        _check_sides(rows, contract, split)
        summary = {
            "rows": {role: rows[role] for role in roles(contract)},
            "unlabelled": rows["unlabelled"],
            "files": [
                {"name": n, "rows": entries[n].read if n in entries else 0, "sha256": digest}
                for n, digest in digests.items()
            ],
        }
        if joins is not None:
            summary["tables"] = [*joins.files]
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        index.write(folder, {names[name]: entry for name, entry in entries.items()})
    computed = f"; {len(changed):,} of {len(given):,} parts computed" if len(given) > 1 else ""
    return describe(split, rows) + computed


def _given(contract: Contract, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the parts to be made, by the raw file of each, with the digest of what it is of."""
    if contract.source.reader is None:
        return dict(digests)
    return {READ: sha256_of("".join(f"{name}\0{digest}\n" for name, digest in digests.items()))}


def _kept(
    recipe: Recipe, given: Mapping[str, str], names: Mapping[str, str], known: Path, folder: Path
) -> dict[str, Entry]:
    """Bring along the parts of `known` that would be the same, and return them by raw file.

    A part is known by what its raw file holds: one that was renamed only gets another name.
    """
    there = {entry.source: (part, entry) for part, entry in index.read(known).items()}
    kept = {}
    for name, digest in progress(given.items(), "prepare: kept", unit="part"):
        part, entry = there.get(digest, ("", None))
        if entry is None or recipe.key(entry.part(name)) != entry.key:
            continue
        if index.is_whole(known, part, entry):
            for room in entry.files:
                _link(index.place(known, room, part), index.place(folder, room, names[name]))
            kept[name] = entry
    return kept


def _link(old: Path, new: Path) -> None:
    """Give a file a second name: the same inode, whose hash DVC knows already."""
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        if old.is_symlink():
            raise OSError("a link into DVC's cache")
        os.link(old, new)
    except OSError:  # of a file system without hard links
        shutil.copyfile(old, new)


def _check_repeated(contents: Mapping[Path, object]) -> None:
    """Refuse a file whose rows another file has, in whatever order and form."""
    first: dict[object, Path] = {}
    for path, content in contents.items():
        if (other := first.setdefault(content, path)) != path:
            raise DataError(
                f"{path} holds the same rows as {other}, and each would count twice: delete one of "
                "them"
            )


def _check_contents(entries: Mapping[Path, Entry]) -> None:
    """Refuse repeated files where no id tells: such rows may stand twice, but not a whole file."""
    told = {path: (one.read, one.content) for path, one in entries.items() if one.content}
    _check_repeated({path: content for path, content in told.items() if content[0]})


def _check_unique(names: Sequence[str], files: Sequence[Path], contract: Contract) -> None:
    """Refuse repeated values of unique columns, across parts (by 64-bit hash)."""
    for place, name in enumerate(names):
        hashes = np.concatenate([np.load(file, allow_pickle=False)[place] for file in files])
        ordered = np.sort(hashes)
        if not (ordered[1:] == ordered[:-1]).any():
            continue
        _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        repeated = np.sort(first[counts > 1])[:SHOWN] + 1
        raise DataError(
            f"{name} must be unique and {int((counts > 1).sum())} of its values repeat (first "
            f"seen in rows {', '.join(map(str, repeated))}): correct the data, or drop "
            f"`unique` in conf/data/{contract.name}.yaml"
        )


def _check_sides(rows: Counter[str], contract: Contract, split: Split) -> None:
    for role in roles(contract):
        if not rows[role]:
            key = "cutoff" if split.method == "time" else "holdout or split.salt"
            raise SplitError(
                f"no row falls to {role}: give more data, or change split."
                + ("calibration" if role == CALIBRATION else key)
            )
