"""Two bundles, wherever they are, side by side."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import manifest
from mlops.release.comparison import compared, shown


@pytest.fixture
def changed(second: Any) -> Any:
    """A folder `other`: the candidate with other features, columns, versions and data."""
    place = second.root / "other"
    shutil.copytree(second.root / "candidate", place)
    content = manifest.read(place)
    content.pop("files")
    content["features"] = [*content["features"][1:], "new"]
    content["lineage"]["packages"]["numpy"] = "9.9"
    content["lineage"]["data"][0]["sha256"] = "0" * 64
    content["holdout"]["digest"] = "0" * 64
    contract = json.loads((place / "contract.json").read_bytes())
    contract["columns"]["plan"]["categories"].append("gold")
    del contract["columns"]["email"]
    (place / "contract.json").write_text(json.dumps(contract))
    manifest.write(place, content)
    return second


def test_two_models_differ_in_what_made_them(second: Any) -> None:
    found = compared(second.repository, "trained/middle", "candidate")
    assert [row["key"] for row in found["configuration"]] == ["model.max_iter"]
    row = found["metrics"][0]
    assert row["metric"] == "roc_auc"
    assert row["before"]["low"] <= row["before"]["value"] <= row["before"]["high"]
    gained = row["after"]["value"] - row["before"]["value"]
    assert row["difference"] == pytest.approx(gained, abs=1e-6)
    assert found["same_holdout"]
    assert found["columns"] == found["environment"] == []
    assert found["before"]["manifest"] == second.bundle_digest("middle")
    assert found["after"]["bytes"] > found["before"]["bytes"]


def test_everything_else_that_may_differ(changed: Any) -> None:
    found = compared(changed.repository, "candidate", "other")
    first = manifest.read(changed.root / "candidate")["features"][0]
    assert found["features"] == {"added": ["new"], "removed": [first]}
    assert {row["key"] for row in found["columns"]} >= {"email.type", "plan.categories"}
    assert [row["key"] for row in found["environment"]] == ["packages.numpy"]
    assert len(found["data"]["changed"]) == 1
    assert not found["same_holdout"]
    text = shown(found)
    assert "packages.numpy: 2" in text
    assert "not comparable" in text


def test_what_is_declared_is_fetched(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(second.root / ".dvc/cache")
    assert second.mlops("diff", "main:production", "candidate", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"]["manifest"] == second.bundle_digest("middle")
    assert second.mlops("diff", "main:production", "trained/middle") == 0
    assert "the same bundle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "nowhere is no bundle"),
        ("nowhere:production", "git knows no commit"),
        ("main:staging", "main declares nothing for 'staging'"),
        ("trained", "trained is no bundle"),
    ],
)
def test_what_is_no_bundle(
    second: Any, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert second.mlops("diff", name, "candidate") == 2
    assert said in capsys.readouterr().err


def test_a_bundle_is_verified_first(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path(second.root / "candidate/card.md").write_text("x")
    assert second.mlops("diff", "trained/middle", "candidate") == 2
    assert "not what its manifest says" in capsys.readouterr().err


def test_the_settings_of_a_search_are_counted_in_the_text(second: Any) -> None:
    found = compared(second.repository, "main:production", "candidate")
    search = [{"key": f"model.search.{n}", "before": 1} for n in "abc"]
    text = shown(found | {"configuration": [*found["configuration"], *search]})
    assert "model.max_iter" in text
    assert "model.search" not in text
    assert "and 3 of the search (--json has them)" in text
