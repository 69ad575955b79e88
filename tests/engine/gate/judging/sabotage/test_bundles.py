"""A candidate that was tampered with after it was made is blocked, whatever its digests say."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps import some

from mlops.bundle import manifest

Edit = Callable[[Path, dict[str, Any]], None]


def flipped_byte(bundle: Path) -> None:
    model = bytearray((bundle / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (bundle / "model.onnx").write_bytes(model)


def truncated(bundle: Path) -> None:
    model = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(model[: len(model) // 2])


def edited_metrics(bundle: Path) -> None:
    change_json(bundle / "metrics.json", lambda m: m["holdout"]["roc_auc"].update(value=0.99))


def edited_golden(bundle: Path) -> None:
    change_json(bundle / "golden.json", lambda rows: rows[0].update(prediction=0.5))


def linked_file(bundle: Path) -> None:
    shutil.move(bundle / "card.md", bundle.parent / "card.md")
    os.symlink(bundle.parent / "card.md", bundle / "card.md")


def linked_folder(bundle: Path) -> None:
    os.symlink(bundle.parent / "data", bundle / "data")


def linked_manifest(bundle: Path) -> None:
    shutil.move(bundle / "manifest.json", bundle.parent / "manifest.json")
    os.symlink(bundle.parent / "manifest.json", bundle / "manifest.json")


def extra_file(bundle: Path) -> None:
    (bundle / "extra.bin").write_bytes(b"x")


def missing_file(bundle: Path) -> None:
    (bundle / "profile.json").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flipped_byte, "model.onnx"),
        (truncated, "model.onnx"),
        (edited_metrics, "metrics.json"),
        (edited_golden, "golden.json"),
        (linked_file, "card.md"),
        (linked_folder, "(data)"),
        (linked_manifest, "manifest.json"),
        (extra_file, "extra.bin"),
        (missing_file, "profile.json"),
    ],
)
def test_files_that_are_not_the_manifests_are_rejected(
    bench: Any, harm: Callable[[Path], None], said: str
) -> None:
    harm(bench.root / "candidate")
    (outcome,) = bench.outcome("start").items()
    assert outcome[0] == "candidate files"
    assert said in outcome[1]


def test_without_a_manifest_there_is_no_candidate(bench: Any) -> None:
    (bench.root / "candidate/manifest.json").unlink()
    assert "no readable manifest.json" in bench.outcome("start")["exit 2"]


def test_an_edited_manifest_is_no_longer_what_dvc_lock_pins(bench: Any) -> None:
    bench.project.edit(lambda _, content: content.update(name="other"))
    assert "dvc.lock says" in bench.outcome("start")["lineage candidate"]


def other_model(bundle: Path, _: dict[str, Any]) -> None:
    """The model of the champion, as its own bundle is in the DVC cache."""
    shutil.copy(bundle.parent / "deploy/production/champion/model.onnx", bundle)


def other_model_and_predictions(bundle: Path, content: dict[str, Any]) -> None:
    other_model(bundle, content)
    champion = manifest.read(bundle.parent / "deploy/production/champion")
    content["holdout"]["predictions"] = champion["holdout"]["predictions"]


def not_a_number(bundle: Path, _: dict[str, Any]) -> None:
    import onnx

    model = onnx.load(bundle / "model.onnx")
    changed = 0
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "leaf_weights":
                leaves = np.full(attribute.t.dims, np.nan)
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(leaves))
                changed += 1
    assert changed
    onnx.save(model, bundle / "model.onnx")


def garbage(bundle: Path, _: dict[str, Any]) -> None:
    truncated(bundle)


def predictions(_: Path, content: dict[str, Any]) -> None:
    content["holdout"]["predictions"] = "0" * 64


def fewer_rows(_: Path, content: dict[str, Any]) -> None:
    content["holdout"]["rows"] -= 1


def better_metrics(bundle: Path, _: dict[str, Any]) -> None:
    edited_metrics(bundle)


def no_metrics(bundle: Path, _: dict[str, Any]) -> None:
    (bundle / "metrics.json").write_text('{"holdout": {}}')


def metric_removed(bundle: Path, _: dict[str, Any]) -> None:
    change_json(bundle / "metrics.json", lambda m: m["holdout"].pop("log_loss"))


def metric_not_finite(bundle: Path, _: dict[str, Any]) -> None:
    change_json(
        bundle / "metrics.json", lambda m: m["holdout"]["roc_auc"].update(value=float("nan"))
    )


def golden_edited(bundle: Path, _: dict[str, Any]) -> None:
    edited_golden(bundle)


def golden_emptied(bundle: Path, _: dict[str, Any]) -> None:
    (bundle / "golden.json").write_text("[]")


def golden_thinned(bundle: Path, _: dict[str, Any]) -> None:
    rows = json.loads((bundle / "golden.json").read_text())
    (bundle / "golden.json").write_text(json.dumps(rows[:1]))


def feature_order(bundle: Path, _: dict[str, Any]) -> None:
    contract = (bundle / "contract.json").read_text()
    settings = (bundle / "resolved.yaml").read_text()
    for one, other in (("tenure_months", "support_calls"),):
        for place in ("@",):
            contract = contract.replace(one, place).replace(other, one).replace(place, other)
            settings = settings.replace(one, place).replace(other, one).replace(place, other)
    (bundle / "contract.json").write_text(contract)
    (bundle / "resolved.yaml").write_text(settings)


def other_contract(bundle: Path, _: dict[str, Any]) -> None:
    change_json(bundle / "contract.json", lambda c: c["columns"]["plan"].update(nullable=True))


def no_parity(bundle: Path, _: dict[str, Any]) -> None:
    change_json(bundle / "training.json", lambda about: about.pop("parity"))


def parity_far(bundle: Path, _: dict[str, Any]) -> None:
    change_json(bundle / "training.json", lambda about: about["parity"].update(difference=0.01))


def too_large(bundle: Path, _: dict[str, Any]) -> None:
    (bundle / "weights.bin").write_bytes(np.zeros(6_000_000, np.uint8).tobytes())


def unclean(_: Path, content: dict[str, Any]) -> None:
    content["lineage"]["clean"] = False


def no_commit(_: Path, content: dict[str, Any]) -> None:
    content["lineage"]["commit"] = None


def other_commit(_: Path, content: dict[str, Any]) -> None:
    content["lineage"]["commit"] = "0" * 40


def other_packages(_: Path, content: dict[str, Any]) -> None:
    content["lineage"]["packages"]["numpy"] = "0.1"


def other_data(_: Path, content: dict[str, Any]) -> None:
    content["lineage"]["data"] = content["lineage"]["data"][:1]


def other_settings(bundle: Path, _: dict[str, Any]) -> None:
    text = (bundle / "resolved.yaml").read_text()
    assert "max_iter: 60" in text
    (bundle / "resolved.yaml").write_text(text.replace("max_iter: 60", "max_iter: 600"))


@pytest.mark.parametrize(
    ("edit", "entry", "said"),
    some(
        [
            (other_model, "candidate predictions", "its manifest says"),
            (other_model_and_predictions, "candidate metrics", "roc_auc is"),
            (other_model_and_predictions, "candidate golden rows", "no longer answers"),
            (not_a_number, "candidate answers", "not finite"),
            (garbage, "candidate answers", "no ONNX model that loads"),
            (predictions, "candidate predictions", "(000000000000)"),
            (fewer_rows, "candidate predictions", "holdout rows"),
            (better_metrics, "candidate metrics", "it says 0.99"),
            (no_metrics, "candidate metrics", "holds no metric"),
            (metric_removed, "candidate metrics", "lacks log_loss"),
            (metric_not_finite, "candidate metrics", "it says nan"),
            (golden_edited, "candidate golden rows", "no longer answers"),
            (golden_emptied, "candidate golden rows", "no golden rows"),
            (golden_thinned, "parity golden rows", "has 1 rows"),
            (feature_order, "candidate predictions", "its manifest says"),
            (other_contract, "candidate contract", "contract.json"),
            (no_parity, "parity recorded", "records no parity check"),
            (parity_far, "parity recorded", "above 1e-05"),
            (too_large, "size", "above 5"),
            (unclean, "lineage tree", "uncommitted"),
            (no_commit, "lineage commit", "outside git"),
            (other_commit, "lineage commit", "no ancestor"),
            (other_packages, "lineage packages", "numpy 0.1"),
            (other_data, "lineage data", "2025-02"),
            (other_settings, "lineage bundled config", "resolved.yaml is"),
        ],
        every=3,
    ),
)
def test_edits_with_all_digests_recomputed_are_blocked(
    bench: Any, edit: Edit, entry: str, said: str
) -> None:
    bench.edit(edit)
    assert said in bench.outcome("start")[entry]


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
