"""Every wish of an owner is one pull request that edits nothing in engine/.

The examples of engine/docs, one after the other, through the workflows of the rehearsal: candidate,
gate, promotion, merge, release and an answer of what is released.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from baked import SOURCE
from conftest import generate

from rehearsal.story import Story, in_production, states
from rehearsal.wishes import Wish, wishes

PAGES = [SOURCE / "engine/docs" / name for name in ("owning.md",)]
WISHES = [wish for page in PAGES for wish in wishes(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    isolated: Path,
    machinery: tuple[dict[str, str], str],
) -> Iterator[Story]:
    """A repository whose first model is in production."""
    environment, address = machinery
    folder = tmp_path_factory.mktemp("wishes")
    answers = {"container_registry": f"{address or 'localhost:5000'}/wishes"}
    project = generate(str(template), folder, isolated, answers)
    with in_production(folder, project, environment) as story:
        yield story


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.title)
def test_a_wish_is_one_pull_request(world: Story, wish: Wish) -> None:
    branch = wish.title.lower().replace(" ", "-")
    before = world.declared()
    world.begin(branch)
    wish.grant(world.author.path)
    world.author.run("ruff", "check", "--quiet", "--fix", ".")  # as `make format` does
    world.author.run("ruff", "format", "--quiet", ".")
    changed = world.author.run("git", "status", "--porcelain", "-uall").stdout
    assert changed
    assert "engine/" not in changed
    world.author.commit(wish.title)
    number, runs = world.propose(branch)
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    runs = world.accept(number)
    assert world.declared() != before
    if world.engine:
        assert runs["release"].result == "success", runs["release"].output
        assert world.deployed()["model"] == world.declared() == world.served()


def test_the_pages_have_an_example_of_each_wish() -> None:
    assert len(WISHES) >= 7
    assert not [s.path for w in WISHES for s in w.steps if s.path.startswith("engine/")]


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
    assert (tmp_path / "c.yaml").read_text() == "a:\n  b: 2\n  c: 3\n"
