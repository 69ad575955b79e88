"""A release as it really is: an image built, pushed, pulled, confined, and asked over HTTP."""

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import bucket
import engine
import pytest
import yaml
from baked import ROOT, Project, sharing
from composing import engine_at, program, started
from conftest import generate
from sweeps import thorough

CONFINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
PATIENCE = 60.0
MEGABYTE = 1_000_000
MOST = 150 * MEGABYTE  # above the base
NO_BUILD = "--no-such-option"


class Shipped(NamedTuple):
    """A project whose production was released, on data that only a bucket has."""

    project: Project
    remote: Path
    storage: str
    said: str

    def podman(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        told = ["podman", *arguments]
        environment = dict(self.project.environment)
        done = subprocess.run(told, env=environment, text=True, capture_output=True)
        assert not check or done.returncode == 0, f"{' '.join(told)}\n{done.stderr}"
        return done

    def record(self) -> dict[str, str]:
        told = ["git", "-C", str(self.remote), "show", "env/production:release.json"]
        return dict(json.loads(subprocess.run(told, check=True, capture_output=True).stdout))

    @property
    def image(self) -> str:
        return "{image}@{digest}".format(**self.record())

    def pull(self) -> str:
        """Fetch the image from the registry by its digest, as a machine does that has nothing."""
        self.podman("rmi", "--force", self.image, check=False)
        self.podman("pull", "--quiet", "--tls-verify=false", self.image)
        return self.image


class Answering(NamedTuple):
    """A container that answers at a port of this machine."""

    shipped: Shipped
    name: str
    port: int

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def shipped(
    tmp_path_factory: pytest.TempPathFactory, isolated: Path, template: Path
) -> Iterator[Shipped]:
    if reason := engine.lacking():
        assert not os.environ.get(engine.REQUIRED), reason
        pytest.skip(f"no container engine: {reason}")
    folder = tmp_path_factory.mktemp("shipped")
    environment = engine.prepare(ROOT / "build/engine", folder)
    with engine.registry(folder) as address, bucket.bucket() as storage:
        answers = {
            "container_registry": f"{address}/acme",
            "project_name": "Shipped",
            "dvc_remote": f"s3://{bucket.NAME}/dvc",
        }
        made = sharing(generate(str(template), folder, isolated, answers), folder)
        project = Project(made.path, {**made.environment, **environment})
        remote = folder / "remote.git"
        project.run("git", "init", "--quiet", "--initial-branch", "main")
        project.run("git", "init", "--quiet", "--bare", str(remote))
        project.run("git", "remote", "add", "origin", str(remote))
        (made.path / ".dvc/config.local").write_text(bucket.remote(storage))
        project.run("mlops", "sample", "--rows", "4000", "--months", "3")
        project.run("dvc", "add", "--quiet", "data/raw")
        project.commit("Start")
        project.run("dvc", "repro")
        project.commit("Candidate")
        project.run("git", "push", "--quiet", "origin", "main")
        commands = (
            ("mlops", "gate", "--rederive", "--against", "main"),
            ("dvc", "push"),
            ("mlops", "promote"),
            ("git", "push", "--quiet", "origin", "main"),
            ("mlops", "release"),
        )
        said = "".join(project.run(*command).stdout for command in commands)
        yield Shipped(project, remote, storage, said)


@contextmanager
def running(shipped: Shipped, image: str, *options: str) -> Iterator[Answering]:
    """Run an image, confined, and wait until it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"test-{port}"
    told = ["run", "--detach", "--name", name, *CONFINED, "--network=host"]
    shipped.podman(*told, "--env", f"MLOPS_PORT={port}", *options, image)
    answering = Answering(shipped, name, port)
    try:
        _wait(answering)
        yield answering
    finally:
        shipped.podman("rm", "--force", name)


def _wait(answering: Answering) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if answering.ask("GET", "/readyz")[0] == 200:
                return
        except OSError:
            pass
        told = answering.shipped.podman("inspect", "--format={{.State.Running}}", answering.name)
        assert "true" in told.stdout, answering.shipped.podman("logs", answering.name).stderr
        time.sleep(0.02)
    raise AssertionError(f"not ready after {PATIENCE} s")


def size(shipped: Shipped, image: str) -> int:
    return int(shipped.podman("image", "inspect", "--format={{.Size}}", image).stdout)


def served(answering: Answering) -> str:
    return str(json.loads(answering.ask("GET", "/model")[1])["digest"])


def test_what_is_declared_is_served(shipped: Shipped) -> None:
    golden = json.loads((shipped.project.path / "candidate/golden.json").read_text())
    rows = json.dumps([one["row"] for one in golden])
    with running(shipped, shipped.pull()) as answering:
        assert served(answering) == shipped.record()["model"]
        status, body = answering.ask("POST", "/predict", rows)
        assert status == 200
        found = [one["probabilities"]["true"] for one in json.loads(body)["predictions"]]
        assert found == pytest.approx([one["prediction"] for one in golden], abs=1e-5)
        shipped.podman("healthcheck", "run", answering.name)


def test_the_buckets_secret_is_in_no_log(shipped: Shipped) -> None:
    assert "production" in shipped.said
    assert bucket.SECRET not in shipped.said


@thorough
def test_an_object_that_was_damaged_is_not_released(shipped: Shipped, tmp_path: Path) -> None:
    """Nothing but the bucket has the bundle that main declares: the clone is new."""
    clone = tmp_path / "clone"
    cloning = ("git", "clone", "--quiet", "--branch", "main", str(shipped.remote), str(clone))
    shipped.project.run(*cloning)
    (clone / ".dvc/config.local").write_text(bucket.remote(shipped.storage))
    own = sharing(clone, tmp_path).environment
    project = Project(clone, {**shipped.project.environment, **own})
    pointer = yaml.safe_load((clone / "deploy/production/champion.dvc").read_text())
    client, md5 = bucket.client(shipped.storage), pointer["outs"][0]["md5"]
    listed = client.get_object(Bucket=bucket.NAME, Key=bucket.key(md5))["Body"].read()
    (model,) = (one["md5"] for one in json.loads(listed) if one["relpath"] == "model.onnx")
    place = {"Bucket": bucket.NAME, "Key": bucket.key(model)}
    content = client.get_object(**place)["Body"].read()
    client.put_object(**place, Body=content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    before = shipped.record()
    failed = project.run("mlops", "release", check=False)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stdout
    assert md5[:12] in failed.stdout or "cannot be fetched" in failed.stdout
    client.put_object(**place, Body=content)
    project.run("mlops", "release")
    assert shipped.record() == before


def test_it_can_do_nothing_else(shipped: Shipped) -> None:
    with running(shipped, shipped.image) as answering:
        told = ["exec", answering.name, "sh", "-c"]
        status = shipped.podman(*told, "cat /proc/1/status").stdout
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert shipped.podman(*told, "id -u").stdout.strip() == "10001"
        assert "Read-only" in shipped.podman(*told, "touch /app/x", check=False).stderr
        assert shipped.podman(*told, "find /opt/venv /app -perm -o+w ! -type l").stdout == ""


def test_the_log_volume_belongs_to_the_server(shipped: Shipped) -> None:
    volume = ("--volume", "test-log:/app/log", "--env", "MLOPS_LOG_FOLDER=/app/log")
    try:
        with running(shipped, shipped.image, *volume) as answering:
            shipped.podman("exec", answering.name, "touch", "/app/log/mine")
    finally:
        shipped.podman("volume", "rm", "--force", "test-log")


def test_it_is_small_and_holds_what_it_needs(shipped: Shipped) -> None:
    image = shipped.image
    assert size(shipped, image) - size(shipped, engine.BASE) <= MOST
    look = ["/opt/venv/lib", "-type", "d", "(", "-name", "pip*", "-o", "-name", "tests", ")"]
    told = shipped.podman("run", "--rm", "--entrypoint=find", image, *look)
    assert told.stdout == ""
    for missing in ("pandas", "sklearn", "mlflow", "dvc", "mlops.training", "pyarrow"):
        probe = ["run", "--rm", "--entrypoint=python3", image, "-c", f"import {missing}"]
        assert shipped.podman(*probe, check=False).returncode == 1, missing


def test_its_labels_say_what_it_is(shipped: Shipped) -> None:
    told = shipped.podman("image", "inspect", "--format={{json .Config}}", shipped.image)
    config = json.loads(told.stdout)
    labels, record = config["Labels"], shipped.record()
    assert labels["mlops.model.digest"] == record["model"]
    assert labels["org.opencontainers.image.revision"] == record["commit"]
    assert labels["org.opencontainers.image.title"] == "Shipped"
    assert config["User"] == "10001:10001"


def test_another_bundle_is_refused(shipped: Shipped, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(shipped.project.path / "candidate", other)
    content = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(content))
    told = ["run", "--rm", *CONFINED, "--volume", f"{other}:/app/bundle:ro", shipped.image]
    done = shipped.podman(*told, check=False)
    assert done.returncode != 0
    assert "expected" in done.stderr


def gathered(shipped: Shipped, context: Path) -> Path:
    """Return a folder with what an image of the candidate is built from."""
    recipe = (shipped.project.path / ".dockerignore").read_text().splitlines()
    for name in [line[1:] for line in recipe if line.startswith("!") and "*" not in line]:
        source = shipped.project.path / name
        if source.exists():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, context / name)
    shutil.copytree(shipped.project.path / "candidate", context / "bundle")
    return context


@thorough
def test_tables_are_scored_in_an_image_of_another_lock_as_the_cron_job_says(
    shipped: Shipped, tmp_path: Path
) -> None:
    context = gathered(shipped, tmp_path / "context")
    dockerfile = shipped.project.path / "deploy/Dockerfile"
    model = shipped.record()["model"]
    given = [f"BASE={engine.BASE}", f"MODEL={model}", "LOCK=batch.txt"]
    told = ["build", "--quiet", "--file", str(dockerfile)]
    told += [word for argument in given for word in ("--build-arg", argument)]
    image = shipped.podman(*told, str(context)).stdout.split()[-1]
    text = (shipped.project.path / "deploy/kubernetes/batch/cronjob.yaml").read_text()
    pod = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    data = tmp_path / "data"
    (data / "in").mkdir(parents=True)
    data.chmod(0o777)
    shutil.copy(shipped.project.path / "data/raw/2025-02.parquet", data / "in")
    run = ["run", "--rm", *CONFINED, f"--entrypoint={json.dumps(container['command'])}"]
    run += ["--env=SOURCE_DATE_EPOCH=1795737600", "--volume", f"{data}:/data", image]
    assert "rows scored" in shipped.podman(*run, *container["args"]).stdout
    folder = data / "scores/date=2026-11-27"
    said = json.loads((folder / "_part.parquet.lineage.json").read_text())
    assert said["model"]["sha256"] == model
    assert said["engine"] == (shipped.project.path / "engine/VERSION").read_text().strip()
    assert (folder / "part.parquet").is_file()
    assert len(list(data.glob(f"log/predictions/date=2026-11-27/model={model[:12]}/*"))) == 1


@thorough
def test_a_challenger_beside_it_answers_its_share_by_a_file_that_is_mounted(
    shipped: Shipped, tmp_path: Path
) -> None:
    """Both in one image; a step is followed without a restart."""
    context = gathered(shipped, tmp_path / "context")
    shutil.copytree(context / "bundle", context / "challenger")
    manifest = context / "challenger/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"name": "another"}))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    champion = shipped.record()["model"]
    given = [f"BASE={engine.BASE}", f"MODEL={champion}", "CHALLENGER=challenger"]
    told = ["build", "--quiet", "--file", str(shipped.project.path / "deploy/Dockerfile")]
    wrong, right = (f"CHALLENGER_MODEL={one}" for one in ("c" * 64, digest))
    told += [word for argument in given for word in ("--build-arg", argument)]
    done = shipped.podman(*told, "--build-arg", wrong, str(context), check=False)
    assert done.returncode != 0
    image = shipped.podman(*told, "--build-arg", right, str(context)).stdout.split()[-1]
    steps = [{"share": 0.3}, {"share": 0.6}]
    about = {"format": 1, "champion": champion, "challenger": digest, "salt": "a", "steps": steps}
    about |= {"since": "2026-12-01T00:00:00Z", "primary": {"measure": "value"}}
    folder = tmp_path / "experiment"
    folder.mkdir()

    def declare(step: int) -> None:
        (folder / "next").write_text(json.dumps({**about, "step": step}))
        (folder / "next").rename(folder / "experiment.yaml")

    row = json.dumps(json.loads((context / "bundle/golden.json").read_text())[0]["row"])
    declare(0)
    mounted = ("--volume", f"{folder}:/app/experiment:ro", "--env", "MLOPS_WATCH_SECONDS=0.1")
    with running(shipped, image, *mounted) as answering:

        def share() -> float:
            """Return the challenger's share of a hundred requests, each of which is another key."""
            replies = [answering.ask("POST", "/predict", row) for _ in range(100)]
            met = sum(bool(json.loads(body)["model"] == digest) for _, body in replies)
            return met / 100

        assert 0.1 < share() < 0.5
        declare(1)
        end = time.monotonic() + PATIENCE
        while share() < 0.5:
            assert time.monotonic() < end
        (folder / "experiment.yaml").unlink()
        while share():
            assert time.monotonic() < end


@thorough
def test_a_damaged_bundle_is_not_built(shipped: Shipped, tmp_path: Path) -> None:
    context = gathered(shipped, tmp_path / "context")
    golden = context / "bundle/golden.json"
    golden.write_bytes(golden.read_bytes().replace(b"1", b"2", 1))
    dockerfile = shipped.project.path / "deploy/Dockerfile"
    told = ["build", "--quiet", "--file", str(dockerfile), "--build-arg", f"BASE={engine.BASE}"]
    model = f"MODEL={shipped.record()['model']}"
    done = shipped.podman(*told, "--build-arg", model, str(context), check=False)
    assert done.returncode != 0
    assert "not what its manifest says" in done.stdout + done.stderr


@thorough
def test_a_revert_serves_the_image_that_there_was_without_a_build(shipped: Shipped) -> None:
    project, before = shipped.project, shipped.record()
    module = project.path / "engine/src/mlops/serving/batch.py"
    module.write_text(module.read_text() + "\n# Another.\n")
    project.commit("Change what serves")
    project.run("git", "push", "--quiet", "origin", "main")
    project.run("mlops", "release")
    assert shipped.record()["digest"] != before["digest"]
    project.run("git", "revert", "--no-edit", "HEAD")
    project.run("git", "push", "--quiet", "origin", "main")
    never = Project(project.path, {**project.environment, "MLOPS_BUILD_OPTIONS": NO_BUILD})
    never.run("mlops", "release")
    after = shipped.record()
    assert {**after, "commit": before["commit"]} == before
    with running(shipped, shipped.pull()) as answering:
        assert served(answering) == before["model"]


# What a machine without a network of containers cannot do; all else is as the branch has it.
OF_THIS_MACHINE = """
name: {name}
services:
  model:
    network_mode: host
    ports: !reset []
    environment: {{MLOPS_PORT: {port}}}
"""


def test_compose_starts_what_the_branch_declares(shipped: Shipped, tmp_path: Path) -> None:
    """As deploy/compose.yaml says: check out the branch, and `up --detach --wait`."""
    program()
    branch = tmp_path / "production"
    cloning = ("git", "clone", "--quiet", "--branch", "env/production", str(shipped.remote))
    shipped.project.run(*cloning, str(branch))
    shipped.pull()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = tmp_path / "own.yaml"
    own.write_text(OF_THIS_MACHINE.format(name=f"test-{port}", port=port))
    files = [branch / "compose.yaml", own]
    with (
        engine_at(tmp_path, shipped.project.environment) as environment,
        started(files, "model", environment) as container,
    ):
        answering = Answering(shipped, container, port)
        assert served(answering) == shipped.record()["model"]
        told = json.loads(shipped.podman("inspect", container).stdout)[0]
        host = told["HostConfig"]
        assert told["Config"]["User"] == "10001:10001"
        assert told["State"]["Health"]["Status"] == "healthy"
        assert (host["ReadonlyRootfs"], host["PidsLimit"]) == (True, 200)
        assert host["Memory"] == 512 * 1024 * 1024
        assert not told["EffectiveCaps"]
        inside = ["exec", container, "sh", "-c"]
        shipped.podman(*inside, "touch /app/log/mine /tmp/mine")
        for place in ("/app/mine", "/app/experiment/mine"):
            assert "Read-only" in shipped.podman(*inside, f"touch {place}", check=False).stderr
    assert shipped.podman("volume", "ls", "--quiet", "--filter", f"name=test-{port}").stdout == ""


def test_compose_confines_it_as_the_smoke_test_does(shipped: Shipped) -> None:
    content = yaml.safe_load((shipped.project.path / "deploy/compose.yaml").read_text())
    service = content["services"]["model"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"].startswith("${IMAGE:?")
    text = (shipped.project.path / "deploy/kubernetes/deployment.yaml").read_text()
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "podman" in engine.lacking() or "root" in engine.lacking()
