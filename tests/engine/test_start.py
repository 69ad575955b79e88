"""The command runs the code of the folder it is started in, whichever project installed it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baked import SOURCE

SHOW = "import mlops, project.features; print(mlops.__file__); print(project.features.__file__)"
# As an editable installation has it: the engine of one project is on the path of every command.
ENTRY = """
import sys
sys.path.append({installed!r})
from pathlib import Path
from mlops import start
start.use(Path.cwd())
{then}
"""


@pytest.fixture
def projects(tmp_path: Path) -> tuple[Path, Path]:
    """The project whose environment is active, and another one."""
    for name in ("active", "other"):
        for part in ("engine/src", "src"):
            shutil.copytree(SOURCE / part, tmp_path / name / part)
    return tmp_path / "active", tmp_path / "other"


def shown(active: Path, folder: Path, then: str = SHOW) -> list[str]:
    entry = ENTRY.format(installed=str(active / "engine/src"), then=then)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", entry],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_folders_own_code_runs(projects: tuple[Path, Path]) -> None:
    active, other = projects
    for folder in (active, other):
        assert all(Path(file).is_relative_to(folder) for file in shown(active, folder))


def test_so_do_the_processes_that_it_starts(projects: tuple[Path, Path]) -> None:
    active, other = projects
    child = f"import subprocess; subprocess.run([sys.executable, '-P', '-c', {SHOW!r}], check=True)"
    assert all(Path(file).is_relative_to(other) for file in shown(active, other, child))


def test_where_there_is_no_engine_the_installed_one_runs(
    projects: tuple[Path, Path], tmp_path: Path
) -> None:
    active, _ = projects
    (file,) = shown(active, tmp_path, "import mlops; print(mlops.__file__)")
    assert Path(file).is_relative_to(active)
