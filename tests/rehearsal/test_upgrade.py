"""The upgrade as a pull request: who may do what, and what becomes of a second run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from baked import SOURCE, Project, clean_environment, sharing
from cookiecutter.main import cookiecutter
from sweeps import thorough
from versions import edit, history, third

from rehearsal.github import git
from rehearsal.story import Story

BRANCH = "upgrade/template"


@pytest.fixture
def template_of(tmp_path: Path, template: Path) -> Project:
    """A template of two versions."""
    folder = tmp_path / "cookiecutter-git"
    history(template, folder, [third])
    return Project(folder, clean_environment(tmp_path / "template-home"))


@pytest.fixture
def story(tmp_path: Path, template_of: Project, isolated: Path) -> Iterator[Story]:
    """A repository on GitHub with a project of the first version, and no model yet."""
    told = {"no_input": True, "config_file": str(isolated), "output_dir": str(tmp_path)}
    made = Path(cookiecutter(f"file://{template_of.path}", checkout="v1", **told))
    with Story(tmp_path / "world") as story:
        made.rename(story.folder / "clone")
        author = sharing(story.folder / "clone", story.folder)
        author.run("git", "init", "--quiet", "--initial-branch", "main")
        author.commit("Start")
        author.run("git", "push", "--quiet", str(story.github.bare()), "main")
        yield story


def test_an_upgrade_comes_as_one_pull_request(story: Story) -> None:
    off = story.start("upgrade.yml", "schedule")
    assert {job.result for job in off.jobs.values()} == {"skipped"}
    story.variables = {**story.variables, "UPGRADE": "on"}
    run = story.start("upgrade.yml", "schedule")
    assert run.result == "success", run.output
    assert run.jobs["upgrade"].permissions == {"contents": "read"}
    assert run.jobs["propose"].permissions == {
        name: "write" for name in ("actions", "contents", "pull-requests")
    }
    assert story.github.dispatches == [("model.yml", BRANCH), ("check.yml", BRANCH)]
    (pull,) = story.github.pulls.values()
    assert pull.branch == BRANCH
    assert "# Upgrade from v1 to v2" in pull.body
    assert '"checkout": "v2"' in story.at(BRANCH, ".template.json")
    assert git(story.github.bare(), "rev-parse", f"{BRANCH}~1") == git(
        story.github.bare(), "rev-parse", "main"
    )
    tip = story.github.tip(BRANCH)
    again = story.start("upgrade.yml", "workflow_dispatch")
    assert again.result == "success", again.output
    assert (story.github.tip(BRANCH), len(story.github.pulls)) == (tip, 1)


@thorough
def test_what_stands_in_the_way_of_an_upgrade_is_said(story: Story, template_of: Project) -> None:
    story.variables = {**story.variables, "UPGRADE": "on"}
    story.start("upgrade.yml", "schedule")
    story.begin("theirs", BRANCH)
    story.write("notes.md", "by a person\n")
    story.author.commit("A person's")
    story.author.run("git", "push", "--quiet", str(story.github.bare()), f"HEAD:{BRANCH}")
    run = story.start("upgrade.yml", "schedule")
    assert run.result == "failure"
    assert "has commits of test@example.invalid, which would be lost" in run.output
    workflow = template_of.path / SOURCE.name / ".github/workflows/check.yml"
    edit(workflow, "timeout-minutes: 30", "timeout-minutes: 40")
    template_of.commit("v3")
    template_of.run("git", "tag", "v3")
    run = story.start("upgrade.yml", "schedule")
    assert run.jobs["upgrade"].result == "success", run.output
    assert "set the secret UPGRADE_TOKEN" in run.output
    story.begin("main")
    story.write("src/project/features.py", "of ours = alone\n")
    story.author.commit("Ours")
    story.author.run("git", "push", "--quiet", str(story.github.bare()), "main")
    run = story.start("upgrade.yml", "schedule")
    assert run.jobs["upgrade"].result == "failure"
    assert run.jobs["propose"].result == "skipped"
    assert "`src/project/features.py`: both changed it" in run.output
