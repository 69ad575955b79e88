"""Lineage: what the candidate came from is committed, locked, and still what it says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...bundle import contents, lineage
from ...bundle.reading import CANDIDATE, CONFIG
from ...config.compose import CONF, composed, written
from ...config.experiment import EXPERIMENT, read_experiment
from ...config.settings import LOCK
from ...config.views import View
from ...files import read_yaml, sha256
from ...git import dvc
from ...git.repository import Repository
from ..case import Case
from ..rule import Finding, Rule

RAW = Path("data/raw")
PREPARED = Path("data/prepared")


class Lineage(Rule, frozen=True, kw_only=True):
    """Recompute every digest of where the candidate came from, and ask git for its commit.

    The tree was clean, its commit is HEAD or an ancestor; code, configuration, environment lock
    and raw data are today those of the manifest, and what params.yaml, conf/ and data/raw.dvc
    say. The packages used are the locked ones, every file of the bundle is what the manifest
    says, and dvc.lock pins this bundle and these prepared rows.
    """

    source: ClassVar[str] = "SLSA v1.0, provenance; DVC, .dvc files (md5 of a directory)"

    def judge(self, case: Case) -> list[Finding]:
        """Return one finding for each of these."""
        content = contents.read(case.candidate.folder).manifest
        if content != case.candidate.bundle.manifest:
            return [Finding("rejected", "the bundle changed since it was loaded", "bundle")]
        return [
            Finding("passed", f"all {len(content['files'])} files are those listed", "bundle"),
            *(
                Finding("passed" if fine else "rejected", reason, part)
                for part, fine, reason in _checks(case, content["lineage"])
            ),
        ]


def _checks(case: Case, origin: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """Yield what is checked, whether it holds, and what was found."""
    root = case.repository.root
    yield _tree(case.repository, origin["clean"] is True)
    yield _commit(case.repository, origin["commit"])
    yield _equal("code", "what it is computed with", origin["code"], lineage.code(root))
    config = sha256(root / "resolved.yaml")
    yield _equal("config", "resolved.yaml", origin["config"], config)
    yield _composed(root)
    yield _equal("bundled config", CONFIG, sha256(case.candidate.folder / CONFIG), config)
    yield _equal("environment", str(LOCK), origin["environment"], sha256(root / LOCK))
    pins = [(root / path).read_text(encoding="utf-8") for path in case.settings.model.locks]
    yield _packages(origin["packages"], "\n".join(pins))
    yield _raw(root, origin["data"])
    yield _pointer(root)
    if (tables := origin.get("tables")) or case.settings.features.views:
        yield _tables(root, tables or [], case.settings.features.views)
    lock = dvc.read_lock(root)
    for part, path, folder in (
        ("candidate", CANDIDATE, case.candidate.folder),
        ("prepared rows", PREPARED, case.holdout.parent),
    ):
        yield _equal(
            part,
            str(path),
            dvc.pinned(lock, path),
            dvc.dvc_digest(folder),
            "dvc.lock",
        )


def _tree(repository: Repository, clean: bool) -> tuple[str, bool, str]:
    if clean:
        return "tree", True, "code, configuration and data pointers were committed"
    names = repository.differing(lineage.inputs(repository))
    listed = f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""
    said = (
        f"it was made from uncommitted changes{listed}: commit them, or remove what git ignores "
        "there, then run `make repro`"
    )
    if other := dvc.left_over(repository, RAW):
        said += (
            f"; {RAW} is still that of {other}: if you want that of this branch, "
            f"`git checkout {RAW}.dvc`, then `dvc checkout`, then `make repro`"
        )
    return "tree", False, said


def _composed(root: Path) -> tuple[str, bool, str]:
    """Compare resolved.yaml to what conf/ and params.yaml compose to now."""
    now = written(composed(root / CONF, read_experiment(root / EXPERIMENT)))
    resolved = read_yaml(root / "resolved.yaml")
    if now == resolved:
        return "composition", True, "resolved.yaml is what conf/ and params.yaml compose to"
    changed = sorted(key for key in now.keys() | resolved if now.get(key) != resolved.get(key))
    said = f"conf/ or params.yaml changed {', '.join(changed)} since: run `dvc repro`"
    return "composition", False, said


def _equal(
    part: str, name: str, recorded: str | None, now: str, where: str = "the manifest"
) -> tuple[str, bool, str]:
    if recorded == now:
        return part, True, f"{name} is what {where} says ({now[:12]})"
    said = f"{name} is {now[:12]} and {where} says {str(recorded)[:12]}: run `dvc repro`"
    return part, False, said


def _commit(repository: Repository, commit: str | None) -> tuple[str, bool, str]:
    if not commit:
        return "commit", False, "it was made outside git: commit the project, then run `make repro`"
    if repository.is_ancestor(commit):
        return "commit", True, f"{commit[:12]} is HEAD or an ancestor of it"
    remedy = (
        "this clone has only the end of the history, fetch the rest with `git fetch --unshallow`"
        if repository.is_shallow()
        else "it was replaced, as by a rebase: run `make repro`, which bundles once more"
    )
    return "commit", False, f"{commit[:12]} is no ancestor of HEAD: {remedy}"


def _packages(used: dict[str, str], lock: str) -> tuple[str, bool, str]:
    """Compare the versions that the candidate was made with to those of the lock."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        pins.setdefault(name.lower(), set()).add(version)
    wrong = [f"{n} {v}" for n, v in used.items() if v not in pins.get(n.lower(), ())]
    said = f"not as locked: {', '.join(wrong)}" if wrong else f"{len(used)} are as locked"
    return "packages", bool(used) and not wrong, said


def _raw(root: Path, files: list[dict[str, Any]]) -> tuple[str, bool, str]:
    from ...data.sources import raw_files  # with pandas, which no composing of a policy needs

    recorded = {file["name"]: file["sha256"] for file in files}
    folder = root / RAW
    now = {path.relative_to(folder).as_posix(): sha256(path) for path in raw_files(folder)}
    wrong = sorted(
        name for name in recorded.keys() | now.keys() if recorded.get(name) != now.get(name)
    )
    names = ", ".join(wrong[:5])
    said = f"{len(wrong)} raw files are not those of the manifest ({names}): run `make repro`"
    return "data", not wrong, said if wrong else f"{len(now)} raw files are those of the manifest"


def _tables(
    root: Path, files: list[dict[str, Any]], views: Mapping[str, View]
) -> tuple[str, bool, str]:
    """Compare the tables of feature views with the manifest, and with what git has of them."""
    from ...views.partitions import partitions

    names = sorted({view.table.name for view in views.values()})
    recorded = {file["name"]: file["sha256"] for file in files}
    tables = {view.table.name: view.table for view in views.values()}
    now = {
        one.path.relative_to(root).as_posix(): sha256(one.path)
        for name in names
        for one in partitions(tables[name], root)
    }
    wrong = sorted(n for n in recorded.keys() | now.keys() if recorded.get(n) != now.get(n))
    if wrong:
        named = ", ".join(wrong[:5])
        said = f"{len(wrong)} files of tables are not those of the manifest ({named})"
        return "tables", False, f"{said}: run `make repro`"
    for name in names:
        folder = tables[name].folder
        pointer = root / f"{folder}.dvc"
        if pointer.is_file():
            expected = (read_yaml(pointer).get("outs") or [{}])[0].get("md5")
        else:
            expected = dvc.pinned(dvc.read_lock(root), folder)
        if expected is not None and expected != dvc.dvc_digest(root / folder):
            said = f"{folder} is not what its pointer says: `dvc add {folder}` and commit that"
            return "tables", False, said
    return "tables", True, f"{len(now)} files of {', '.join(names)} are those of the manifest"


def _pointer(root: Path) -> tuple[str, bool, str]:
    """Compare the raw files with what git has of them: a pointer, or the output of a stage."""
    pointer = root / f"{RAW}.dvc"
    if pointer.is_file():
        declared, where = read_yaml(pointer), f"{RAW}.dvc"
        outs = declared.get("outs") or [{}]
        expected, remedy = outs[0].get("md5"), f"`dvc add {RAW}` and commit that"
    else:
        expected, where = dvc.pinned(dvc.read_lock(root), RAW), "dvc.lock"
        remedy = f"run `dvc repro`, or `dvc add {RAW}` and commit that"
    if expected == dvc.dvc_digest(root / RAW):
        return "raw data", True, f"{RAW} is what {where} says"
    return "raw data", False, f"{RAW} is not what {where} says: {remedy}"
