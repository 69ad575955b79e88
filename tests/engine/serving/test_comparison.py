"""A server takes a challenger back that answers otherwise than it may, and remembers that."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.bundle import manifest
from mlops.bundle.reading import CONFIG
from mlops.rollout import stops
from mlops.rollout.declaration import parse


def test_a_stop_from_before_there_was_such_a_guardrail_is_still_known() -> None:
    text = yaml.safe_dump(declared("a" * 64, "b" * 64, {"errors": 0.01}))
    known = "225fc1c149bef955"
    assert stops.key(parse(text.encode(), "it"))[:16] == known
    another = yaml.safe_dump(declared("a" * 64, "b" * 64, {"errors": 0.01, "drift": 0.1}))
    assert stops.key(parse(another.encode(), "it"))[:16] != known


def declared(champion: str, challenger: str, guardrails: Any, **changed: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "champion": champion,
        "challenger": challenger,
        "salt": "first",
        "steps": [{"share": 0.5}],
        "since": "2026-12-01T00:00:00Z",
        "primary": {"measure": "value"},
        "guardrails": guardrails,
        **changed,
    }


@pytest.mark.parametrize("mode", ["ab", "shadow"])
def test_a_real_server_takes_back_one_that_answers_otherwise(
    mode: str,
    bundle_folder: Path,
    tmp_path: Path,
    server: Callable[..., Any],
    golden: list[dict[str, Any]],
) -> None:
    eager = Path(shutil.copytree(bundle_folder, tmp_path / "eager"))
    asked = yaml.safe_load((eager / CONFIG).read_text())
    asked["evaluation"]["threshold"] = 0.0  # so that every answer is the last label
    (eager / CONFIG).write_text(yaml.safe_dump(asked, sort_keys=False))
    manifest.write(eager, manifest.read(eager))
    digests = [manifest.bundle_digest(one) for one in (bundle_folder, eager)]
    content = declared(*digests, {"drift": 0.1})
    if mode == "shadow":
        del content["primary"]
        content |= {"mode": mode, "steps": [{"share": 1, "for": "1d"}]}
    path = tmp_path / "experiment.yaml"
    path.write_text(json.dumps(content))
    started = server(bundle=bundle_folder, challenger=eager, experiment=path)
    for at in range(600):
        row = golden[at % len(golden)]
        key = {"x-routing-key": str(at), "content-type": "application/json"}
        assert started.ask("POST", "/predict", json.dumps(row), key).status == 200
    found = started.ask("GET", "/readyz").content["reason"]
    assert "(drift), and 0.1 may lie between" in found
    assert "`true` are 1 of its answers and" in found
    assert "mlops_experiment_stopped 1.0" in started.ask("GET", "/metrics").content.decode()
