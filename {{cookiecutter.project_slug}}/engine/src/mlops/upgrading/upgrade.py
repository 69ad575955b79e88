"""Upgrade by the code of the version that the project goes to.

So a fault of the upgrade that is mended in the template is mended for projects that are years old.
This end only fetches that code, gives it an environment of its own, and runs it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..files import sha256
from ..git.placement import placement, top
from ..git.repository import Repository, RepositoryError
from .recovery import recover
from .template import Template, TemplateError, fetched

CODE, LOCK = "upgrades", "upgrades/requirements.txt"
ENVIRONMENTS = Path("build/upgrade")
COPIES = (".github/workflows/{}-*", ".gitlab/projects/{}.yml")


def upgrade(repository: Repository, to: str | None, address: str | None, lock: bool = True) -> int:
    """Upgrade to a version, or to the newest; return 0, 1 with conflicts, 2 for a failure."""
    if repository.commit() is None:
        raise TemplateError("nothing is committed here yet: `git add --all && git commit -m Start`")
    if told := recover(repository.root):
        print(f"upgrade: {told}", file=sys.stderr)
    template = fetched(repository, address)
    ref = to or template.newest()
    with tempfile.TemporaryDirectory(prefix="upgrade-") as folder:
        commit = template.commit(ref)
        template.clone.extract(commit, [CODE], Path(folder))
        if not Path(folder, LOCK).is_file():
            raise TemplateError(f"{ref} is older than upgrades: name a later version (TO=…)")
        own = {**os.environ, "PYTHONPATH": folder}
        python = _python(repository, Path(folder, LOCK), own)
        where = ["--clone", str(template.clone.root), "--to", ref, *_address(template, address)]
        command = [python, "-P", "-m", CODE, *where, *([] if lock else ["--no-lock"])]
        before = repository.commit_of("HEAD")
        code = subprocess.run(command, cwd=repository.root, env=own).returncode
    if code == 0 and repository.commit_of("HEAD") != before:
        _follow(repository)
    return code


def _follow(repository: Repository) -> None:
    """Have the workflows at the top of a larger repository follow, in the commit of the upgrade.

    By the code of the version that was gone to; nothing where the project has none there.
    """
    place, whole = placement(repository), top(repository)
    patterns = [one.format(place.name) for one in COPIES]
    if not place.folder or not any(any(whole.root.glob(one)) for one in patterns):
        return
    source = {"PYTHONPATH": str((repository.root / "engine/src").resolve())}
    try:
        told = repository.run("python", "-P", "-m", "mlops.workflows", environment=source)
        if paths := told.splitlines():
            whole.git("add", "--all", "--", *paths)
            whole.git("commit", "--quiet", "--amend", "--no-edit", "--no-verify")
    except RepositoryError as error:
        print(f"upgrade: {error}; then `make workflows`, and commit that", file=sys.stderr)


def _address(template: Template, given: str | None) -> list[str]:
    return ["--address", template.address] if given and template.address else []


def _python(repository: Repository, lock: Path, environment: Mapping[str, str]) -> str:
    """Return a Python that has what the lock says: this one, or one that is set up for it."""
    asked = [sys.executable, "-P", "-m", f"{CODE}.ready"]
    if subprocess.run(asked, env=dict(environment)).returncode == 0:
        return sys.executable
    place = repository.root / ENVIRONMENTS / sha256(lock)[:12]
    python = place / "bin/python"
    ready = place / ".ready"
    if not ready.exists():
        print("upgrade: setting up what renders the template", file=sys.stderr)
        repository.run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        pip = ("uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes")
        repository.run(*pip, "--python", str(python), "-r", str(lock))
        ready.touch()
    return str(python)
