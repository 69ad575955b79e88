"""Stand-ins for the actions that keep files: caches across runs, artifacts within one."""

import os
import re
from pathlib import Path

from .call import Answer, Call
from .machine import copy, expanded


def cache(call: Call) -> Answer:
    """Bring back the newest folder of the key that this branch or main saved; save a new one."""
    job, key = call.job, call.given["key"]
    store = job.runner.machine.folder / "caches"
    scopes = list(dict.fromkeys([job.of.event.ref, "refs/heads/main"]))
    paths = [
        expanded(said, job.shell.home, job.shell.workspace)
        for said in call.given["path"].split("\n")
        if said.strip()
    ]
    prefixes = [one for one in call.given.get("restore-keys", "").split("\n") if one.strip()]
    entries = [
        (entry, (entry / "key").read_text())
        for scope in scopes
        for entry in sorted(store.glob(f"{_slug(scope)}/*"), reverse=True)
    ]
    exact = next((entry for entry, name in entries if name == key), None)
    found = exact or next(
        (entry for one in prefixes for entry, name in entries if name.startswith(one)), None
    )
    for at, path in enumerate(paths):
        if found and (found / str(at)).exists():
            copy(found / str(at), path)

    def save(ok: bool) -> None:
        own = store / _slug(scopes[0])
        if not ok or (exact and exact.parent == own):
            return
        entry = own / f"{len(list(own.glob('*'))):06}"
        for at, path in enumerate(paths):
            if path.exists():
                copy(path, entry / str(at))
        entry.mkdir(parents=True, exist_ok=True)
        (entry / "key").write_text(key)

    job.posts.append(save)
    return (
        0,
        f"cache: {'hit' if exact else 'part' if found else 'miss'}",
        {"cache-hit": "true" if exact else "false" if found else ""},
    )


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def upload(call: Call) -> Answer:
    """Keep files under a name; hidden ones only where that is said."""
    workspace, target = call.job.shell.workspace, call.job.of.artifacts / call.given["name"]
    if target.exists():
        return 1, f"an artifact with the name {call.given['name']} exists already", {}
    told = [one.strip() for one in call.given["path"].split("\n") if one.strip()]
    roots = [workspace / one for one in told if not one.startswith("!")]
    without = {path for one in told if one.startswith("!") for path in workspace.glob(one[1:])}
    hidden = call.given.get("include-hidden-files") == "true"
    files = sorted(
        {
            file
            for root in roots
            for file in ([root] if root.is_file() else root.rglob("*"))
            if file.is_file() and (hidden or not _hidden(file, workspace))
            if without.isdisjoint([file, *file.parents])
        }
    )
    if not files:
        policy = call.given.get("if-no-files-found", "warn")
        return int(policy == "error"), "No files were found with the provided path", {}
    single = len(roots) == 1
    base = (roots[0] if roots[0].is_dir() else roots[0].parent) if single else _common(roots)
    for file in files:
        copy(file.resolve(), target / file.relative_to(base))
        (target / file.relative_to(base)).chmod(0o644)
    return 0, f"{len(files)} files", {"artifact-id": call.given["name"]}


def _hidden(file: Path, workspace: Path) -> bool:
    inside = file.relative_to(workspace) if file.is_relative_to(workspace) else Path(file.name)
    return any(part.startswith(".") for part in inside.parts)


def _common(roots: list[Path]) -> Path:
    return Path(os.path.commonpath([root.parent for root in roots]))


def download(call: Call) -> Answer:
    """Bring an artifact of the run to a folder."""
    source = call.job.of.artifacts / call.given["name"]
    if not source.is_dir():
        return 1, f"Unable to download artifact(s): {call.given['name']} not found", {}
    copy(source, call.job.shell.workspace / call.given.get("path", "."))
    return 0, "", {"download-path": call.given.get("path", ".")}
