"""A bundle is read once, and only if it is what its manifest says, to the byte."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import contents, manifest
from mlops.bundle.manifest import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder that holds what its manifest says."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 20)
    (folder / "contract.json").write_text("{}")
    (folder / "card.md").write_text("# card\n")
    manifest.write(folder, {"name": "t"})
    return folder


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def refused(folder: Path, said: str, expect: str | None = None) -> None:
    with pytest.raises(BundleError, match=said) as raised:
        contents.read(folder, expect)
    assert "\n" not in str(raised.value)


def test_whole_bundle(bundle: Path) -> None:
    bundle_digest = manifest.bundle_digest(bundle)
    found = contents.read(bundle, bundle_digest)
    assert (found.bundle_digest, found.manifest["name"]) == (bundle_digest, "t")
    assert found.files == {path.name: path.read_bytes() for path in bundle.iterdir()}


def test_folder_may_be_a_link(bundle: Path) -> None:
    (bundle.parent / "current").symlink_to(bundle)
    assert contents.read(bundle.parent / "current") == contents.read(bundle)


def swapped(folder: Path) -> None:
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(model)


def linked(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "model.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "model.onnx")


def piped(folder: Path) -> None:
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")


def nested(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more/model.pkl").write_bytes(b"")


def named_outside(folder: Path) -> None:
    (folder.parent / "outside").write_text("x")
    edit(folder / "manifest.json", lambda c: c["files"].update({"../outside": "0" * 64}))


def named_absolutely(folder: Path) -> None:
    edit(folder / "manifest.json", lambda c: c["files"].update({"/etc/passwd": "0" * 64}))


def many(folder: Path) -> None:
    for number in range(100):
        (folder / f"{number}").touch()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (swapped, r"not what its manifest says \(model\.onnx\)"),
        (linked, r"model\.onnx is a link"),
        (piped, r"card\.md is no regular file"),
        (nested, r"not what its manifest says \(more\)"),
        (many, r"holds \d+ files"),
        (named_outside, r"says \(\.\./outside\)"),
        (named_absolutely, r"says \(/etc/passwd\)"),
        (lambda f: (f / "extra.pkl").write_bytes(b""), r"says \(extra\.pkl\)"),
        (lambda f: (f / "contract.json").unlink(), r"says \(contract\.json\)"),
        (lambda f: (f / "manifest.json").unlink(), "is no bundle"),
        (lambda f: (f / "manifest.json").write_text("[" * 100_000), "is no bundle"),
        (lambda f: (f / "manifest.json").write_text('{"files": {"a": 1}}'), "is no bundle"),
        (shutil.rmtree, "is no bundle"),
    ],
)
def test_folder_that_is_not_what_its_manifest_says(
    damage: Callable[[Path], Any], said: str, bundle: Path
) -> None:
    damage(bundle)
    refused(bundle, said)


def test_another_bundle_than_expected(bundle: Path) -> None:
    expect = manifest.bundle_digest(bundle)
    edit(bundle / "manifest.json", lambda content: content | {"name": "another"})
    refused(bundle, f"and not {expect[:12]}", expect=expect)


def test_a_bundle_has_a_size(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_BYTES", 5_000)
    refused(bundle, "more than 5,000 bytes")
