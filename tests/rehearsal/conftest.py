"""What every story needs, and a world for the tests of the rehearsal itself."""

import os
from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
from baked import ROOT

from rehearsal.github import git
from rehearsal.world import RULESET, World

REASON = engine.lacking()


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of a container engine, and the address of a registry; empty without one."""
    if REASON:
        assert not os.environ.get(engine.REQUIRED), REASON
        yield {}, ""
        return
    own = tmp_path_factory.mktemp("engine")
    environment = engine.prepare(ROOT / "build/engine", own)
    with engine.registry(own) as address:
        plain = own / "registries.conf"
        plain.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        yield {**environment, "CONTAINERS_REGISTRIES_CONF": str(plain)}, address


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A repository with one workflow."""
    with World(tmp_path / "world", {"KEY": "s3cret-key"}, {"COLOUR": "red"}) as made:
        git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(made.clone))
        made.write("engine/github/rulesets/main.json", RULESET)
        yield made
