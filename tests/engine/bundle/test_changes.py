"""Differences between mappings and between two bundles' data."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from mlops.bundle.changes import changes, configuration, data


def test_every_differing_leaf_is_named_once() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": 1.5, "gone": None, "e": {}}
    after = {"a": {"b": 2, "c": [1, 2]}, "d": 1.5, "new": {"x": True}, "e": {"y": 0}}
    assert changes(before, after) == [
        {"key": "a.b", "before": 1, "after": 2},
        {"key": "gone", "before": None},
        {"key": "e", "before": {}},
        {"key": "new.x", "after": True},
        {"key": "e.y", "after": 0},
    ]
    assert changes(before, before) == []


def test_what_yaml_has_and_json_has_not_becomes_text() -> None:
    found = changes({}, {"day": date(2026, 1, 2), "most": float("inf"), "list": [float("nan")]})
    assert json.loads(json.dumps(found, allow_nan=False)) == [
        {"key": "day", "after": "2026-01-02"},
        {"key": "most", "after": "inf"},
        {"key": "list", "after": ["nan"]},
    ]


def manifest(rows: int, **files: str) -> dict[str, Any]:
    listed = [{"name": name, "sha256": digest, "rows": 10} for name, digest in files.items()]
    return {"lineage": {"data": listed, "rows": {"train": rows, "holdout": 5}}}


def test_raw_files_are_compared_by_name_and_digest() -> None:
    assert data(manifest(15, a="1", b="2", c="3"), manifest(25, a="1", b="9", d="4")) == {
        "added": [{"name": "d", "rows": 10}],
        "removed": [{"name": "c", "rows": 10}],
        "changed": [{"name": "b", "rows": 10, "rows_before": 10}],
        "kept": 1,
        "rows_before": {"train": 15, "holdout": 5},
        "rows": {"train": 25, "holdout": 5},
    }


def test_settings_are_compared_without_policy_and_digests(tmp_path: Path) -> None:
    for name, text in (
        ("one", "model: {depth: 3}\ngate: {seed: 1}\ndigests: {a: 1}\n"),
        ("other", "model: {depth: 4}\ngate: {seed: 2}\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolved.yaml").write_text(text)
    found = configuration(tmp_path / "one", tmp_path / "other")
    assert found == [{"key": "model.depth", "before": 3, "after": 4}]
