"""A project knows whether its engine is as the template made it."""

import shutil
import tomllib
from pathlib import Path

from baked import SOURCE

from mlops import engine


def test_the_engine_states_its_version_and_digest() -> None:
    folder = SOURCE / "engine"
    about = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert about["version"] == (folder / "VERSION").read_text().strip()
    stated = (folder / "DIGEST").read_text().strip()
    assert stated == engine.digest(folder), "the engine was edited: run `make digest`, commit it"


def test_an_edited_engine_is_told(tmp_path: Path) -> None:
    shutil.copytree(SOURCE / "engine", tmp_path / "engine")
    assert engine.state(tmp_path).intact
    (tmp_path / "engine/tasks.mk").write_text("all:\n")
    assert not engine.state(tmp_path).intact
