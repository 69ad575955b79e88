"""Projects baked from the template."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import ROOT, Project, clean_environment, files
from cookiecutter.main import cookiecutter

Bake = Callable[..., Path]


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


@pytest.fixture
def bake(tmp_path: Path, isolated: Path, template: Path) -> Bake:
    """Generate a project with these answers."""

    def run(source: str = "", **answers: str) -> Path:
        return Path(
            cookiecutter(
                source or str(template),
                no_input=True,
                extra_context=answers,
                output_dir=str(tmp_path),
                config_file=str(isolated),
            )
        )

    return run


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    """A committed default project whose commands run in the environment of these tests."""
    path = bake()
    own = tmp_path / "bin"
    own.mkdir()
    script = own / "mlops"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom mlops.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    environment = clean_environment(
        tmp_path / "home", [str(own), str(Path(sys.executable).parent)]
    ) | {"PYTHONPATH": str(path / "src")}
    made = Project(path, environment)
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    made.commit("Start")
    return made


@pytest.fixture
def fresh(bake: Bake, tmp_path: Path) -> Project:
    """A default project on a machine where nothing is set up."""
    return Project(bake(), clean_environment(tmp_path / "home"))
