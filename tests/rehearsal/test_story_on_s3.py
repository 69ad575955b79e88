"""The same loop where the data are in a bucket, on a real S3 server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from conftest import generate
from moto.server import ThreadedMotoServer

from rehearsal.conftest import REASON
from rehearsal.story import Story, states

SECRET = "a-secret-that-no-log-may-show"
BUCKET = "data"
REMOTE = """
['remote "storage"']
    url = s3://data/dvc
    endpointurl = {address}
    region = us-east-1
    access_key_id = rehearsal
    secret_access_key = a-secret-that-no-log-may-show
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where an S3 server listens that has one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = f"http://{host}:{port}"
    storage(found).create_bucket(Bucket=BUCKET)
    yield found
    server.stop()


def storage(address: str) -> Any:
    """Return a client of the server."""
    keys = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": SECRET}
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    isolated: Path,
    machinery: tuple[dict[str, str], str],
    address: str,
) -> Iterator[Story]:
    """A repository whose first model is proposed, on data that only the bucket has."""
    environment, registry = machinery
    folder = tmp_path_factory.mktemp("s3")
    answers = {
        "container_registry": f"{registry or 'localhost:5000'}/bucket",
        "dvc_remote": f"s3://{BUCKET}/dvc",
    }
    project = generate(str(template), folder, isolated, answers)
    remote = REMOTE.format(address=address)
    with Story(folder / "world", engine=environment, remote=remote) as made:
        made.settle(project)
        made.push(made.author.path, "main")
        yield made


def test_the_first_model_goes_from_the_bucket_to_production(story: Story) -> None:
    story.begin("first")
    story.author.run("dvc", "repro")
    story.author.run("dvc", "push", "--quiet")
    story.author.commit("Candidate")
    number, made = story.propose("first")
    run = made["model"]
    assert states(run)["pass"] == "success", run.output
    assert "Running stage" not in run.output
    runs = story.accept(number)
    assert not (story.folder / "storage").exists()
    assert not [run for run in story.runs if SECRET in run.output]
    if story.engine:
        assert runs["release"].result == "success", runs["release"].output
        assert story.deployed()["model"] == story.declared() == story.served()


@pytest.mark.skipif(bool(REASON), reason=REASON or "there is an engine")
def test_an_object_that_was_damaged_is_not_released(story: Story, address: str) -> None:
    """Nothing but the bucket has the bundle that main declares: the runner is new."""
    pointer = yaml.safe_load(story.at("main", "deploy/production/champion.dvc"))
    client = storage(address)

    def key(md5: str) -> str:
        return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"

    listed = client.get_object(Bucket=BUCKET, Key=key(pointer["outs"][0]["md5"]))["Body"].read()
    (model,) = (one["md5"] for one in json.loads(listed) if one["relpath"] == "model.onnx")
    content = client.get_object(Bucket=BUCKET, Key=key(model))["Body"].read()
    damaged = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
    before = story.deployed()
    client.put_object(Bucket=BUCKET, Key=key(model), Body=damaged)
    run = story.start("release.yml", "workflow_dispatch")
    assert run.result == "failure"
    assert "Traceback" not in run.output
    assert pointer["outs"][0]["md5"][:12] in run.output or "cannot be fetched" in run.output
    client.put_object(Bucket=BUCKET, Key=key(model), Body=content)
    assert story.start("release.yml", "workflow_dispatch").result == "success"
    assert story.deployed() == before
