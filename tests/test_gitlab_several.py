"""Several projects on GitLab: one pipeline, in which each has the jobs of what changed of it."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE, Project, sharing
from linting import run, tool
from pipelines import EVERY, MAIN, NIGHT, REGISTRY, REQUEST, Lab, Runner, started, told
from several import NAMES, follow, project, refused, repository

COMMANDS = re.compile(r"`((?:git|make) [^`]+)`")  # beside them, files are named
TOP = ".gitlab-ci.yml"
OWN = ".gitlab/projects"


@pytest.fixture(scope="module")
def made(template: Path, isolated: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository of two projects as GitLab has it: copy it before changing it."""
    whole = repository(template, isolated, tmp_path_factory.mktemp("several") / "company")
    whole.run("git", "remote", "add", "origin", "https://gitlab.invalid/acme/company.git")
    whole.run("git", "update-ref", "refs/remotes/origin/main", "HEAD")
    whole.run("git", "remote", "set-head", "origin", "main")
    return whole


@pytest.fixture
def whole(made: Project, tmp_path: Path) -> Project:
    """The same, to change."""
    shutil.copytree(made.path, tmp_path / "company", symlinks=True)
    return sharing(tmp_path / "company", tmp_path)


def runner(whole: Project) -> Runner:
    return Runner(whole.path, whole.environment)


@pytest.mark.parametrize(
    ("kind", "path", "jobs"),
    [
        (REQUEST, "models/churn/.dvc/deep/file", {"churn check", "churn judge", "churn push"}),
        (REQUEST, "models/churn-eu/notes.md", set()),
        (REQUEST, "README.md", set()),
        (MAIN, "models/fraud/params.yaml", {"fraud check", "fraud release"}),
    ],
    ids=["churn", "likeness", "top", "main"],
)
def test_a_change_has_jobs_of_whose_it_is(
    whole: Project, kind: Mapping[str, str], path: str, jobs: set[str]
) -> None:
    """And one of the repository's in any case: a merge request waits for a pipeline."""
    (whole.path / path).parent.mkdir(parents=True, exist_ok=True)
    (whole.path / path).write_text("changed\n")
    whole.commit()
    assert runner(whole).jobs(kind) == jobs | {"repository"}


def test_at_night_each_has_what_its_own_variables_say(made: Project) -> None:
    kind = {**NIGHT, "CHURN_MONITOR_LOG": "s3://log", "FRAUD_PREDICT_INPUT": "s3://in"}
    neither = {"MONITOR_LOG": "s3://log", "PREDICT_INPUT": "s3://in", "INGEST": "on"}
    expected = {"repository", "churn reconcile", "fraud reconcile"}
    assert runner(made).jobs({**NIGHT, **neither}, *EVERY) == expected
    own = {"churn monitor", "churn alert", "churn refresh", "fraud predict"}
    assert runner(made).jobs(kind, *EVERY) == expected | own


def content(made: Project, name: str) -> dict[str, Any]:
    text = (made.path / OWN / f"{name}.yml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def claims(value: Any) -> Iterator[str]:
    """Yield what jobs claim that a repository has once."""
    for job in value.values():
        if not isinstance(job, dict):
            continue
        for key in ("resource_group", "environment", "cache"):
            if key in job:
                yield f"{key} {job[key]}"
        artifacts = job.get("artifacts", {})
        yield from artifacts.get("paths", [])
        yield from (f"report {one}" for one in artifacts.get("reports", {}).values())
        if "expose_as" in artifacts:
            yield f"exposed {artifacts['expose_as']}"


def test_nothing_that_a_repository_has_once_is_of_two(made: Project) -> None:
    churn, fraud = (content(made, name) for name in NAMES)
    assert not churn.keys() & fraud.keys()
    assert all(name.lstrip(".").startswith("churn ") for name in churn)
    own = set(claims(churn))
    assert len(own) > 10
    assert {one.replace("churn", "fraud") for one in own} == set(claims(fraud))
    assert not own & set(claims(fraud))
    for key in ("workflow", "stages", "default", "variables"):
        assert key not in churn


def test_the_schema_has_nothing_to_say(made: Project) -> None:
    schema = (tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci")
    assert run(*schema, made.path / TOP, *sorted((made.path / OWN).glob("*.yml"))) == ""
    told = yaml.safe_load((made.path / TOP).read_text())
    own = yaml.safe_load((SOURCE / TOP).read_text())
    assert told["stages"] == own["stages"]
    whens = [rule["if"] for rule in told["workflow"]["rules"]]
    assert whens == [rule["if"] for rule in own["workflow"]["rules"]]


def test_each_script_begins_in_the_folder(made: Project) -> None:
    jobs = {name: job for name, job in content(made, "churn").items() if isinstance(job, dict)}
    first = 'cd "$CI_PROJECT_DIR/models/churn"\ntest -z "$CHURN_DVC_CONFIG" || '
    scripts = [
        job[part]
        for job in jobs.values()
        for part in ("before_script", "script", "after_script")
        if part in job
    ]
    assert len(scripts) > 12
    assert all(script[0].startswith(first) for script in scripts)


OWNERS_JOB = """
tell:
  stage: judge
  rules:
    - exists: [params.yaml]
  cache: []
  script:
    - mkdir -p build
    - printf '%s %s %s' "$PWD" "$DVC_CONFIG" "$LOG_CONFIG" > build/told
    - test -f params.yaml
  after_script:
    - test -f build/told
  artifacts:
    paths: [build/told]
"""


def test_a_job_of_the_owner_runs_in_the_folder_with_what_is_its_projects(whole: Project) -> None:
    churn = project(whole, "churn")
    with (churn.path / TOP).open("a") as pipeline:
        pipeline.write(OWNERS_JOB)
    said = refused(churn, "--check")
    assert f"{OWN}/churn.yml is not what models/churn comes to" in said
    follow(churn, said, COMMANDS)
    churn.run("mlops", "workflows", "--check")
    whole.commit()
    place = {"CI_PROJECT_DIR": str(whole.path)}  # which a shell has elsewhere than a container
    variables = {
        **REQUEST,
        **place,
        "DVC_CONFIG": "common",
        "CHURN_DVC_CONFIG": "own",
        "LOG_CONFIG": "all",
    }
    runner(whole).local("churn tell", "--force-shell-executor", *told(variables))
    where, *settings = (churn.path / "build/told").read_text().split(" ")
    assert where.endswith("/models/churn")
    assert settings == ["own", "all"]


def test_what_was_edited_by_hand_is_refused_until_the_remedy(whole: Project) -> None:
    churn, path = project(whole, "churn"), whole.path / OWN / "churn.yml"
    path.write_text(path.read_text().replace("timeout: 6 hours", "timeout: 1 minute"))
    whole.commit()
    said = refused(churn, "--check")
    assert f"{OWN}/churn.yml was edited by hand: change models/churn/{TOP}" in said
    assert refused(churn) == said
    assert "timeout: 1 minute" in path.read_text()  # nothing was overwritten
    follow(churn, said, COMMANDS)
    churn.run("mlops", "workflows", "--check")
    assert "timeout: 6 hours" in path.read_text()


def test_a_project_that_was_moved_is_refused_until_its_jobs_follow(whole: Project) -> None:
    (whole.path / "ml").mkdir()
    whole.run("git", "rm", "--quiet", "-r", "models/churn/.github", ".github")
    whole.run("git", "mv", "models/churn", "ml/leaving")
    moved = sharing(whole.path / "ml/leaving", whole.path.parent)
    said = refused(moved, "--check")
    assert f"{OWN}/churn.yml is of models/churn, and churn is in ml/leaving" in said
    follow(moved, said, COMMANDS)
    moved.run("mlops", "workflows", "--check")
    text = (whole.path / OWN / "churn.yml").read_text()
    assert 'cd "$CI_PROJECT_DIR/ml/leaving"' in text
    assert "models/churn" not in text
    project(whole, "fraud").run("mlops", "workflows")  # which has GitHub's as well


def test_the_pipeline_at_the_top_is_the_owners_as_long_as_it_includes_the_projects(
    whole: Project,
) -> None:
    churn, top = project(whole, "churn"), whole.path / TOP
    top.write_text(f"{top.read_text()}\npages:\n  script: [make site]\n")
    churn.run("mlops", "workflows", "--check")
    top.write_text(f"# {OWN}/*.yml\npages:\n  script: [make site]\n")
    said = refused(churn)
    assert "does not include the projects" in said
    (remedy,) = re.findall(r"`(include: [^`]+)`", said)
    top.write_text(f"{remedy}\n{top.read_text()}")
    churn.run("mlops", "workflows")
    assert "pages:" in top.read_text()
    top.unlink()
    assert f"{TOP} is not what models/churn comes to" in refused(churn, "--check")
    churn.run("mlops", "workflows")
    assert f"local: {OWN}/*.yml" in top.read_text()


def test_a_project_without_a_pipeline_has_no_jobs(whole: Project) -> None:
    churn = project(whole, "churn")
    (churn.path / TOP).unlink()
    churn.run("mlops", "workflows")
    assert [path.name for path in (whole.path / OWN).iterdir()] == ["fraud.yml"]


def test_the_owners_of_one_own_its_jobs(whole: Project) -> None:
    text = (whole.path / ".github/CODEOWNERS").read_text()
    for line in ("/.gitlab-ci.yml @acme", "/.gitlab/ @acme", f"/{OWN}/churn.yml @acme"):
        assert text.splitlines().count(line) == 1, line
    for name in NAMES:  # as GitLab reads it
        whole.run("mkdir", "-p", f"models/{name}/.gitlab")
        whole.run(
            "git", "mv", f"models/{name}/.github/CODEOWNERS", f"models/{name}/.gitlab/CODEOWNERS"
        )
    whole.run("git", "mv", ".github/CODEOWNERS", ".gitlab/CODEOWNERS")
    for name in NAMES:
        project(whole, name).run("mlops", "workflows", "--check")
    assert (whole.path / ".gitlab/CODEOWNERS").read_text() == text


@pytest.fixture
def lab(whole: Project, tmp_path: Path) -> Lab:
    """The two projects where nothing was trained yet, at a real remote."""
    author = project(whole, "churn")
    remote = tmp_path / "remote.git"
    whole.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    whole.run("git", "remote", "set-url", "origin", str(remote))
    whole.run("git", "push", "--quiet", "origin", "main")
    (author.path / ".dvc/config.local").touch()
    folders = [f"models/{name}" for name in NAMES]
    return started(tmp_path, author, folders, ("mypy", "pytest", "ruff"))


def test_jobs_of_main_run_for_what_changed_and_at_night_for_all(lab: Lab) -> None:
    """Where nothing is declared nothing is deployed; what somebody deployed fails its own job."""
    (lab.author.path / "notes.md").write_text("Notes\n")
    lab.author.commit()
    lab.author.run("git", "push", "--quiet", "origin", "main")
    kind = {**MAIN, **REGISTRY}
    ran, said = lab.pipeline("merged", "origin/main", kind, since="origin/main^")
    assert ran == {"repository", "churn check", "churn release"}, said
    assert lab.branches() == {"main"}
    lab.git("branch", "env/fraud/production", "main")
    kind, wrong = {**NIGHT, **REGISTRY}, "fraud reconcile"
    ran, said = lab.pipeline("night", "origin/main", kind, fails=wrong)
    assert ran == {"repository", "churn reconcile", wrong}, said
    assert "env/fraud/production" in said
    assert REGISTRY["CI_REGISTRY_PASSWORD"] not in said
