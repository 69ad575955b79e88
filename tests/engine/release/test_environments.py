"""What a merge leaves on main holds by git alone, or is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeps import some

from mlops.bundle import manifest
from mlops.errors import ProjectError
from mlops.git import dvc
from mlops.git.repository import Repository
from mlops.release.environments import EnvironmentsError, Verified, introduced, order, verify

RELEASE = "deploy/production/release.yaml"
ORDER = "deploy/environments.yaml"


@pytest.fixture(scope="session")
def promoted(second_judged: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A branch with a promotion of the good one over the middle one; not to be changed."""
    place = tmp_path_factory.mktemp("promoted")
    workshop = type(second_judged).copied(second_judged, place)
    assert workshop.mlops("promote") == 0
    return workshop


@pytest.fixture
def ready(promoted: Any, copy: Any) -> Any:
    return copy(promoted)


def checked(workshop: Any, ref: str = "main", environment: str = "production") -> Verified | None:
    commit = workshop.repository.commit_of(ref)
    return verify(workshop.repository, commit, environment, workshop.root.parent / "out" / commit)


def merged(ready: Any) -> None:
    ready.merge()


def squashed(ready: Any) -> None:
    ready.git("checkout", "-q", "main")
    ready.git("merge", "-q", "--squash", "branch")
    ready.commit("Better (#7)")


def rebased(ready: Any) -> None:
    ready.git("checkout", "-q", "main")
    ready.write("other.txt", "x")
    ready.commit()
    ready.git("checkout", "-q", "branch")
    ready.git("rebase", "-q", "main")
    ready.git("checkout", "-q", "main")
    ready.git("merge", "-q", "--ff-only", "branch")


@pytest.mark.parametrize("how", [merged, squashed, rebased])
def test_every_way_to_merge_keeps_the_evidence(ready: Any, how: Callable[[Any], None]) -> None:
    how(ready)
    ready.write("later.txt", "x")
    ready.commit()
    found = checked(ready)
    assert found is not None
    assert manifest.bundle_digest(found.folder) == ready.bundle_digest("good")
    assert found.base == ready.git("rev-parse", "main~2")
    assert found.introduced == ready.git("rev-parse", "main~1")


def test_a_revert_returns_to_the_evidence_of_then(ready: Any) -> None:
    then = ready.git("rev-parse", "main")
    ready.merge()
    ready.git("revert", "--no-edit", "-m", "1", "HEAD")
    found = checked(ready)
    assert found is not None
    assert found.introduced == then
    assert found.declared.declaration.bundle_digest == ready.bundle_digest("middle")
    ready.git("revert", "--no-edit", "HEAD")
    found = checked(ready)
    assert found is not None
    assert found.declared.declaration.bundle_digest == ready.bundle_digest("good")
    assert found.introduced == ready.git("rev-parse", "main~2")


def test_where_nothing_is_declared_nothing_is_served(built: Any) -> None:
    assert checked(built) is None


def test_what_was_judged_against_an_older_champion_is_refused(ready: Any) -> None:
    ready.edit("good", "liked", lambda content: content.update(note="liked"))
    ready.promoted("liked", "other")
    ready.merge("other")
    ready.git("merge", "-q", "--no-ff", "--no-edit", "-X", "theirs", "branch")
    with pytest.raises(ProjectError, match="judged another champion"):
        checked(ready)


def policy_changed(ready: Any) -> None:
    ready.replace("conf/gate/standard.yaml", "at_least: 0.6,", "at_least: 0.62,")


def name_changed(ready: Any) -> None:
    ready.replace(RELEASE, "primary: roc_auc", "primary: log_loss")


def image_changed(ready: Any) -> None:
    ready.replace(RELEASE, "image: ", "image: evil.example/")


def another_bundle(ready: Any) -> None:
    good, poor = (ready.bundle_digest(which) for which in ("good", "poor"))
    ready.replace(RELEASE, f"manifest: {good}", f"manifest: {poor}")


def another_pointer(ready: Any) -> None:
    good, poor = (dvc.dvc_digest(ready.root / "trained" / w) for w in ("good", "poor"))
    ready.replace("deploy/production/champion.dvc", good, poor)


def file_lost(ready: Any) -> None:
    (ready.root / RELEASE).unlink()


def written_otherwise(ready: Any) -> None:
    ready.replace(RELEASE, "format: 1", "format:  1")


def report_edited(ready: Any) -> None:
    ready.replace("deploy/production/gate.json", '"verdict": "passed"', '"verdict": "rejected"')


@pytest.mark.parametrize(
    ("harm", "said"),
    some(
        [
            (name_changed, "does not name the bundle"),
            (image_changed, "disagree about image"),
            (another_bundle, "judged another candidate"),
            (another_pointer, "is"),
            (file_lost, "lacks deploy/production/release.yaml"),
            (written_otherwise, "not as promote wrote it"),
            (report_edited, "changed after it was written"),
        ],
        every=2,
    ),
)
def test_what_was_changed_on_the_way_to_main_is_refused(
    ready: Any, harm: Callable[[Any], None], said: str
) -> None:
    harm(ready)
    ready.commit()
    ready.merge()
    with pytest.raises(ProjectError, match=said):
        checked(ready)


def test_the_policy_is_that_of_main_before_the_merge(ready: Any) -> None:
    policy_changed(ready)
    ready.commit()
    ready.merge()
    assert checked(ready) is not None  # it holds from now on
    ready.git("checkout", "-q", "-B", "main", "main~1")
    policy_changed(ready)
    ready.commit()
    ready.merge("branch~1")
    with pytest.raises(ProjectError, match="judged another policy"):
        checked(ready)


def test_production_comes_after_staging(ready: Any) -> None:
    ready.git("checkout", "-q", "main")
    ready.write(ORDER, "environments: [staging, production]\n")
    ready.commit()
    ready.merge()
    with pytest.raises(EnvironmentsError, match="staging declares none"):
        checked(ready)


def test_the_end_of_a_history_is_not_enough(ready: Any) -> None:
    ready.merge()
    clone = ready.root.parent / "clone"
    ready.git("clone", "-q", "--depth", "1", f"file://{ready.root}", str(clone))
    with pytest.raises(EnvironmentsError, match="--unshallow"):
        introduced(Repository(clone), "HEAD", "production")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("environments: production", "must list each name"),
        ("[]", "has no list"),
        ("environments: [production, staging]", "must end with production"),
        ("environments: [a, a, production]", "each name once"),
        ("environments: [../x, production]", "small letters"),
        ("environments: [1, production]", "small letters"),
        ("environments: [v2, production]", "calls an environment v2"),
        ("environments: [latest, production]", "call it otherwise"),
        ("environments: [champion, production]", "call it otherwise"),
        ("environments: [kubernetes, production]", "call it otherwise"),
        ("environments: [", "has no list"),
    ],
)
def test_an_order_is_a_list_of_names_that_ends_with_production(
    crowned: Any, tmp_path: Path, text: str, said: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    small = type(crowned)(root)
    small.git("init", "-q")
    small.write(ORDER, "environments: [staging, production]\n")
    small.commit()
    assert order(Repository(root), "HEAD") == ["staging", "production"]
    small.write(ORDER, text)
    small.commit()
    with pytest.raises(EnvironmentsError, match=said):
        order(Repository(root), "HEAD")
