"""The files of Compose, as Docker's own Compose reads them: variables, ports, volumes, rights."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE
from composing import resolved

SERVER = SOURCE / "deploy/compose.yaml"
SERVICES = SOURCE / "deploy/services/compose.yaml"
SECRETS = {
    name: f"secret-{name.lower()}"
    for name in (
        *("POSTGRES_PASSWORD", "GRAFANA_PASSWORD"),
        *("S3_OWNER", "S3_AUTOMATION", "S3_READER", "S3_MLFLOW"),
    )
}
GIVEN = {**SECRETS, "IMAGE": "registry.invalid/churn@sha256:" + "a" * 64}
ROOT_ALLOWED = {"postgres", "storage"}  # they give their volume away, and become another user


@pytest.fixture
def services() -> dict[str, Any]:
    return dict(resolved(SERVICES, GIVEN)["services"])


def test_the_documented_passwords_are_all_that_is_needed() -> None:
    text = (SOURCE / "engine/docs/services.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"for name in ([A-Z0-9_ ]+); do", text)
    assert set(named.split()) == set(SECRETS)
    assert set(resolved(SERVICES, GIVEN)["services"]) == {
        *("postgres", "storage", "mlflow", "model", "prometheus", "grafana")
    }


@pytest.mark.parametrize("name", GIVEN)
def test_without_a_password_nothing_starts(name: str) -> None:
    lacking = {key: value for key, value in GIVEN.items() if key != name}
    with pytest.raises(AssertionError, match=f"required variable {name} is missing a value"):
        resolved(SERVICES, lacking)


def test_a_server_alone_needs_its_image_and_says_where_it_is() -> None:
    with pytest.raises(AssertionError, match="check out the branch env/production"):
        resolved(SERVER, {})
    alone = resolved(SERVER, {"IMAGE": GIVEN["IMAGE"]})["services"]["model"]
    both = resolved(SERVICES, GIVEN)["services"]["model"]
    assert alone == both  # the other file extends it, with the folders that it has


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    text = SERVER.read_text(encoding="utf-8")
    wrong = tmp_path / "compose.yaml"
    for right, other in (("read_only:", "readonly:"), ("- log:/app", "- logs:/app")):
        wrong.write_text(text.replace(right, other))
        with pytest.raises(AssertionError, match=r"not allowed|undefined volume"):
            resolved(wrong, GIVEN)


def test_a_secret_reaches_who_needs_it_and_nobody_else() -> None:
    project = resolved(SERVICES, GIVEN)
    holders = {
        name: {key for key, value in SECRETS.items() if value in json.dumps(service)}
        for name, service in project["services"].items()
    }
    assert {name: keys for name, keys in holders.items() if keys} == {
        "postgres": {"POSTGRES_PASSWORD"},
        "mlflow": {"POSTGRES_PASSWORD", "S3_MLFLOW"},
        "grafana": {"GRAFANA_PASSWORD"},
    }
    identities = json.loads(project["configs"]["identities"]["content"])["identities"]
    keys = {one["name"]: one["credentials"][0]["secretKey"] for one in identities}
    assert keys == {name: SECRETS[f"S3_{name.upper()}"] for name in keys}
    assert [one["source"] for one in project["services"]["storage"]["configs"]] == ["identities"]


def test_every_port_is_of_this_machine_unless_somebody_says_otherwise() -> None:
    for given, address in ((GIVEN, "127.0.0.1"), ({**GIVEN, "ADDRESS": "10.0.0.5"}, "10.0.0.5")):
        ports = [
            port
            for one in resolved(SERVICES, given)["services"].values()
            for port in one.get("ports", [])
        ]
        assert {port["host_ip"] for port in ports} == {address}
        published = [port["published"] for port in ports]
        assert sorted(published) == sorted({"8333", "5000", "8000", "9090", "3000"})


def test_what_is_mounted_is_there_and_is_read(services: dict[str, Any]) -> None:
    project = resolved(SERVICES, GIVEN)
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "volume":
                assert volume["source"] in project["volumes"], name
                continue
            # What an experiment asks is a folder of the branch while one runs.
            here = Path(volume["source"])
            assert here.exists() or here == SERVER.parent / "experiment", name
            assert volume["read_only"], name


def test_rights_are_those_that_a_service_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert "network_mode" not in service, name
        if name != "storage":
            assert service["cap_drop"] == ["ALL"], name
        if name not in ROOT_ALLOWED:
            assert "cap_add" not in service, name
    for name in ("model", "mlflow"):
        assert services[name]["read_only"], name
        assert services[name]["tmpfs"] == ["/tmp"], name


def test_who_waits_for_somebody_can_learn_of_his_health(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy", name
            assert services[other]["healthcheck"]["test"][0] == "CMD", other
            assert services[other]["restart"] == "unless-stopped"
