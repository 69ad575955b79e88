"""KServe: its own client gets the golden predictions, and its models know the InferenceService."""

import json
import os
import subprocess
from typing import Any
from urllib.request import urlopen

import pytest
from baked import ROOT, SOURCE, Project
from linting import kustomized
from served import serving
from sweeps import thorough

PYTHON = ROOT / "build/kserve/bin/python"
REQUIRED = "KSERVE_REQUIRED"  # set where a missing client is a failure
pytestmark = thorough  # Triton's client asks in every run: test_inference_protocol.py


def kserve(task: str, told: Any) -> str:
    """Return what KServe's package says, in its own environment."""
    if not PYTHON.exists():
        assert not os.environ.get(REQUIRED), "`make kserve` has installed none"
        pytest.skip("no KServe: `make kserve` installs its client")
    script = ROOT / "tests/kserve_client.py"
    done = subprocess.run(
        [PYTHON, "-P", script, task], input=json.dumps(told), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_client_gets_the_golden_predictions(finished: Project) -> None:
    bundle = finished.path / "candidate"
    golden = json.loads((bundle / "golden.json").read_text())
    rows = [one["row"] for one in golden]
    with serving(finished, bundle) as address:
        with urlopen(f"{address}/v2/models/churn", timeout=30) as answer:
            inputs = json.load(answer)["inputs"]
        tensors = [{**one, "data": [row[one["name"]] for row in rows]} for one in inputs]
        told = {"address": address, "model": "churn", "tensors": tensors}
        answered = json.loads(kserve("ask", told))
        other = {**told, "model": "other"}
        with pytest.raises(AssertionError, match="the model is 'churn'"):
            kserve("ask", other)
    assert [answered[key] for key in ("live", "ready", "model ready", "id")] == [True] * 3 + ["42"]
    probabilities = [row[-1] for row in answered["outputs"]["probability"]]
    assert probabilities == pytest.approx([one["prediction"] for one in golden], abs=1e-5)


def test_its_models_know_the_service() -> None:
    (service,) = kustomized(SOURCE / "deploy/kubernetes/kserve")
    assert kserve("check", [service]) == ""


@pytest.mark.parametrize(
    ("place", "key"),
    [((), "predictors"), (("predictor",), "minReplica"), (("predictor",), "containerz")],
)
def test_a_wrong_service_is_found(place: tuple[str, ...], key: str) -> None:
    (service,) = kustomized(SOURCE / "deploy/kubernetes/kserve")
    inner = service["spec"]
    for name in place:
        inner = inner[name]
    inner[key] = 1
    at = "/".join(["InferenceService/spec", *place, key])
    assert kserve("check", [service]).splitlines() == [f"{at} is unknown"]
