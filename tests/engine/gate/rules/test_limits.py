"""Settings at the edge are taken, and those just beyond it refused."""

from typing import Any

import pytest

from mlops.gate.rule import PolicyError, configured

INF, NAN = float("inf"), float("nan")
OUTCOMES = dict.fromkeys(
    ("true_positive", "false_positive", "true_negative", "false_negative"), 1.0
)
SECTIONS: dict[str, dict[str, Any]] = {
    "stability": {
        "noise": 0.1,
        "noise_at_most": 0.1,
        "missing": 0.1,
        "missing_at_most": 0.1,
        "rows": 9,
    },
    "value": {"outcomes": OUTCOMES, "currency": "EUR", "sides": "one", "at_least": 1.0},
    "calibration": {"ece_at_most": 0.1, "brier_at_most": 0.1},
    "better_than_baseline": {
        "metric": "roc_auc",
        "margin": 0.1,
        "baselines": ["dummy"],
        "rows": 9,
        "by": "value",
    },
    "non_inferiority": {"margins": {"roc_auc": 0.1}, "sides": "one"},
    "superiority": {"margins": {"roc_auc": 0.1, "log_loss": 0.1}, "sides": "one"},
    "label_quality": {
        "at_most": 0.1,
        "new_at_most": 0.1,
        "significance": 0.1,
        "rows": 9,
        "folds": 5,
        "min_rows": 9,
    },
    "expectation": {
        "column": "x",
        "change": {"add": 1},
        "prediction": "increases",
        "share": 1,
        "tolerance": 0,
    },
    "fairness": {
        "measure": "error_gap",
        "at_most": 0.1,
        "min_rows": 9,
        "threshold": 0.5,
        "required": [],
        "by": "value",
    },
    "latency": {
        "one_row_ms": 1,
        "hundred_rows_ms": 1,
        "ratio": 1,
        "negligible_ms": 1,
        "repeats": 9,
    },
    "memory": {"at_most_mb": 1, "rows": 9},
    "metric": {"metric": "roc_auc", "at_least": 0.1, "by": "value"},
}


@pytest.mark.parametrize(
    ("rule", "setting", "value"),
    [
        ("stability", "missing", 1),
        ("stability", "rows", 1),
        ("stability", "noise_at_most", 0),
        ("stability", "missing_at_most", 0),
        ("stability", "noise", 1e-9),
        ("stability", "missing", 1e-9),
        ("value", "at_least", -1),
        ("value", "at_least", 0),
        ("value", "margin", 0),
        ("calibration", "ece_at_most", 0),
        ("calibration", "brier_at_most", 0),
        ("better_than_baseline", "margin", 0),
        ("better_than_baseline", "rows", 1),
        ("non_inferiority", "margins", {"roc_auc": 0}),
        ("superiority", "margins", {"roc_auc": 0}),
        ("label_quality", "significance", 0.49),
        ("label_quality", "folds", 2),
        ("label_quality", "min_rows", 2),
        ("expectation", "share", 0.01),
        ("expectation", "change", {"set": "a"}),
        ("expectation", "change", {"multiply": 0}),
        ("fairness", "at_most", 0),
        ("fairness", "min_rows", 1),
        ("fairness", "threshold", 0.01),
        ("latency", "repeats", 5),
        ("memory", "rows", 1),
        ("metric", "at_least", 0),
    ],
)
def test_the_edge_is_taken(rule: str, setting: str, value: Any) -> None:
    assert getattr(configured(rule, SECTIONS[rule] | {setting: value}), setting) is not None


@pytest.mark.parametrize(
    ("rule", "setting", "value"),
    [
        ("stability", "noise", INF),
        ("stability", "noise", 0),
        ("stability", "missing", 1.01),
        ("stability", "noise_at_most", INF),
        ("stability", "missing_at_most", INF),
        ("stability", "noise_at_most", -0.1),
        ("stability", "missing_at_most", -0.1),
        ("value", "margin", -0.01),
        ("value", "margin", INF),
        ("value", "at_least", INF),
        ("value", "at_least", None),
        ("value", "outcomes", OUTCOMES | {"false_negative": NAN}),
        ("calibration", "ece_at_most", -0.01),
        ("calibration", "brier_at_most", -0.01),
        ("calibration", "ece_at_most", INF),
        ("better_than_baseline", "margin", INF),
        ("better_than_baseline", "margin", -0.01),
        ("better_than_baseline", "baselines", []),
        ("superiority", "margins", {"roc_auc": 0.1, "log_loss": -0.1}),
        ("superiority", "margins", {"roc_auc": NAN}),
        ("label_quality", "significance", 0.5),
        ("label_quality", "significance", 0),
        ("label_quality", "folds", 1),
        ("label_quality", "min_rows", 1),
        ("expectation", "share", 1.01),
        ("expectation", "tolerance", INF),
        ("expectation", "change", {"add": NAN}),
        ("expectation", "change", {"add": 1, "multiply": 2}),
        ("fairness", "at_most", INF),
        ("fairness", "at_most", -0.01),
        ("fairness", "threshold", 0),
        ("fairness", "threshold", 1),
        ("latency", "repeats", 4),
        ("memory", "rows", 0),
        ("metric", "at_least", INF),
    ],
)
def test_beyond_the_edge_is_refused(rule: str, setting: str, value: Any) -> None:
    with pytest.raises(PolicyError, match=rf"^gate\.rules\.{rule}(: |\.\w+)"):
        configured(rule, SECTIONS[rule] | {setting: value})
