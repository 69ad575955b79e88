import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mlops.bundle import manifest


def test_what_serves_is_described(client: Any, bundle_folder: Path) -> None:
    model = client.get("/model").json()
    content = manifest.read(bundle_folder)
    assert model["digest"] == manifest.bundle_digest(bundle_folder)
    assert model["name"] == content["name"]
    assert model["task"] == content["task"] == "binary"
    assert model["features"] == content["features"]
    assert model["manifest"] == {name: content[name] for name in content if name != "files"}
    assert model["card"] == (bundle_folder / "card.md").read_text()
    measured = json.loads((bundle_folder / "metrics.json").read_text())["holdout"]
    assert model["metrics"] == measured
    assert model["trained_on"]["rows"] == content["lineage"]["rows"]["train"]
    assert model["holdout_rows"] == content["holdout"]["rows"]
    assert len(model["labels"]) == 2
    assert 0 < model["threshold"] < 1
    assert model["challenger"] is None


def test_inputs_are_described_twice_for_people_and_for_programs(client: Any) -> None:
    model = client.get("/model").json()
    names = [column["name"] for column in model["columns"]]
    assert names == list(model["inputs"]["properties"])
    assert names == list(model["examples"][0])
    categories = [column for column in model["columns"] if column["type"] == "category"]
    assert all(column["categories"] for column in categories)


def test_examples_are_rows_that_are_answered(client: Any) -> None:
    examples = client.get("/model").json()["examples"]
    assert client.post("/predict", json=examples).status_code == 200


def test_age_is_since_it_was_loaded(client: Any) -> None:
    first = client.get("/model").json()["loaded_seconds"]
    second = client.get("/model").json()["loaded_seconds"]
    assert 0 <= first <= second < 600


def test_examples_hold_no_personal_data(
    started: Callable[..., Any], bundle_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    resolved = yaml.safe_load((folder / "resolved.yaml").read_text())
    contract = json.loads((folder / "contract.json").read_text())
    read = list(json.loads((folder / "golden.json").read_text())[0]["row"])
    for columns in (resolved["data"]["columns"], contract["columns"]):
        columns[read[0]]["pii"] = True
    (folder / "resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    (folder / "contract.json").write_text(json.dumps(contract))
    content = manifest.read(folder)
    del content["files"]
    manifest.write(folder, content)
    examples = started(bundle=folder).get("/model").json()["examples"]
    assert {example[read[0]] for example in examples} == {None}
    assert any(example[name] is not None for example in examples for name in read[1:])


def test_there_may_be_no_model(started: Callable[..., Any], tmp_path: Path) -> None:
    response = started(bundle=tmp_path / "absent").get("/model")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:mlops:problem:not-ready"


def test_it_is_in_openapi_with_its_types(client: Any) -> None:
    described = client.get("/openapi.json").json()
    answer = described["paths"]["/model"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema["$ref"].rpartition("/")[2] in described["components"]["schemas"]
