"""A generated project to measure, with an environment of its own, in build/bench."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "build/bench"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{PROJECT}/.venv/bin:{os.environ['PATH']}",
    "VIRTUAL_ENV": str(PROJECT / ".venv"),
    "DO_NOT_TRACK": "true",
}


class Cost(NamedTuple):
    """What a command took: seconds of wall clock, and the peak of its largest process in MiB."""

    seconds: float
    mebibytes: float


def generate() -> Path:
    """Generate the project anew from the working tree, and set it up."""
    baked = ["cookiecutter", "--no-input", "--overwrite-if-exists", "--output-dir", "build", "."]
    subprocess.run([*baked, "project_name=Bench"], cwd=ROOT, check=True)
    subprocess.run(["make", "setup"], cwd=PROJECT, check=True)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    subprocess.run([*git, "add", "--all"], cwd=PROJECT, check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "Bench"], cwd=PROJECT)
    return PROJECT


def measured(*command: str, folder: Path = PROJECT) -> Cost:
    """Run a command to its end and return its cost; a failure ends the benchmark."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.communicate()[1]
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    # The kernel keeps one peak for all children: exact where commands come in rising order.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Cost(seconds, peak / 1024)


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return sorted(values)[len(values) // 2]
