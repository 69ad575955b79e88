"""The folders and commands that the tests share: a baked project and what runs in it."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
RENDERED = {"README.md", "README.ja.md", "pyproject.toml", ".dvc/config", ".github/CODEOWNERS"}
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@example.invalid"))
}
OFFLINE = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "1"}
# What a developer's shell or this test run may have set, and a fresh machine has not.
FOREIGN = (
    *("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "PYTEST_", "MLFLOW_", "DVC_", "GIT_"),
    *("COOKIECUTTER_", "MLOPS_RUNNER"),
)
PATIENCE = 900.0  # seconds, several times what the longest command takes


@dataclass(frozen=True)
class Project:
    """A baked project and the environment of its commands."""

    path: Path
    environment: Mapping[str, str]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; where it fails, show what it printed."""
        code, said = ended(command, self.path, self.environment)
        assert code is not None, f"{' '.join(command)} did not end\n{said}"
        assert not check or code == 0, f"{' '.join(command)}\n{said}"
        return subprocess.CompletedProcess(command, code, said)

    def commit(self, message: str = "Change") -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)


def ended(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float = PATIENCE
) -> tuple[int | None, str]:
    """Run a command to its end; return its code and what it printed.

    The code is None where it took longer and was killed; what then ran is told after its output.
    That goes to a file: the end of a pipe comes only when whatever else has it has ended too.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code, running = None, ""
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            told = ["ps", "-eo", "pid,ppid,etimes,stat,wchan:20,args", "--forest", "--width", "200"]
            running = subprocess.run(told, capture_output=True, text=True).stdout
        finally:
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        return code, said.read() + running


def clean_environment(home: Path, path: Sequence[str] = ()) -> dict[str, str]:
    """Return this process's environment without what is set for it, and with a home of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) or name in ("GIT_SSL_CAINFO",)
    }
    home.mkdir(exist_ok=True)
    cache = os.environ.get("UV_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    )
    own = str(Path(sys.executable).parent)
    inherited = [entry for entry in kept["PATH"].split(os.pathsep) if entry != own]
    return {
        **kept,
        **IDENTITY,
        **OFFLINE,
        "HOME": str(home),
        "PYTEST_DEBUG_TEMPROOT": str(home),  # or it would clear away after others at its end
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "UV_CACHE_DIR": cache,
        "PATH": os.pathsep.join([*path, *inherited]),
    }


def sharing(path: Path, beside: Path) -> Project:
    """Return a project whose commands run in the environment of these tests, with its own code."""
    (beside / "bin").mkdir(exist_ok=True)
    script = beside / "bin/mlops"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.append({str(path / 'engine/src')!r})\n"
        "from mlops.start import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    shared = [str(script.parent), str(Path(sys.executable).parent)]
    environment = clean_environment(beside / "home", shared)
    return Project(path, {**environment, "PYTHONPATH": str(path / "src")})


def files(folder: Path) -> dict[str, Path]:
    """Return every file that git would take from a folder of the template, by relative path."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = sorted(set(filter(None, listing.split("\0"))))
    return {name: folder / name for name in names if (folder / name).is_file()}


def once(base: Path, name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder that the first worker of a test run builds, while others wait for it.

    `base` is the worker's own folder for temporary files. What is in there is not to be changed.
    """
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, built = shared / name, shared / f"{name}.built"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            folder.mkdir()  # a build that failed once fails here again, and in its first words
            build(folder)
            built.touch()
    return folder
