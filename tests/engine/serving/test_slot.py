"""What changed is tried once, and what is no good leaves what was."""

import json
import shutil
from pathlib import Path

import pytest

from mlops.bundle import manifest
from mlops.errors import ProjectError
from mlops.serving.problem import Problem
from mlops.serving.settings import ServingSettings
from mlops.serving.slot import Slot


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def rename(folder: Path) -> None:
    """Give the bundle another name, and so another digest, without recomputing any."""
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**content, "name": "another"}))


def test_what_is_good_is_loaded_once(folder: Path) -> None:
    slot = Slot(folder, ServingSettings())
    assert slot.refresh() == "loaded"
    first = slot.predictor
    assert first is not None
    assert first.bundle_digest == manifest.bundle_digest(folder)
    assert [slot.refresh(), slot.refresh(always=True)] == ["", ""]
    assert slot.predictor is first
    rename(folder)
    assert slot.refresh() == "loaded"
    assert slot.predictor is not first


def test_what_is_bad_is_tried_once_until_it_changes_or_is_asked_for(folder: Path) -> None:
    slot = Slot(folder, ServingSettings())
    slot.load()
    rename(folder)
    (folder / "model.onnx").write_bytes(b"")
    assert [slot.refresh(), slot.refresh()] == ["refused", ""]
    assert "(model.onnx)" in slot.reason
    assert slot.refresh(always=True) == "refused"
    (folder / "card.md").write_text("still being copied")
    assert slot.refresh() == "refused"
    assert "(card.md, model.onnx)" in slot.reason
    assert slot.predictor is not None


def test_at_first_what_is_bad_is_an_error(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ProjectError, match=r"model\.onnx"):
        Slot(folder, ServingSettings()).load()


def test_whatever_goes_wrong_the_old_one_stays(folder: Path) -> None:
    slot = Slot(folder, ServingSettings())
    slot.load()
    rename(folder)
    (folder / "manifest.json").chmod(0)
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    assert slot.refresh(always=True) == "refused"
    assert "is no bundle" in slot.reason
    assert slot.predictor is not None


def test_what_the_server_is_told_reaches_the_rows(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())[0]["row"]
    body = json.dumps(golden | {"customer_id": 7}).encode()
    for extra, ids in (("refuse", None), ("ignore", b'{"customer_id":7}')):
        slot = Slot(folder, ServingSettings(extra=extra))
        slot.load()
        assert slot.predictor is not None
        if ids is None:
            with pytest.raises(Problem):
                slot.predictor.decode(body)
        else:
            rows = slot.predictor.decode(body)
            answer = slot.predictor.answer(slot.predictor.answered(rows), "r", rows)
            assert b'"ids":%b' % ids in answer
