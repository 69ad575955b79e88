"""A server draws what is to be done, says it in the answer, and keeps it in the log."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mlops.bundle.manifest import bundle_digest
from mlops.impact import assigned
from mlops.impact.counterfactual import evaluated
from mlops.rollout.actions import Draw, parse
from mlops.serving.actions import ActionTrial
from mlops.serving.loading import load
from mlops.serving.settings import ServingSettings

ROW = {"risk": 0.0, "fee": 3.0, "other": None}
MANY = 400


def declared(bundle: Path, **changed: Any) -> str:
    content = {
        "format": 1,
        "mode": "actions",
        "model": bundle_digest(bundle),
        "salt": "first",
        "since": "2026-01-01T00:00:00Z",
        "arms": {
            "nothing": {"share": 0.2, "action": "nothing"},
            "call": {"share": 0.2, "action": "call"},
            "model": {"share": 0.6, "policy": "decision"},
        },
        "control": "nothing",
    }
    return yaml.safe_dump(content | changed)


def test_a_server_says_and_records_what_it_draws(
    valued: Path, server: Callable[..., Any], tmp_path: Path
) -> None:
    bundle, path = valued / "candidate", tmp_path / "actions.yaml"
    path.write_text(declared(bundle))
    started = server(bundle=bundle, actions=path, log_folder=tmp_path / "log")
    draw = Draw(parse(path.read_bytes(), "it"))
    for number in range(MANY):
        key = f"key{number}"
        rows = [ROW | {"risk": -3.0}, ROW | {"risk": 3.0}]
        reply = started.ask("POST", "/predict", json.dumps(rows), {"x-routing-key": key})
        arm = draw.arm(key.encode())
        for one in reply.content["predictions"]:
            assert tuple(one["assigned"].values()) == draw.assigned(arm, one["action"])
    started.process.terminate()
    assert started.process.wait(60) == 0
    logged = assigned.read(tmp_path / "log", datetime.now(UTC).date(), {})
    assert len(logged.unit) == 2 * MANY
    assert {*logged.action} == {"nothing", "call"}
    assert {round(float(one), 6) for one in logged.propensity} == {0.2, 0.8}
    called = evaluated(logged, np.full(len(logged.unit), "call", dtype=object))
    assert called.weight.low < 1 < called.weight.high


def test_the_file_is_followed_and_what_is_wrong_assigns_nothing(
    valued: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, path = valued / "candidate", tmp_path / "actions.yaml"
    predictor = load(bundle)
    answered = predictor.answered(predictor.decode(json.dumps([ROW]).encode()))

    def asked(text: str | None) -> list[Any]:
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        time.sleep(0.002)  # as long as it is not looked at again
        return [*trial.assigned(predictor, b"key", answered)]

    trial = ActionTrial(path, 0.001)
    assert asked(None) == []
    assert "there is no" in trial.reason(predictor)
    (first,) = asked(declared(bundle))
    assert first.arm in ("nothing", "call", "model")
    assert trial.reason(predictor) == ""
    assert asked("what: is this") == [first]  # as it was
    assert "correct it" in trial.reason(predictor)
    assert asked(declared(bundle, model="f" * 64)) == []
    assert "is of another bundle than the one that answers" in trial.reason(predictor)
    assert any("another bundle" in str(vars(one).get("reason")) for one in caplog.records)
    assert asked(declared(bundle)) == [first]
    assert asked(None) == []


def test_a_policy_needs_a_decision(
    bundle_folder: Path, champion: Any, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "actions.yaml"
    path.write_text(declared(bundle_folder))
    answered = champion.answered(champion.decode(json.dumps(golden[:2]).encode()))
    trial = ActionTrial(path, 1)
    assert not trial.assigned(champion, b"key", answered)
    assert "the bundle has no value table" in trial.reason(champion)
    arms = {name: {"share": 0.5, "action": name} for name in ("nothing", "gift")}
    path.write_text(declared(bundle_folder, arms=arms))
    (one, other) = ActionTrial(path, 1).assigned(champion, b"key", answered)
    assert one == other
    assert one.propensity == 0.5


def test_a_server_says_why_it_does_not_follow_them(
    valued: Path, server: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "actions.yaml"
    path.write_text(declared(valued / "candidate", model="f" * 64))
    started = server(bundle=valued / "candidate", actions=path, watch_seconds=0.01)
    reply = started.ask("GET", "/readyz")
    assert (reply.status, reply.content["ready"]) == (200, True)
    assert "is of another bundle than the one that answers" in reply.content["reason"]
    path.write_text(declared(valued / "candidate"))
    deadline = time.monotonic() + 30
    while started.ask("GET", "/readyz").content["reason"]:
        assert time.monotonic() < deadline


def test_no_file_is_asked_for_unless_it_is_told(tmp_path: Path) -> None:
    assert ServingSettings().actions is None
