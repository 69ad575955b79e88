"""The declared champion is fetched whole, or not judged against."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import manifest
from mlops.gate.champion import POINTER, ChampionError, fetch
from mlops.git import dvc


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_no_pointer_is_no_champion(first: Any, out: Path) -> None:
    assert fetch(first.repository, first.git("rev-parse", "main"), out) is None
    assert not out.exists()


def test_the_declared_bundle_comes_from_the_remote(second: Any, out: Path) -> None:
    second.git("rm", "-q", POINTER)
    second.commit()
    found = fetch(second.repository, second.git("rev-parse", "main"), out)
    assert found is not None
    assert found.bundle_digest == manifest.bundle_digest(second.root / "trained/middle")
    assert found.pointer == dvc.dvc_digest(second.root / "trained/middle")
    assert second.git("status", "--porcelain") == ""


def gone(second: Any) -> None:
    shutil.rmtree(second.root.parent / "storage")


def exchanged(second: Any) -> None:
    files = [path for path in (second.root.parent / "storage").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    largest.write_bytes(largest.read_bytes() + b"x")


def no_pointer(second: Any) -> None:
    second.on_main((POINTER, "outs: []\n"))


def another_path(second: Any) -> None:
    text = (second.root / POINTER).read_text()
    second.on_main((POINTER, text.replace("path: champion", "path: ../../src")))


def no_bundle(second: Any) -> None:
    (second.root / "candidate/card.md").unlink()
    second.promote()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (gone, "cannot be fetched"),
        (exchanged, "and not|cannot be fetched"),
        (no_pointer, "no DVC pointer to one folder"),
        (another_path, "does not declare the folder champion"),
        (no_bundle, r"no whole bundle: the champion is not what .*card\.md"),
    ],
)
def test_what_is_not_whole_is_refused(second: Any, out: Path, harm: Any, said: str) -> None:
    harm(second)
    with pytest.raises(ChampionError, match=said):
        fetch(second.repository, second.git("rev-parse", "main"), out)
    assert second.git("status", "--porcelain") == ""
