"""The machine that jobs run on: a home for each, the commands of a runner, no one's settings."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from baked import IDENTITY, clean_environment

GH = Path(__file__).with_name("gh.py")
TOOLS = ("dvc", "pytest", "ruff", "mypy")


@dataclass
class Machine:
    """Where runs are kept, and what every job of a run finds."""

    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    idle: Sequence[str] = ()  # tools that do nothing here

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._command(self.folder / "bin/gh", f'exec {sys.executable} {GH} "$@"')

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a job, without anyone's name or settings."""
        made = clean_environment(home, [str(self.folder / "bin")])
        return {
            **{name: value for name, value in made.items() if name not in IDENTITY},
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_TERMINAL_PROMPT": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **self.extra,
        }

    def fail(self, pattern: str, *commands: str) -> None:
        """Have commands fail, from now on, where their arguments hold a text; none without one."""
        (self.folder / "fails").write_text(pattern)
        for name in commands:
            real = shutil.which(name)
            self._command(
                self.folder / "bin" / name,
                f"fails=$(cat {self.folder}/fails)\n"
                'case "$fails" in "") ;; *) case " $* " in *" $fails "*)\n'
                f'echo "{name}: the rehearsal has this fail" >&2; exit 1;; esac;; esac\n'
                f'exec {real} "$@"',
            )

    def toolcache(self) -> Path:
        """Return a folder with the Python that `actions/setup-python` would put on PATH."""
        for name in ("python", "python3"):
            self._command(self.folder / f"python/{name}", f'exec {sys.executable} "$@"')
        return self.folder / "python"

    def install(self, workspace: Path) -> None:
        """Put a finished .venv into a checkout, as `make setup` leaves it: these tests' own.

        It is what the rehearsal does not execute: installing from the locks.
        """
        commands = workspace / ".venv/bin"
        own = Path(sys.executable).parent
        source = workspace / "engine/src"
        self._command(commands / "python", f'exec {sys.executable} "$@"')
        entry = "import sys; from mlops.start import main; sys.exit(main())"
        # An editable install: found after what PYTHONPATH names.
        self._command(
            commands / "mlops",
            f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{source}" '
            f'exec {sys.executable} -P -c "{entry}" "$@"',
        )
        for name in TOOLS:
            known = f'exec {own / name} "$@"'
            self._command(commands / name, "true" if name in self.idle else known)
        configuration = f"command = {sys.executable} -m venv {workspace}/.venv\n"
        (workspace / ".venv/pyvenv.cfg").write_text(configuration)
        (workspace / ".venv/.booted").touch()
        locks = sorted(path.name for path in (workspace / "requirements").glob("*.txt"))
        stamp = " ".join(f"requirements/{name}" for name in locks)
        (workspace / ".venv/.installed").write_text(f"{stamp}\n")

    def _command(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def hash_files(folder: Path, patterns: Sequence[str]) -> str:
    """Return one digest of all files that the patterns match; nothing where there are none."""
    found = sorted({path for one in patterns for path in folder.glob(one) if path.is_file()})
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in found]
    return hashlib.sha256(b"".join(digests)).hexdigest() if digests else ""


def copy(source: Path, target: Path) -> None:
    """Copy a file or folder to a place that may be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def expanded(said: str, home: Path, workspace: Path) -> Path:
    """Return a path that a workflow names."""
    if said.startswith("~/"):
        return home / said[2:]
    return workspace / os.path.expandvars(said)
