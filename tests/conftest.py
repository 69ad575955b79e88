"""Projects baked from the template."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import ROOT, Project, clean_environment, files, once, sharing
from cookiecutter.main import cookiecutter

Bake = Callable[..., Path]
# Begun first, so that no worker is left alone with one of them at the end.
LONGEST = (
    "rehearsal/test_story.py",
    "rehearsal/test_wishes.py",
    "test_experiments.py",
    "test_remedies.py",
    "test_project.py",
    "engine/release/releasing/test_releasing.py",
)


SLOW = 60.0  # seconds


class Timeline:
    """Says when a test has taken long, so that a run that is cut off tells where the time went."""

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._start = config, time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a line for a slow part of a test."""
        if report.duration < SLOW:
            return
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        terminal.ensure_newline()
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        took = f"{report.when} took {report.duration:.0f} s"
        terminal.write_line(f"{minutes:3}:{seconds:02} {report.nodeid}: {took}")


def pytest_configure(config: pytest.Config) -> None:
    """Have the process that reports keep the timeline."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Timeline(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file, and of the others, the order stays."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cookiecutter configuration without anyone's defaults, and a replay folder of its own."""
    folder = tmp_path_factory.mktemp("cookiecutter")
    config = folder / "config.yaml"
    config.write_text(f"cookiecutters_dir: {folder}/repos\nreplay_dir: {folder}/replay\n")
    return config


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds what git would commit of the template, and nothing else."""
    folder = tmp_path_factory.mktemp("template") / "cookiecutter-gitops-mlops"
    for name, path in files(ROOT).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
    committed = Project(folder, clean_environment(folder.parent / "home"))
    committed.run("git", "init", "--quiet", "--initial-branch", "main")
    committed.commit("Template")
    return folder


def generate(
    template: str,
    output: Path,
    config: Path,
    answers: dict[str, str],
    checkout: str | None = None,
) -> Path:
    """Generate a project without asking."""
    made = cookiecutter(
        template,
        no_input=True,
        checkout=checkout,
        extra_context=answers,
        output_dir=str(output),
        config_file=str(config),
    )
    return Path(made)


@pytest.fixture
def bake(tmp_path: Path, isolated: Path, template: Path) -> Bake:
    """Generate a project with these answers."""

    def run(source: str = "", **answers: str) -> Path:
        return generate(source or str(template), tmp_path, isolated, answers)

    return run


@pytest.fixture
def fresh(bake: Bake, tmp_path: Path) -> Project:
    """A default project on a machine where nothing is set up."""
    return Project(bake(), clean_environment(tmp_path / "home"))


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    """A default project whose commands run in the environment of these tests."""
    return sharing(bake(), tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, isolated: Path, template: Path) -> Project:
    """A committed project that ran its pipeline on a small sample: copy it before changing it."""

    def build(folder: Path) -> None:
        made = sharing(generate(str(template), folder, isolated, {}), folder)
        made.run("git", "init", "--quiet", "--initial-branch", "main")
        made.run("mlops", "sample", "--rows", "2000", "--months", "3")
        made.run("dvc", "add", "--quiet", "data/raw")
        made.commit("Start")
        made.run("dvc", "repro")
        made.commit("Candidate")

    folder = once(tmp_path_factory.getbasetemp(), "finished", build)
    return sharing(folder / "customer-churn", tmp_path_factory.mktemp("finished"))


@pytest.fixture
def candidate(finished: Project, tmp_path: Path) -> Project:
    """A copy of the project that ran its pipeline."""
    path = tmp_path / finished.path.name
    shutil.copytree(finished.path, path, symlinks=True)
    return sharing(path, tmp_path)
