"""Every wish of an owner is one pull request that edits nothing in engine/.

Examples of engine/docs through the workflows of the rehearsal: candidate, gate, promotion, merge,
release and an answer of what is released. Several make one pull request; test_owning.py has others.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import generate
from sweeps import thorough

from rehearsal.story import Story, states
from rehearsal.wishes import FIRST, JUDGING, MAKING, MEASURED, SECOND, documented, wishes


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    isolated: Path,
    machinery: tuple[dict[str, str], str],
) -> Iterator[Story]:
    """A repository that has data and no model yet."""
    environment, address = machinery
    folder = tmp_path_factory.mktemp("wishes")
    answers = {"container_registry": f"{address or 'localhost:5000'}/wishes"}
    project = generate(str(template), folder, isolated, answers)
    with Story(folder / "world", engine=environment) as story:
        story.settle(project)
        story.push(story.author.path, "main")
        yield story


@thorough
def test_wishes_are_pull_requests(world: Story) -> None:
    first = granted(world, FIRST)
    resolved = yaml.safe_load(world.at("main", "resolved.yaml"))
    assert resolved["data"]["source"]["reader"] == "months"
    assert resolved["features"]["cleaned"]["usage_hours"]["function"] == "capped"
    assert "can_leave" in resolved["features"]["derived"]
    assert first["unknown_metrics"]["names"] == ["lift"]

    second = granted(world, SECOND)
    assert second["champion"]["sha256"] == first["candidate"]["sha256"]
    assert second["unknown_metrics"]["names"] == []
    assert "model._target_" in {change["key"] for change in second["configuration"]}


def granted(world: Story, titles: tuple[str, ...]) -> dict[str, Any]:
    """Take examples through one pull request to what is served; return the gate's report."""
    branch = titles[0].lower().replace(" ", "-")
    world.begin(branch)
    for title in titles:
        documented()[title].grant(world.author.path)
    world.author.run("ruff", "check", "--quiet", "--fix", ".")  # as `make format` does
    world.author.run("ruff", "format", "--quiet", ".")
    changed = world.author.run("git", "status", "--porcelain", "-uall").stdout
    assert changed
    assert "engine/" not in changed
    world.author.commit("; ".join(titles))
    number, runs = world.propose(branch)
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    runs = world.accept(number)
    if world.engine:
        assert runs["release"].result == "success", runs["release"].output
        assert world.deployed()["model"] == world.declared() == world.served()
    return dict(json.loads(world.at("main", "deploy/production/gate.json")))


def test_every_example_is_taken() -> None:
    taken = {*FIRST, *SECOND, *JUDGING, *MAKING, *MEASURED}
    assert taken == set(documented())


def test_no_example_edits_the_engine() -> None:
    paths = [step.path for wish in documented().values() for step in wish.steps]
    assert not [path for path in paths if path.startswith("engine/")]


def test_an_example_is_read_as_it_is_written(tmp_path: Path) -> None:
    page = (
        "# Page\n\n## One\nText.\n\n`a.py`, added:\n```python\nimport os\n\n\ndef f(): ...\n```\n"
        "`c.yaml`, merged:\n```yaml\na: {b: 2}\n```\n\n## None\nNo file.\n"
    )
    (one,) = wishes(page)
    (tmp_path / "a.py").write_text('"""Module."""\n\nX = 1\n')
    (tmp_path / "c.yaml").write_text("a: {b: 1, c: 3}\n")
    one.grant(tmp_path)
    code = (tmp_path / "a.py").read_text()
    assert code.index("import os") < code.index("X = 1") < code.index("def f")
    assert (tmp_path / "c.yaml").read_text() == "a: {b: 2, c: 3}\n"
