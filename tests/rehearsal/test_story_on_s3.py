"""The same loop where the data are in a bucket, on a real S3 server."""

import json
from collections.abc import Iterator
from pathlib import Path

import bucket
import pytest
import yaml
from conftest import generate
from sweeps import thorough

from rehearsal.conftest import REASON
from rehearsal.story import Story, states

pytestmark = thorough  # test_container.py has such a server too, without the workflows


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where an S3 server listens that has one bucket."""
    with bucket.bucket() as found:
        yield found


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
        "dvc_remote": f"s3://{bucket.NAME}/dvc",
    }
    project = generate(str(template), folder, isolated, answers)
    remote = bucket.remote(address)
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
    assert not [run for run in story.runs if bucket.SECRET in run.output]
    if story.engine:
        assert runs["release"].result == "success", runs["release"].output
        assert story.deployed()["model"] == story.declared() == story.served()


@pytest.mark.skipif(bool(REASON), reason=REASON or "there is an engine")
def test_an_object_that_was_damaged_is_not_released(story: Story, address: str) -> None:
    """Nothing but the bucket has the bundle that main declares: the runner is new."""
    pointer = yaml.safe_load(story.at("main", "deploy/production/champion.dvc"))
    client, key = bucket.client(address), bucket.key

    listed = client.get_object(Bucket=bucket.NAME, Key=key(pointer["outs"][0]["md5"]))[
        "Body"
    ].read()
    (model,) = (one["md5"] for one in json.loads(listed) if one["relpath"] == "model.onnx")
    content = client.get_object(Bucket=bucket.NAME, Key=key(model))["Body"].read()
    damaged = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
    before = story.deployed()
    client.put_object(Bucket=bucket.NAME, Key=key(model), Body=damaged)
    run = story.start("release.yml", "workflow_dispatch")
    assert run.result == "failure"
    assert "Traceback" not in run.output
    assert pointer["outs"][0]["md5"][:12] in run.output or "cannot be fetched" in run.output
    client.put_object(Bucket=bucket.NAME, Key=key(model), Body=content)
    assert story.start("release.yml", "workflow_dispatch").result == "success"
    assert story.deployed() == before
