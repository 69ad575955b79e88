"""Whoever may push a branch can write env/production: what does not hold is written over."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sweeps import thorough

from mlops.release import branch, deployment, releasing
from mlops.release.job_summary import outputs
from mlops.release.reconciliation import differences

BRANCH = "env/production"
FOREIGN = f"sha256:{'e' * 64}"


@pytest.fixture
def planned(
    yard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], releasing.Plan]:
    """Verify what HEAD declares, which is pushed to main; a release goes on from there."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    def plan() -> releasing.Plan:
        yard.push()
        commit = yard.workshop.git("rev-parse", "HEAD")
        out = tmp_path / "plans" / commit
        made = releasing.planned(yard.repository, "production", commit, out, None)
        assert made is not None
        (yard.root / releasing.OUT).mkdir(parents=True, exist_ok=True)
        return made

    return plan


def release(plan: releasing.Plan, said: list[str] | None = None) -> Mapping[str, str]:
    """Release it, and return what later steps are told, which attest it."""
    kept = [] if said is None else said
    return outputs([releasing.released(plan, lambda _, text: kept.append(text))])


def commit_beside(yard: Any) -> str:
    """Push a commit that follows main to a branch that nobody reviewed, and return it."""
    wip = yard.workshop.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "wip")
    yard.workshop.git("push", "-q", "origin", f"+{wip}:refs/heads/wip")
    return str(wip)


def forge(yard: Any, files: Mapping[str, Any] | None = None, **changed: str) -> None:
    """Write env/production as its own next commit, with some of its record or files changed."""
    now = deployment.deployed(yard.repository, "production")
    assert now is not None
    record = json.dumps({**json.loads(yard.branch() or "{}"), **changed})
    contents = {**now.entries, "release.json": record, **(files or {})}
    new = branch.made(yard.repository, contents, "by hand", "HEAD", now.commit)
    branch.move(yard.repository, BRANCH, new, now.commit)


def foreign(yard: Any) -> None:
    forge(yard, commit=commit_beside(yard), image="registry.invalid/other/x", tag="x",
          digest=FOREIGN, model="a" * 64)  # fmt: skip


def commit_alone(yard: Any) -> None:
    forge(yard, commit=commit_beside(yard))


def digest_beside(yard: Any) -> None:
    forge(yard, commit=commit_beside(yard), digest=FOREIGN)


def digest_of_main(yard: Any) -> None:
    """A record that counts, but for another digest under the tag: it must not lock the release."""
    forge(yard, digest=FOREIGN)


def no_commit(yard: Any) -> None:
    forge(yard, commit="f" * 40, digest=FOREIGN)


def other_environment(yard: Any) -> None:
    forge(yard, environment="staging")


def other_pins(yard: Any) -> None:
    forge(yard, {".env": f"IMAGE=registry.invalid/other/x@{FOREIGN}\n"})


def no_text(yard: Any) -> None:
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=yard.root, input=b"\xff\xfe{", check=True, capture_output=True,
    ).stdout.decode().strip()  # fmt: skip
    now = deployment.deployed(yard.repository, "production")
    assert now is not None
    forge(yard, {"release.json": now.entries["release.json"]._replace(object=blob)})


def link(yard: Any) -> None:
    now = deployment.deployed(yard.repository, "production")
    assert now is not None
    forge(yard, {"release.json": now.entries[".env"]._replace(mode="120000")})


FORGERIES = [foreign, digest_of_main, commit_alone, digest_beside, no_commit, other_environment,
             other_pins, no_text, link]  # fmt: skip


def test_what_somebody_wrote_is_written_over(
    yard: Any, planned: Callable[[], releasing.Plan]
) -> None:
    plan = planned()
    assert release(plan)["built"] == "true"
    right, pins = yard.record(), yard.branch(".env")
    for count, forgery in enumerate(FORGERIES, 1):
        forgery(yard)
        assert differences(plan), forgery
        told = release(plan)
        assert told["digest"] == yard.record()["digest"] != FOREIGN, forgery
        assert {**yard.record(), "digest": ""} == {**right, "digest": ""}, forgery
        assert (yard.branch(".env") == pins) == (told["digest"] == right["digest"])
        assert not differences(plan), forgery
        assert len(yard.line()) == 1 + 2 * count  # forward, whatever somebody wrote
        right, pins = yard.record(), yard.branch(".env")
    assert yard.builds() == 2  # where the record counted, and registry and record disagreed


def as_main(yard: Any) -> None:
    """What the later commit of main declares, with another image."""
    forge(yard, {".env": f"IMAGE=registry.invalid/acme/demo@{FOREIGN}\n"}, digest=FOREIGN)


@thorough
def test_what_claims_to_be_of_a_later_commit_is_checked(
    yard: Any, planned: Callable[[], releasing.Plan]
) -> None:
    """A later release is left, and not attested by this run; what only says so is written over."""
    older = planned()
    yard.workshop.write("deploy/compose.yaml", "services: {}\n")
    yard.workshop.commit("later")
    newer = planned()
    release(newer)
    line = yard.line()
    assert release(older) == {"released": "false"}
    assert yard.line() == line
    for forgery in (as_main, foreign, other_pins, digest_beside):
        forgery(yard)
        said: list[str] = []
        assert release(older, said)["digest"] != FOREIGN
        assert said[0].endswith("it does not count"), forgery
        told = release(newer)
        assert told["digest"] == yard.record()["digest"] != FOREIGN, forgery
        assert yard.record()["commit"] == newer.commit
        assert not differences(newer), forgery


def test_a_branch_that_somebody_began_is_no_release(
    yard: Any, planned: Callable[[], releasing.Plan]
) -> None:
    """As long as nothing was released: the first record is not the first that counts."""
    files = {"release.json": json.dumps({"commit": commit_beside(yard)}), "other": "x"}
    begun = branch.made(yard.repository, files, "x", "HEAD", None)
    branch.move(yard.repository, BRANCH, begun, None)
    assert release(planned())["digest"] == yard.record()["digest"]
    assert yard.branch("other") is None
