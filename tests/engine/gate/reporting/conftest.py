"""A report in which every text that a branch controls is hostile."""

from typing import Any

import pytest

HOSTILE = 'x"><script>alert(1)</script> | `code` **bold** @team [a](http://b.invalid) #1\n# head'


@pytest.fixture
def hostile() -> str:
    """A name that careless Markdown or HTML would act on."""
    return HOSTILE


@pytest.fixture
def content() -> dict[str, Any]:
    """A rejected candidate against a champion, with a policy that the branch changes."""
    finding = {"verdict": "rejected", "reason": f"{HOSTILE} is 3", "part": HOSTILE, "value": 3.0}
    bundle = {"sha256": "a" * 64, "name": HOSTILE, "task": "binary", "runtime": "onnx"}
    file = {"name": HOSTILE, "rows": 10}
    estimate = {"value": 0.81234567, "low": 0.79, "high": 0.83}
    change = {"key": HOSTILE, "before": HOSTILE, "after": [HOSTILE]}
    row = {"slice": HOSTILE, "rows": 1200, "metric": "roc_auc"}
    return {
        "format": 1,
        "verdict": "rejected",
        "pending": [],
        "reasons": [{"name": "slices", "part": HOSTILE, "reason": f"{HOSTILE} is 3"}],
        "against": {"ref": HOSTILE, "commit": "b" * 40},
        "policy": {
            "ref": "main",
            "commit": "c" * 40,
            "sha256": "d" * 64,
            "resamples": 1000,
            "seed": 0,
            "confidence": 0.95,
            "rules": {},
            "branch": {"sha256": "e" * 64, "changes": [change, {"key": "new", "after": 1}]},
        },
        "judge": {
            "code": "branch",
            "sha256": "f" * 64,
            "versions": {"python": "3.11"},
            "confinement": "nothing",
        },
        "head": None,
        "candidate": {**bundle, "commit": None, "clean": False},
        "champion": {**bundle, "commit": "1" * 40, "clean": True, "pointer": "2.dir"},
        "holdout": {"rows": 12345, "groups": 99, "sha256": "3" * 64},
        "metrics": [
            {
                "metric": "roc_auc",
                "better": "more",
                "candidate": estimate,
                "champion": estimate,
                "difference": {"value": -0.01, "low": None, "high": None},
            },
        ],
        "slices": [
            {**row, "candidate": 0.5, "champion": 0.75},
            {**row, "candidate": 1.0, "champion": None},
            {**row, "candidate": None, "champion": 0.7},
        ],
        "configuration": [change],
        "data": {
            "added": [file],
            "removed": [],
            "changed": [{**file, "rows_before": 9}],
            "kept": 3,
            "rows_before": {"train": 100, "holdout": 20},
            "rows": {"train": 110, "holdout": 22},
        },
        "checks": [{"name": "candidate", "verdict": "rejected", "findings": [finding]}],
        "rules": [
            {
                "name": HOSTILE,
                "rule": "slices",
                "about": "Looks at slices.",
                "source": "",
                "settings": {"required": [HOSTILE], "floor": None},
                "verdict": "rejected",
                "findings": [finding],
            }
        ],
        "digest": "4" * 64,
        "timings": {"seconds": 1.0, "rules": {}},
    }
