"""What the report of a judgment holds, entry by entry."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.bundle import manifest, verdict
from mlops.engine import state
from mlops.gate import provenance
from mlops.gate.candidate import CandidateError, _check_target
from mlops.gate.judge import _reasons
from mlops.gate.policy import parse
from mlops.gate.request import Origin, Request

KEYS = {
    *("format", "verdict", "reasons", "against", "policy", "judge", "head", "candidate"),
    *("champion", "holdout", "metrics", "metrics_resamples", "slices", "configuration", "data"),
    *("pending", "unknown_metrics", "checks", "rules", "timings", "digest"),
}
METRIC = {"metric": "roc_auc", "at_least": 0.6, "by": "value"}


def test_the_report_holds_what_it_rests_on(second: Any) -> None:
    report = second.judged()
    main, head = (second.git("rev-parse", name) for name in ("main", "HEAD"))
    assert set(report) == KEYS
    assert report["format"] == 1
    assert report["against"] == {"ref": "main", "commit": main}
    assert report["head"] == head
    made = manifest.read(second.root / "candidate")
    candidate = dict(report["candidate"])
    assert candidate.pop("engine") == state(second.root)._asdict()
    assert candidate == {
        "sha256": manifest.bundle_digest(second.root / "candidate"),
        **{name: made[name] for name in ("name", "task", "runtime")},
        "commit": made["lineage"]["commit"],
        "clean": made["lineage"]["clean"],
    }
    assert set(report["champion"]) == {*candidate, "pointer"}
    assert report["metrics_resamples"] == 200
    policy = report["policy"]
    assert (policy["ref"], policy["commit"]) == ("main", main)
    assert (policy["resamples"], policy["seed"], policy["confidence"]) == (200, 3, 0.95)
    assert policy["rules"]["metric"]["rule"] == "metric"
    assert policy["branch"] == {"sha256": policy["sha256"], "changes": []}
    assert report["judge"]["code"] == "base"
    assert report["judge"]["sha256"] == verdict.judge_sha256(provenance.ROOT)
    assert {"python", "numpy"} <= set(report["judge"]["versions"])
    assert report["timings"]["seconds"] >= sum(report["timings"]["rules"].values()) > 0


def test_the_checks_are_those_of_both_bundles(second: Any) -> None:
    candidate, champion = second.judged()["checks"]
    parts = [one["part"] for one in candidate["findings"]]
    assert (candidate["name"], champion["name"]) == ("candidate", "champion")
    assert parts == ["contract", "predictions", "metrics", "golden rows"]
    assert [one["part"] for one in champion["findings"]] == ["holdout", "golden rows"]


def test_a_branch_with_another_policy_shows_what_it_changes() -> None:
    law, own = (
        parse({"rules": {"metric": METRIC | {"at_least": least}}}, "x") for least in (0.6, 0.1)
    )
    request = Request(Origin("main", "a"), Origin("base", "b"), "folder")
    change = {"key": "rules.metric.at_least", "before": 0.6, "after": 0.1}
    found = provenance.policy(request, law, own)
    assert found["branch"] == {"sha256": own.digest, "changes": [change]}
    assert found["sha256"] == law.digest != own.digest


def test_a_policy_that_is_none_is_told() -> None:
    law = parse({"rules": {"metric": METRIC}}, "base")
    request = Request(Origin("main", "a"), Origin("base", "b"), "folder")
    found = provenance.policy(request, law, "it is broken")
    assert found["branch"] == {"error": "it is broken"}
    assert (found["ref"], found["commit"], found["sha256"]) == ("base", "b", law.digest)


def test_the_holdout_is_named_by_its_rows_in_their_order(workshop: Any) -> None:
    case = workshop.case(rows=400, declare={"household": {"role": "group"}})
    workshop.write_train(case)

    def told(hashes: np.ndarray, target: np.ndarray) -> dict[str, Any]:
        pq.write_table(pa.table({"row_hash": pa.array(hashes)}), case.holdout)
        return provenance.holdout(case.repository.root, case.settings, case.columns, target)

    hashes = np.arange(400, dtype=np.uint64)
    first = told(hashes, case.target)
    assert (first["rows"], first["groups"]) == (400, 100)
    assert told(hashes, case.target) == first
    others = told(hashes[::-1], case.target), told(hashes, 1 - case.target)
    assert len({one["sha256"] for one in (first, *others)}) == 3
    alone = case.columns | {"household": np.arange(400)}
    given = case.repository.root, case.settings, alone, case.target
    assert provenance.holdout(*given)["groups"] is None


def test_nothing_that_passed_is_a_reason_of_its_own() -> None:
    absent = {"name": "x", "rule": "x", "verdict": "not applicable", "findings": []}
    check = {"name": "candidate", "verdict": "passed", "findings": []}
    (reason,) = _reasons([check, absent])
    assert (reason["name"], reason["part"]) == ("policy", "")
    assert "no rule of the policy passed" in reason["reason"]
    finding = {"verdict": "rejected", "reason": "bad"}
    rejected = {"name": "y", "rule": "y", "verdict": "rejected", "findings": [finding]}
    passed = absent | {"verdict": "passed"}
    assert _reasons([check, passed, rejected]) == [{"name": "y", "part": "", "reason": "bad"}]


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("binary", np.nan),
        ("binary", 2.0),
        ("multiclass", 3.0),
        ("multiclass", 0.5),
        ("regression", np.nan),
        ("regression", np.inf),
    ],
)
def test_rows_without_a_valid_target_are_not_judged(workshop: Any, task: str, wrong: float) -> None:
    case = workshop.case(task, rows=60)
    _check_target(case.settings, case.columns)
    target = case.columns["y"].copy()
    target[3:5] = wrong
    with pytest.raises(CandidateError, match=r"^2 holdout rows have no valid y"):
        _check_target(case.settings, case.columns | {"y": target})
