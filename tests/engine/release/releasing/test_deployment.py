"""The branch of an environment only ever moves forward, from one whole release to the next."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.git.repository import Repository, RepositoryError
from mlops.release import branch, deployment
from mlops.release.image import Image

DIGEST = f"sha256:{'a' * 64}"


IMAGE = Image("registry.invalid/acme/demo", "b" * 64, "c" * 64, {})


def record(yard: Any, digest: str = DIGEST, bundle_digest: str = "b" * 64) -> deployment.Record:
    image = IMAGE._replace(bundle_digest=bundle_digest)
    commit = yard.workshop.git("rev-parse", "HEAD")
    return deployment.record(commit, "production", "churn", image, digest)


def test_the_first_commit_has_no_parent_and_is_by_who_caused_it(yard: Any) -> None:
    new = deployment.deploy(yard.repository, record(yard))
    assert yard.line() == [new]
    told = yard.workshop.git("show", "--no-patch", "--format=%an <%ae>", new)
    assert told == yard.workshop.git("show", "--no-patch", "--format=%an <%ae>", "HEAD")


def test_files_are_the_record_and_what_deployers_read(yard: Any) -> None:
    deployment.deploy(yard.repository, record(yard))
    now = deployment.deployed(yard.repository, "production")
    assert now is not None
    assert set(now.entries) >= {"release.json", ".env", "compose.yaml", "kubernetes/service.yaml"}
    content = yaml.safe_load(yard.branch("kubernetes/kustomization.yaml"))
    pinned = {"name": "model", "newName": "registry.invalid/acme/demo", "digest": DIGEST}
    assert content["images"] == [pinned]
    assert set(content["resources"]) == {"deployment.yaml", "service.yaml"}


@pytest.fixture
def folder(yard: Any) -> Path:
    """The manifests of kubernetes, in the clone."""
    return Path(yard.root, "deploy/kubernetes")


def test_every_level_and_kind_of_file_is_there_as_it_is(yard: Any, folder: Path) -> None:
    (folder / "overlays/eu").mkdir(parents=True)
    (folder / "overlays/eu/kustomization.yaml").write_text("resources: [../..]\n")
    (folder / "overlays/größe.bin").write_bytes(b"\xff\x00\r\n")
    (folder / "overlays/run.sh").write_text("#!/bin/sh\n")
    (folder / "overlays/run.sh").chmod(0o755)
    (folder / "overlays/link").symlink_to("run.sh")
    yard.workshop.commit("more")
    assert deployment.deploy(yard.repository, record(yard))
    now = deployment.deployed(yard.repository, "production")
    assert now is not None
    declared = yard.repository.entries("HEAD", ["deploy/kubernetes"])
    as_it_is = {path.removeprefix("deploy/"): entry for path, entry in declared.items()}
    pinned = {path for path in as_it_is if "kustomization" in path}
    assert {path: now.entries[path] for path in as_it_is.keys() - pinned} == {
        path: entry for path, entry in as_it_is.items() if path not in pinned
    }
    modes = [now.entries[f"kubernetes/overlays/{name}"].mode for name in ("run.sh", "link")]
    assert modes == ["100755", "120000"]
    overlay = yaml.safe_load(yard.branch("kubernetes/overlays/eu/kustomization.yaml"))
    assert overlay["resources"] == ["../.."]
    assert overlay["images"][0]["digest"] == DIGEST
    assert deployment.deploy(yard.repository, record(yard)) is None


@pytest.mark.parametrize("name", deployment.KUSTOMIZATIONS)
def test_every_name_of_a_kustomization_is_pinned(yard: Any, folder: Path, name: str) -> None:
    (folder / "kustomization.yaml").rename(folder / name)
    yard.workshop.commit("another name")
    deployment.deploy(yard.repository, record(yard))
    content = yaml.safe_load(yard.branch(f"kubernetes/{name}"))
    assert content["images"][0] == {
        "name": "model",
        "newName": "registry.invalid/acme/demo",
        "digest": DIGEST,
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Kustomization", "resources: []\n", "keep one of them"),
        ("kustomization.yaml", "images: [model]\n", "images have names"),
        ("kustomization.yaml", "[", "images have names"),
        ("kustomization.yaml", "text\n", "images have names"),
    ],
)
def test_a_kustomization_that_cannot_be_pinned_is_a_sentence(
    yard: Any, folder: Path, name: str, text: str, said: str
) -> None:
    (folder / name).write_text(text)
    yard.workshop.commit("wrong")
    with pytest.raises(deployment.DeploymentError, match=said):
        deployment.deploy(yard.repository, record(yard))
    assert yard.branch() is None


def test_the_same_release_is_written_once(yard: Any) -> None:
    assert deployment.deploy(yard.repository, record(yard))
    yard.workshop.write("README.md", "words")
    yard.workshop.commit("words")
    assert deployment.deploy(yard.repository, record(yard)) is None


def test_what_deployers_read_changes_with_its_commit(yard: Any) -> None:
    deployment.deploy(yard.repository, record(yard))
    text = (yard.root / "deploy/compose.yaml").read_text()
    yard.workshop.write("deploy/compose.yaml", text.replace("512m", "1g"))
    yard.workshop.commit("more memory")
    assert deployment.deploy(yard.repository, record(yard))
    assert "1g" in str(yard.branch("compose.yaml"))


def test_a_later_commit_stays(yard: Any) -> None:
    older = record(yard)
    yard.workshop.commit("later")
    newer = deployment.deploy(yard.repository, record(yard, bundle_digest="d" * 64))
    assert deployment.deploy(yard.repository, older) is None
    assert yard.line() == [newer]


def test_a_clone_that_does_not_know_the_later_commit_fetches_it(yard: Any, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(yard.remote), str(clone)], check=True)
    older = record(yard)
    yard.workshop.commit("later")
    yard.workshop.git("push", "-q", "origin", "main")
    deployment.deploy(yard.repository, record(yard, bundle_digest="d" * 64))
    assert deployment.deploy(Repository(clone), older) is None


@pytest.mark.parametrize("name", ["main", "env/production"])
def test_a_branch_that_ends_like_another_is_another(yard: Any, name: str) -> None:
    """As whoever may push names one, which git lists first."""
    right = branch.tip(yard.repository, name)
    other = yard.workshop.git("commit-tree", "HEAD^{tree}", "-m", "other")
    yard.workshop.git("push", "-q", "origin", f"{other}:refs/heads/a/refs/heads/{name}")
    assert branch.tip(yard.repository, name) == right


def test_without_a_remote_the_branch_is_local(yard: Any) -> None:
    yard.workshop.git("remote", "remove", "origin")
    new = deployment.deploy(yard.repository, record(yard))
    assert yard.workshop.git("rev-parse", "env/production") == new
    assert deployment.deploy(yard.repository, record(yard)) is None


def test_the_branch_does_not_move_from_what_it_is_not(yard: Any) -> None:
    first = deployment.deploy(yard.repository, record(yard))
    files = deployment.files(yard.repository, record(yard))
    orphan = branch.made(yard.repository, files, "x", "HEAD", None)
    for old in (None, orphan):
        with pytest.raises(RepositoryError):
            branch.move(yard.repository, "env/production", orphan, old)
    assert yard.line() == [first]


def test_twenty_at_once_make_one_line(yard: Any, tmp_path: Path) -> None:
    deployment.deploy(yard.repository, record(yard))
    clones = []
    for number in range(4):
        clones.append(tmp_path / f"clone{number}")
        subprocess.run(["git", "clone", "-q", str(yard.remote), str(clones[-1])], check=True)

    def attempt(number: int) -> str | None:
        said = record(yard, digest=f"sha256:{number:064x}")
        try:
            return deployment.deploy(Repository(clones[number % 4]), said)
        except deployment.DeploymentError:
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [new for new in pool.map(attempt, range(20)) if new]
    line = yard.line()
    assert set(done) <= set(line)
    assert len(line) == len(done) + 1


@pytest.mark.parametrize("kinds", [["commit"], ["commit", "tree"]], ids=" and ".join)
def test_what_a_fetch_left_unfinished_is_fetched(
    yard: Any, tmp_path: Path, kinds: list[str]
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(yard.remote), str(clone)], check=True)
    first = deployment.deploy(yard.repository, record(yard))
    for kind in kinds:
        shown = ["git", "cat-file", kind, f"{first}^{{{kind}}}"]
        content = subprocess.check_output(shown, cwd=yard.remote)
        written = ["git", "hash-object", "-w", "-t", kind, "--stdin"]
        subprocess.check_output(written, cwd=clone, input=content)
    now = deployment.deployed(Repository(clone), "production")
    assert now
    assert now.record == record(yard)


def test_the_digest_of_a_tag_is_found_in_the_history(yard: Any) -> None:
    deployment.deploy(yard.repository, record(yard))
    other = record(yard, digest=f"sha256:{'e' * 64}", bundle_digest="d" * 64)
    deployment.deploy(yard.repository, other)
    line = {other.commit}
    found = partial(deployment.recorded, yard.repository, line=line)
    assert found("production", IMAGE) == DIGEST
    assert found("production", IMAGE, line=set()) is None
    assert found("production", IMAGE._replace(code="0" * 64)) is None
    assert found("production", IMAGE._replace(repository="elsewhere/demo")) is None
    assert found("staging", IMAGE._replace(bundle_digest="d" * 64)) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host.invalid/acme/demo.git", "https://host.invalid/acme/demo"),
        ("ssh://git@host.invalid/acme/demo.git", "https://host.invalid/acme/demo"),
        ("/srv/demo.git", ""),
    ],
)
def test_the_address_in_labels_holds_no_password(yard: Any, url: str, shown: str) -> None:
    yard.workshop.git("remote", "set-url", "origin", url)
    assert branch.address(yard.repository) == shown
