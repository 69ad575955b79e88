"""Two projects of one repository on GitLab, from a merge request to production and back.

Each pipeline is run as its rules have it, so that a job that a neighbour's change started would be
seen; remote and data remotes are real, the container engine is a stand-in.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from baked import Project
from pipelines import MAIN, NIGHT, REGISTRY, REQUEST, Lab, installed, started, stored
from several import NAMES, project, repository
from sweeps import thorough

pytestmark = thorough


@pytest.fixture
def lab(template: Path, isolated: Path, tmp_path: Path) -> Lab:
    """Both with data of their own at a remote of their own, and nothing trained yet."""
    whole = repository(template, isolated, tmp_path / "company", dvc_remote="../../storage")
    remote = tmp_path / "remote.git"
    whole.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    whole.run("git", "remote", "add", "origin", str(remote))
    for name in NAMES:
        stored(project(whole, name), storage(tmp_path, name))
    whole.commit("Rows")
    whole.run("git", "push", "--quiet", "origin", "main")
    author = project(whole, NAMES[0])
    folders = [f"models/{name}" for name in NAMES]
    made = started(tmp_path, author, folders, ("mypy", "pytest"))
    installed(made, author.path)
    return made


def storage(folder: Path, name: str) -> Path:
    """Return where the data of a project are kept."""
    return folder / f"data-of-{name}"


def keys(lab: Lab) -> dict[str, str]:
    """Return what GitLab has as variables: for each project its own data remote, and no other."""
    remote = "['remote \"storage\"']\n    url = "
    own = {f"{name.upper()}_DVC_CONFIG": f"{remote}{storage(lab.folder, name)}\n" for name in NAMES}
    return {**REGISTRY, **own, "DVC_CONFIG": ""}


def state(lab: Lab, name: str) -> dict[str, Any]:
    """Return what there is of a project outside main: branches, images, data."""
    tips = lab.git("for-each-ref", "--format=%(refname) %(objectname)", "refs").splitlines()
    built = (lab.engine / "builds").read_text().split() if (lab.engine / "builds").exists() else []
    return {
        "branches": [tip for tip in tips if f"/{name}/" in tip],
        "images": [one for one in built if f"/{name}:" in one],
        "data": sorted(storage(lab.folder, name).rglob("*")),
    }


def changed(lab: Lab, name: str, branch: str) -> Project:
    """Push a branch on which a project has another note; return its author's place."""
    author = project(Project(lab.author.path.parents[1], lab.author.environment), name)
    author.run("git", "fetch", "--quiet")
    author.run("git", "checkout", "--quiet", "-B", branch, "origin/main")
    (author.path / "notes.md").write_text(f"{branch}\n")
    author.commit("Try")
    author.run("git", "push", "--quiet", "origin", branch)
    return author


def requested(lab: Lab, branch: str, name: str) -> tuple[set[str], str]:
    """Run the pipeline of a merge request."""
    since = lab.git("merge-base", "main", branch).strip()
    kind = {**REQUEST, **keys(lab), "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch}
    return lab.pipeline(f"{branch}-{name}", f"origin/{branch}", kind, since=since)


def merged(lab: Lab, author: Project, branch: str) -> tuple[set[str], str]:
    """Merge a branch as GitLab does, and run the pipeline that main has then."""
    before = lab.git("rev-parse", "main").strip()
    author.run("git", "fetch", "--quiet")
    author.run("git", "checkout", "--quiet", "-B", "main", "origin/main")
    author.run("git", "merge", "--quiet", "--no-ff", "-m", "Merge", f"origin/{branch}")
    author.run("git", "push", "--quiet", "origin", "main")
    return lab.pipeline(f"{branch}-merged", "origin/main", {**MAIN, **keys(lab)}, since=before)


def record(lab: Lab, name: str) -> dict[str, Any]:
    """Return what the deployment branch of a project records."""
    return dict(json.loads(lab.git("show", f"env/{name}/production:release.json")))


def test_each_goes_its_way_to_production_and_is_repaired_there(lab: Lab) -> None:
    for name, other in (NAMES, NAMES[::-1]):
        before = state(lab, other)
        branch = f"better-{name}"
        author = changed(lab, name, branch)
        ran, said = requested(lab, branch, "first")
        assert ran == {"repository", *(f"{name} {job}" for job in ("check", "judge", "push"))}, said
        subjects = lab.git("log", "--format=%s", f"main..{branch}").splitlines()
        assert subjects[1:] == ["Run the pipeline", "Try"], said
        assert subjects[0].startswith("Promote")
        paths = lab.git("diff", "--name-only", f"main...{branch}").splitlines()
        assert f"models/{name}/deploy/production/champion.dvc" in paths
        assert all(path.startswith(f"models/{name}/") for path in paths)
        ran, said = merged(lab, author, branch)
        assert ran == {"repository", f"{name} check", f"{name} release"}, said
        about = record(lab, name)
        assert about["commit"] == lab.git("rev-parse", "main").strip()
        assert about["image"] == f"ghcr.io/acme/{name}"
        assert len(state(lab, name)["images"]) == 1
        assert state(lab, other) == before
        assert REGISTRY["CI_REGISTRY_PASSWORD"] not in said

    # A change of the one that concerns no model: nothing of the other starts, and nothing moves.
    before_all = {name: state(lab, name) for name in NAMES}
    author = changed(lab, "fraud", "words")
    requested(lab, "words", "words")
    ran, said = merged(lab, author, "words")
    assert ran == {"repository", "fraud check", "fraud release"}, said
    assert {name: state(lab, name) for name in NAMES} == before_all

    # By night both look, and find all as declared though main is a commit of a neighbour.
    night = {**NIGHT, **keys(lab)}
    jobs = {"repository", *(f"{name} reconcile" for name in NAMES)}
    assert lab.pipeline("quiet", "origin/main", night)[0] == jobs
    assert {name: state(lab, name) for name in NAMES} == before_all

    # Where the branch of one is lost, or was written by somebody, its own job repairs it.
    records = {name: record(lab, name) for name in NAMES}
    lab.git("branch", "--delete", "--force", "env/churn/production")
    ran, said = lab.pipeline("lost", "origin/main", night)
    assert ran == jobs, said
    assert "branch env/churn/production is nothing" in said
    lab.git("branch", "--force", "env/churn/production", "env/fraud/production")
    ran, said = lab.pipeline("changed", "origin/main", night)
    assert ran == jobs, said
    assert state(lab, "fraud") == before_all["fraud"]
    for name in NAMES:
        now = {**record(lab, name), "commit": ""}
        assert now == {**records[name], "commit": ""}
    assert state(lab, "churn")["images"] == before_all["churn"]["images"]  # nothing was built
