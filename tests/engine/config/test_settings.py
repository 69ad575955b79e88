"""resolved.yaml is read strictly."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from baked import SOURCE

from mlops.config.compose import composed
from mlops.config.settings import ConfigError, Gate, SearchRange, Settings, Split, load

CONF = SOURCE / "conf"


@pytest.fixture
def resolved() -> dict[str, Any]:
    return composed(CONF, {})


def test_settings_are_frozen(resolved: dict[str, Any]) -> None:
    with pytest.raises(AttributeError):
        Settings.parse(resolved).seed = 3  # type: ignore[misc]


def test_unknown_key_is_refused(resolved: dict[str, Any]) -> None:
    resolved["training"]["fold"] = 5
    with pytest.raises(
        ConfigError,
        match=r"^resolved.yaml: training.fold is an unknown field: did you mean folds\?$",
    ):
        Settings.parse(resolved)


def test_wrong_column_is_named(resolved: dict[str, Any]) -> None:
    name = next(iter(resolved["data"]["columns"]))
    resolved["data"]["columns"][name]["type"] = "float"
    with pytest.raises(ConfigError, match=rf"data.columns.{name}.type: .*choose from boolean"):
        Settings.parse(resolved)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "long"])
def test_a_gate_that_waits_for_nothing_or_for_ever_is_refused(seconds: object) -> None:
    assert msgspec.convert({"answer_seconds": 1800}, Gate).answer_seconds == 1800
    with pytest.raises(msgspec.ValidationError, match="answer_seconds"):
        msgspec.convert({"answer_seconds": seconds}, Gate)


@pytest.mark.parametrize("text", ["", "[]", "seed: 1"])
def test_resolved_without_settings(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"resolved\.yaml"):
        load(path)


def test_missing_resolved_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dvc repro resolve"):
        load(tmp_path / "resolved.yaml")


@pytest.mark.parametrize(
    "split",
    [
        {"method": "time"},
        {"method": "hash", "cutoff": "2025-01-01"},
        {"method": "hash", "holdout": 0},
        {"method": "hash", "holdout_days": 90},
        {"method": "time", "cutoff": "2025-01-01", "holdout_days": 0},
    ],
)
def test_contradicting_split(split: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(split, Split)


@pytest.mark.parametrize("given", [{}, {"low": 1}, {"low": 1, "high": 2, "choices": [1]}])
def test_search_range_is_a_range_or_choices(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, SearchRange)


def test_bundles_from_before_the_gate_have_no_policy(resolved: dict[str, Any]) -> None:
    del resolved["gate"]
    assert Settings.parse(resolved).gate.rules == {}


@pytest.mark.parametrize("wrong", [{"resamples": 10}, {"confidence": 0.3}, {"seed": -1}])
def test_a_gate_that_draws_too_little_is_refused(
    resolved: dict[str, Any], wrong: dict[str, Any]
) -> None:
    resolved["gate"] |= wrong
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Settings.parse(resolved)


@pytest.mark.parametrize("threshold", [-0.1, 1])
def test_threshold_is_a_probability(resolved: dict[str, Any], threshold: float) -> None:
    resolved["evaluation"]["threshold"] = threshold
    with pytest.raises(ConfigError, match="threshold"):
        Settings.parse(resolved)
