"""A bundle is what its manifest says, to the byte."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlops.bundle.contents import read
from mlops.bundle.lineage import data_digest
from mlops.bundle.manifest import BundleError, bundle_digest, digest, write


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 20)
    (folder / "card.md").write_text("# card\n")
    write(folder, {"name": "t"})
    return folder


def test_whole_bundle_verifies(bundle: Path) -> None:
    assert set(read(bundle).manifest["files"]) == {"model.onnx", "card.md"}


def flip(folder: Path) -> None:
    damaged = bytearray((folder / "model.onnx").read_bytes())
    damaged[1000] ^= 1
    (folder / "model.onnx").write_bytes(damaged)


def link(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "model.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "model.onnx")


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        link,
        lambda folder: (folder / "model.onnx").write_bytes(b""),
        lambda folder: (folder / "card.md").unlink(),
        lambda folder: (folder / "added.pkl").write_text(""),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").write_text('{"files": []}'),
    ],
)
def test_any_change_is_found(bundle: Path, damage: Callable[[Path], object]) -> None:
    damage(bundle)
    with pytest.raises(BundleError, match="dvc"):
        read(bundle)


def test_a_name_in_the_manifest_cannot_leave_the_folder(bundle: Path) -> None:
    (bundle.parent / "outside").write_text("x")
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"card.md"', '"../outside"'))
    with pytest.raises(BundleError, match=r"\.\./outside"):
        read(bundle)


def test_bundle_digest_changes_with_any_file(bundle: Path) -> None:
    before = bundle_digest(bundle)
    (bundle / "card.md").write_text("# another\n")
    write(bundle, {"name": "t"})
    assert bundle_digest(bundle) != before


def test_digest_is_of_the_numbers_and_their_order() -> None:
    numbers = np.array([0.1, 0.2, 0.3])
    assert (
        digest(numbers) == digest(numbers.astype(">f8")) == digest(np.array([0.1, 0.2, 0.3, 9])[:3])
    )
    assert digest(numbers) != digest(numbers[::-1])


def test_data_digest_depends_on_names_and_contents() -> None:
    def of(*files: tuple[str, str]) -> str:
        named = [{"name": name, "sha256": content} for name, content in files]
        return data_digest({"lineage": {"data": named}})

    assert len({of(("a", "1")), of(("b", "1")), of(("a", "2")), of(("a", "1"), ("b", "1"))}) == 4
