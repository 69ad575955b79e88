"""A champion and its challenger in one image, and steps that need neither build nor restart."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import thorough

from mlops.bundle.verdict import VerdictError
from mlops.impact.steps import start
from mlops.release import challenger, proposal, releasing
from mlops.release.challenger import ChallengerError
from mlops.rollout.declaration import Primary

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("tracked")]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FOLDER = "deploy/production"


@pytest.fixture(scope="session")
def tried(founded: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The good one, gated, as the challenger of the middle one, merged; not to be changed."""
    workshop = type(founded).copied(founded, tmp_path_factory.mktemp("tried"))
    workshop.branch("good")
    assert workshop.gate() == 0
    start(workshop.repository, "production", Primary("value"), now=NOW)
    workshop.commit("Try it")
    workshop.merge()
    return workshop


def image(yard: Any) -> Path:
    """Return the folder that stands in for the image that the branch names."""
    record = yard.record()
    name = hashlib.sha256(f"{record['image']}:{record['tag']}".encode()).hexdigest()[:16]
    return Path(yard.engine) / "images" / name


@pytest.fixture
def following(yard: Any, tried: Any) -> Any:
    """The yard after the challenger was merged."""
    yard.workshop.git("fetch", "-q", str(tried.root), "main")
    yard.workshop.git("reset", "-q", "--hard", "FETCH_HEAD")
    return yard


def test_the_image_has_both_and_a_step_is_a_file_of_the_branch(following: Any) -> None:
    yard, workshop = following, following.workshop
    workshop.git("checkout", "-q", "HEAD~1")
    before = workshop.git("rev-parse", "HEAD")
    workshop.git("checkout", "-q", "main")
    workshop.git("push", "-q", "--force", "origin", f"{before}:main")
    assert workshop.mlops("release", "--commit", before) == 0
    plain = yard.record()
    assert not (image(yard) / "challenger").exists()
    assert yard.release() == 0
    assert yard.record()["model"] == plain["model"]
    about = json.loads((image(yard) / "about.json").read_text())
    digest = workshop.bundle_digest("good")
    assert (about["CHALLENGER"], about["CHALLENGER_MODEL"]) == ("challenger", digest)
    held = (image(yard) / "challenger/manifest.json").read_bytes()
    assert hashlib.sha256(held).hexdigest() == digest
    declared = (yard.root / FOLDER / "experiment.yaml").read_text()
    assert yard.branch("experiment/experiment.yaml") == declared
    assert yard.branch("kubernetes/experiment.yaml") == declared
    content = yaml.safe_load(yard.branch("kubernetes/kustomization.yaml"))
    (mapped,) = content["configMapGenerator"]
    assert (mapped["name"], mapped["files"]) == ("experiment", ["experiment.yaml"])
    assert mapped["options"] == {"disableNameSuffixHash": True}  # or each step restarts all pods
    assert workshop.mlops("reconcile", "--check") == 0

    workshop.replace(f"{FOLDER}/experiment.yaml", "step: 0", "step: 1")
    workshop.commit("Further")
    both = yard.record()
    assert yard.release() == 0
    assert {**yard.record(), "commit": both["commit"]} == both
    assert "step: 1" in yard.branch("experiment/experiment.yaml")
    assert yard.builds() == 2

    assert workshop.mlops("experiment", "stop", "--why", "enough") == 0
    workshop.commit("Stop")
    assert yard.release() == 0
    assert {**yard.record(), "commit": plain["commit"]} == plain  # without a build
    assert yard.branch("experiment/experiment.yaml") is None
    assert "configMapGenerator" not in yaml.safe_load(yard.branch("kubernetes/kustomization.yaml"))
    assert yard.builds() == 2


@thorough
def test_a_challenger_without_evidence_is_not_released(following: Any, tmp_path: Path) -> None:
    workshop, path = following.workshop, Path(following.root, FOLDER, "challenger.gate.json")
    whole = path.read_text()
    content = json.loads(whole)

    def planned(text: str | None) -> Any:
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        workshop.commit("Evidence")
        following.push()
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "bundle"
        head = workshop.git("rev-parse", "HEAD")
        return releasing.planned(workshop.repository, "production", head, out, None)

    for text in (json.dumps({**content, "seed": 9}), "{}"):
        with pytest.raises(VerdictError, match="run `make gate` again"):
            planned(text)
    with pytest.raises(ChallengerError, match=r"has no deploy/production/challenger.gate.json as"):
        planned(None)
    path.write_text(whole)
    workshop.commit("As it was")
    assert planned(whole).second is not None  # as that says


def test_an_experiment_of_another_champion_is_left_out(following: Any) -> None:
    """As after a revert: what is declared is served, and servers say that nobody is compared."""
    path = Path(following.root, FOLDER, "experiment.yaml")
    content = yaml.safe_load(path.read_text()) | {"champion": "c" * 64}
    path.write_text(yaml.safe_dump(content))
    following.workshop.commit("Another champion")
    assert following.release() == 0
    assert not (image(following) / "challenger").exists()


def test_its_pull_request_is_verified_and_not_promoted(following: Any) -> None:
    """Also where automation makes the report anew, as for a candidate."""
    workshop = following.workshop
    repository = workshop.repository
    before = workshop.git("rev-parse", "HEAD~1")
    workshop.put("good")
    assert proposal.verify(repository, before) == ["the challenger of production"]
    assert proposal.known(repository, "HEAD").startswith("this candidate is the challenger")
    assert not proposal.known(repository, before)
    head = workshop.git("rev-parse", "HEAD")
    assert workshop.mlops("promote", "--against", before) == 0
    assert workshop.git("rev-parse", "HEAD") == head
    path = Path(following.root, FOLDER, "challenger.gate.json")
    path.write_text("{}\n")
    workshop.commit("Lost")
    with pytest.raises(VerdictError, match="run `make gate` again"):
        proposal.verify(repository, before)
    assert workshop.gate(before) == 0
    assert workshop.mlops("promote", "--against", before) == 0
    assert proposal.verify(repository, before) == ["the challenger of production"]
    one = challenger.challenged(repository, "HEAD", "production")
    assert one is not None
    assert not one.pending
