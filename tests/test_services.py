"""Shared services: what the keys of the bucket may do, and MLflow on PostgreSQL with a bucket."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import engine
import psutil
import pytest
import yaml
from baked import ROOT, SOURCE, sharing
from botocore.exceptions import ClientError
from composing import engine_at, program, started
from databases import free_port, postgresql
from linting import run, tool
from sweeps import thorough

FOLDER = SOURCE / "deploy/services"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
WEED = ROOT / "build/services/bin/weed"
REQUIRED = "SERVICES_REQUIRED"  # set where a missing SeaweedFS is a failure
PATIENCE = 120.0
REGION = "us-east-1"


class Storage(NamedTuple):
    """A bucket service whose users are those of the compose file; their secrets are their names."""

    address: str
    folder: Path
    process: int

    def client(self, user: str) -> Any:
        keys = {"aws_access_key_id": user, "aws_secret_access_key": secret(user)}
        return boto3.client("s3", endpoint_url=self.address, region_name=REGION, **keys)

    def remote(self, user: str) -> str:
        """Return what a user writes to .dvc/config.local."""
        lines = (
            "url = s3://data/dvc",
            f"endpointurl = {self.address}",
            f"region = {REGION}",
            f"access_key_id = {user}",
            f"secret_access_key = {secret(user)}",
        )
        return "\n    ".join(["['remote \"storage\"']", *lines]) + "\n"


def secret(user: str) -> str:
    return f"secret-of-{user}"


def wait(answers: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something answers; fail with its log where it ends first."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            answers()
        except (OSError, ClientError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer after {PATIENCE:g} s\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """SeaweedFS with the identities of the compose file, set up as engine/docs/services.md says."""
    if not WEED.exists():
        assert not os.environ.get(REQUIRED), "`make services` has installed none"
        pytest.skip("no SeaweedFS: `make services` installs it")
    folder = tmp_path_factory.mktemp("storage")
    content = COMPOSE["configs"]["identities"]["content"]
    identities = re.sub(r"\$\{S3_(\w+):\?\}", lambda found: secret(found[1].lower()), content)
    (folder / "identities.json").write_text(identities)
    (folder / "data").mkdir()
    # Each listens at its port, and at that port and 10,000 for its own kind.
    ports = {name: free_port() % 20_000 + 20_000 for name in ("master", "volume", "filer", "s3")}
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    own = ["-s3.ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64", "-volume.max=40"]
    users = [f"-dir={folder}/data", f"-s3.config={folder}/identities.json"]
    with (folder / "log").open("wb") as log:
        # As the compose file has it; of two options of one name the last one holds.
        told = [*COMPOSE["services"]["storage"]["command"], *users, *options, *own]
        process = subprocess.Popen([WEED, *told], stdout=log, stderr=log)
        try:
            made = Storage(f"http://127.0.0.1:{ports['s3']}", folder, process.pid)
            owner = made.client("owner")
            wait(lambda: owner.create_bucket(Bucket="data"), process, folder / "log")
            owner.create_bucket(Bucket="mlflow")
            status = {"Status": "Enabled"}
            owner.put_bucket_versioning(Bucket="data", VersioningConfiguration=status)
            policy = (FOLDER / "bucket-policy.json").read_text()
            owner.put_bucket_policy(Bucket="data", Policy=policy)
            yield made
        finally:
            process.kill()
            process.wait()


def refused(call: Callable[..., Any], **arguments: Any) -> bool:
    """Say whether a call is denied; any other failure is one."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return True
    return False


def test_what_asks_for_no_key_listens_in_its_container_alone(storage: Storage) -> None:
    """But for the S3 interface, and what it takes settings by at 10,000 ports above."""
    wide = [one for one in COMPOSE["services"]["storage"]["command"] if "0.0.0.0" in one]
    assert wide == ["-s3.ip.bind=0.0.0.0"]
    listening = {
        (one.laddr.ip, one.laddr.port)
        for one in psutil.Process(storage.process).net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
    assert {address for address, _ in listening} == {"127.0.0.1"}
    assert len(listening) == 8  # master, volume, filer and S3, and the other port of each


def test_the_server_that_strangers_ask_reaches_no_storage() -> None:
    networks = {name: one.get("networks", ["default"]) for name, one in COMPOSE["services"].items()}
    apart = {name for name, named in networks.items() if named == ["data"]}
    assert apart == {"postgres", "storage", "mlflow"}
    assert all(networks[name] == ["default"] for name in set(networks) - apart)


def test_the_documented_passwords_are_for_one_account_and_are_not_written_over(
    tmp_path: Path,
) -> None:
    text = (SOURCE / "engine/docs/services.md").read_text(encoding="utf-8")
    block = text.split("```\n")[1]
    assert block.count("docker compose") == 1
    lines = block.replace("docker compose", 'echo "$IMAGE"; : compose')
    (tmp_path / "deploy/services").mkdir(parents=True)
    told: dict[str, Any] = {"cwd": tmp_path, "text": True, "capture_output": True}
    for made in (
        ("init", "-q", "-b", "env/production"),
        ("remote", "add", "origin", "."),
    ):
        subprocess.run(["git", *made], check=True, **told)
    passwords = tmp_path / "deploy/services/.env"
    for image in ("registry.invalid/churn@sha256:a", "registry.invalid/churn@sha256:b"):
        (tmp_path / ".env").write_text(f"IMAGE={image}\n")
        subprocess.run(["git", "add", ".env"], check=True, **told)
        as_somebody = ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
        subprocess.run([*as_somebody, "commit", "-qm", "One"], check=True, **told)
        before = passwords.read_text() if passwords.exists() else None
        done = subprocess.run(["sh", "-c", lines], **told)
        assert done.stdout == f"{image}\n", done.stderr
        assert ("overwrite" in done.stderr or "exists" in done.stderr) == (before is not None)
        assert passwords.stat().st_mode & 0o777 == 0o600
        assert before in (None, passwords.read_text())
    assert re.fullmatch(r"(\w+=[0-9a-f]{48}\n){6}", passwords.read_text())


def test_who_adds_objects_destroys_none(storage: Storage) -> None:
    automation, owner = storage.client("automation"), storage.client("owner")
    place = {"Bucket": "data", "Key": "dvc/one"}
    first = automation.put_object(**place, Body=b"first")["VersionId"]
    automation.put_object(**place, Body=b"second")
    assert refused(automation.delete_object, **place)
    assert refused(automation.delete_object, **place, VersionId=first)
    assert automation.get_object(**place, VersionId=first)["Body"].read() == b"first"
    # The owner alone clears away, and takes a version back.
    assert not refused(owner.delete_object, **place)
    assert owner.get_object(**place, VersionId=first)["Body"].read() == b"first"


def test_nobody_but_the_owner_changes_what_holds(storage: Storage) -> None:
    for user in ("automation", "reader", "mlflow"):
        client = storage.client(user)
        assert refused(client.delete_bucket_policy, Bucket="data"), user
        off = {"Status": "Suspended"}
        assert refused(client.put_bucket_versioning, Bucket="data", VersioningConfiguration=off), (
            user
        )
    for user in ("automation", "reader"):
        other = {"Bucket": "mlflow", "Key": "one"}
        assert refused(storage.client(user).put_object, **other, Body=b"x"), user
        assert refused(storage.client(user).get_object, **other), user
    assert refused(storage.client("mlflow").get_object, Bucket="data", Key="dvc/one")
    assert refused(storage.client("reader").put_object, Bucket="data", Key="dvc/x", Body=b"x")
    stranger = storage.client("owner")
    stranger._request_signer._credentials.secret_key = "a guess"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_buckets()


def test_dvc_pushes_with_one_key_and_pulls_with_another(
    storage: Storage, bake: Callable[..., Path], tmp_path: Path
) -> None:
    project = sharing(bake(), tmp_path)
    settings = project.path / ".dvc/config.local"
    project.run("git", "init", "--quiet")
    project.run("mlops", "sample", "--rows", "500", "--months", "2")
    project.run("dvc", "add", "--quiet", "data/raw")
    settings.write_text(storage.remote("reader"))
    failed = project.run("dvc", "push", check=False)
    assert failed.returncode != 0
    assert secret("reader") not in failed.stdout
    settings.write_text(storage.remote("automation"))
    project.run("dvc", "push")
    before = {path.name: path.read_bytes() for path in (project.path / "data/raw").iterdir()}
    assert len(before) == 2
    shutil.rmtree(project.path / "data/raw")
    shutil.rmtree(project.path / ".dvc/cache")
    settings.write_text(storage.remote("reader"))
    project.run("dvc", "pull", "data/raw.dvc")
    after = {path.name: path.read_bytes() for path in (project.path / "data/raw").iterdir()}
    assert after == before


def test_the_files_are_what_their_programs_take(tmp_path: Path) -> None:
    schema = (tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec")
    assert run(*schema, FOLDER / "compose.yaml") == ""
    assert run(tool("hadolint"), "--failure-threshold", "info", FOLDER / "Dockerfile") == ""
    shutil.copy(FOLDER / "prometheus.yml", tmp_path)
    shutil.copy(SOURCE / "deploy/observability/rules.yaml", tmp_path)
    promtool = tool("promtool")
    assert run(promtool, "check", "config", tmp_path / "prometheus.yml") == ""
    (tmp_path / "rules.yaml").write_text("groups: [{nam: x}]\n")
    assert run(promtool, "check", "config", tmp_path / "prometheus.yml") != ""


def test_no_secret_stands_in_a_file_and_none_has_a_default() -> None:
    named = re.findall(r"\$\{((?:S3_|POSTGRES_|GRAFANA_)\w+)([^}]*)\}", TEXT)
    assert {rest for _, rest in named} == {":?"}
    assert re.findall(r'"secretKey": "([^$"][^"]*)"', TEXT) == []
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("${ADDRESS:-127.0.0.1}:"), name


def test_every_path_that_is_mounted_is_there() -> None:
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (FOLDER / source).exists(), name


def kept(address: str, storage: Storage, database: str) -> None:
    """Log a run, and look for it in the database and the bucket; who logs has no key of either."""
    import psycopg
    from mlflow import MlflowClient

    client = MlflowClient(address)
    made = client.create_run(client.create_experiment("churn"))
    client.log_metric(made.info.run_id, "auc", 0.8)
    client.log_text(made.info.run_id, "words", "card.md")
    assert client.get_run(made.info.run_id).data.metrics == {"auc": 0.8}
    listed = storage.client("mlflow").list_objects_v2(Bucket="mlflow")
    assert any(f"{made.info.run_id}/artifacts/card.md" in one["Key"] for one in listed["Contents"])
    with psycopg.connect(database) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM metrics").fetchone() or (0,)
    assert rows == 1


def reaching(storage: Storage, database: str) -> dict[str, str]:
    """Return what the environment of MLflow says here in place of the compose file's names."""
    own = {
        "MLFLOW_BACKEND_STORE_URI": database.replace("postgresql:", "postgresql+psycopg:"),
        "MLFLOW_S3_ENDPOINT_URL": storage.address,
        "AWS_SECRET_ACCESS_KEY": secret("mlflow"),
    }
    assert set(own) <= set(COMPOSE["services"]["mlflow"]["environment"])
    return own


@thorough
def test_mlflow_keeps_runs_in_postgresql_and_artefacts_in_the_bucket(
    storage: Storage, tmp_path: Path
) -> None:
    """As the compose file has it."""
    said = COMPOSE["services"]["mlflow"]["environment"]
    port = free_port()
    with postgresql() as database:
        own = reaching(storage, database)
        environment = {**os.environ, **said, **own, "MLFLOW_DISABLE_TELEMETRY": "true"}
        told = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(told, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            health = f"http://127.0.0.1:{port}/health"
            wait(lambda: urllib.request.urlopen(health, timeout=5), process, tmp_path / "log")
            kept(f"http://127.0.0.1:{port}", storage, database)
        finally:
            process.terminate()
            process.wait(30)


@thorough
def test_compose_starts_mlflow_of_its_own_image(storage: Storage, tmp_path: Path) -> None:
    """Built from its Dockerfile, confined as the file says, and healthy by its own check."""
    if reason := engine.lacking():
        assert not os.environ.get(engine.REQUIRED), reason
        pytest.skip(f"no container engine: {reason}")
    program()
    environment = {**os.environ, **engine.prepare(ROOT / "build/engine", tmp_path)}
    # Debian's Python is what installs here; the image that is named has one of its own.
    told = ["podman", "build", "--quiet", "--from", engine.BASE, "--tag", "localhost/mlflow"]
    told += ["--env=PIP_BREAK_SYSTEM_PACKAGES=1", "--format=docker"]
    told += ["--file", str(FOLDER / "Dockerfile"), str(SOURCE / "requirements")]
    subprocess.run(told, env=environment, check=True, capture_output=True)
    given = {name: "unused" for name in re.findall(r"\$\{(\w+):\?\}", TEXT)} | {"IMAGE": "unused"}
    own = tmp_path / "own.yaml"
    with postgresql() as database:
        # What a machine without a network of containers cannot do, and where its services are.
        service = {
            "image": "localhost/mlflow",
            "network_mode": "host",
            "environment": reaching(storage, database),
        }
        lines = yaml.safe_dump({"name": "test-mlflow", "services": {"mlflow": service}})
        for key in ("build", "ports", "depends_on", "networks"):
            lines += f"    {key}: !reset null\n"
        own.write_text(lines)
        files = [FOLDER / "compose.yaml", own]
        with engine_at(tmp_path, {**environment, **given}) as reached:  # noqa: SIM117
            with started(files, "mlflow", reached):
                kept("http://127.0.0.1:5000", storage, database)
