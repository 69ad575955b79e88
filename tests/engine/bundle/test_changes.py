"""Differences between mappings and between two bundles' data."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("about", "changed"),
    [
        ('{"parameters": {"depth": 4}}', [{"key": "model.depth", "before": 3, "after": 4}]),
        ('{"parameters": {"rate": 1}}', [{"key": "model.rate", "after": 1}]),
        ('{"parameters": {"depth": 3}}', []),
        ('{"parameters": {}}', []),
        ('{"parameters": null}', []),
        ("{}", []),
        ("[]", []),
        ("no JSON", []),
        (None, []),
    ],
)
def test_what_a_search_found_stands_for_what_was_configured(
    tmp_path: Path, about: str | None, changed: list[dict[str, Any]]
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolved.yaml").write_text("model: {depth: 3}\n")
    if about is not None:
        (tmp_path / "other/training.json").write_text(about)
    assert configuration(tmp_path / "one", tmp_path / "other") == changed
