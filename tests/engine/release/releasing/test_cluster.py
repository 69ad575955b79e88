"""The branch of an environment, followed into a real API server by what a deployer does."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from baked import ROOT
from databases import free_port
from linting import tool
from sweeps import thorough

from mlops.release import deployment
from mlops.release.image import Image

APISERVER = ROOT / "build/kubernetes/kube-apiserver"
IMAGE = Image("registry.invalid/acme/demo", "b" * 64, "c" * 64, {})
FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
PATIENCE = 120.0


class Cluster(NamedTuple):
    """An API server and its store; no node, so nothing that it is told is run."""

    config: Path

    def kubectl(self, *arguments: str | Path) -> str:
        command = [tool("kubectl"), f"--kubeconfig={self.config}", *arguments]
        done = subprocess.run(command, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def images(self) -> list[str]:
        told = self.kubectl("get", "deployment", "model", "--output=json")
        containers = json.loads(told)["spec"]["template"]["spec"]["containers"]
        return [container["image"] for container in containers]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    etcd = shutil.which("etcd")
    if not APISERVER.exists() or etcd is None:
        pytest.skip("no API server: tests/apiserver.sh builds one")
    keys = tmp_path / "sa.key"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    (tmp_path / "tokens.csv").write_text("s3cret,admin,admin,system:masters\n")
    client, peer, port = (free_port() for _ in range(3))
    at = f"http://127.0.0.1:{client}"
    store = [etcd, f"--data-dir={tmp_path}/etcd", f"--listen-client-urls={at}"]
    store += [f"--advertise-client-urls={at}", f"--listen-peer-urls=http://127.0.0.1:{peer}"]
    server = [APISERVER, f"--etcd-servers={at}", f"--secure-port={port}", "--insecure-port=0"]
    server += ["--bind-address=127.0.0.1", f"--cert-dir={tmp_path}/certificates"]
    server += [f"--token-auth-file={tmp_path}/tokens.csv", "--authorization-mode=RBAC"]
    server += ["--service-account-issuer=https://kubernetes.default.svc"]
    server += [f"--service-account-signing-key-file={keys}", f"--service-account-key-file={keys}"]
    server += ["--disable-admission-plugins=ServiceAccount"]  # no controller makes them
    config = tmp_path / "config"
    context = {"cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}}
    config.write_text(
        json.dumps(
            {
                **{"apiVersion": "v1", "kind": "Config", "current-context": "test"},
                "clusters": [{"name": "test", **context}],
                "users": [{"name": "test", "user": {"token": "s3cret"}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )
    )
    with (tmp_path / "cluster.log").open("wb") as log:
        running = [subprocess.Popen(told, stdout=log, stderr=log) for told in (store, server)]
        try:
            made = Cluster(config)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                assert all(process.poll() is None for process in running), (
                    tmp_path / "cluster.log"
                ).read_text()[-3000:]
                with suppress(AssertionError):
                    made.kubectl("get", "--raw=/readyz")
                    made.kubectl("get", "namespace", "default")
                    break
                time.sleep(0.2)
            yield made
        finally:
            for process in reversed(running):
                process.kill()
                process.wait()


@thorough
def test_a_revert_brings_the_old_digest_back_without_a_build(
    yard: Any, cluster: Cluster, tmp_path: Path
) -> None:
    with (yard.root / "deploy/kubernetes/kustomization.yaml").open("a") as file:
        file.write("components: [network, ingress]\n")
    yard.workshop.commit("Components")
    checkout = tmp_path / "followed"

    def follow(digest: str) -> float:
        """Release, and do what a deployer does with the branch; return the seconds of that."""
        commit = yard.workshop.git("rev-parse", "HEAD")
        said = deployment.record(commit, "production", "churn", IMAGE, digest)
        start = time.monotonic()
        assert deployment.deploy(yard.repository, said)
        if not checkout.exists():
            cloning = ("git", "clone", "-q", "--branch", "env/production", yard.remote, checkout)
            subprocess.run(cloning, check=True)
        subprocess.run(["git", "-C", checkout, "pull", "-q", "--ff-only"], check=True)
        folder = checkout / "kubernetes"
        cluster.kubectl("apply", "--server-side", "--kustomize", folder)
        return time.monotonic() - start

    follow(FIRST)
    assert cluster.images() == [f"registry.invalid/acme/demo@{FIRST}"]
    yard.workshop.write("README.md", "another model")
    yard.workshop.commit("Another model")
    follow(SECOND)
    assert cluster.images() == [f"registry.invalid/acme/demo@{SECOND}"]
    yard.workshop.git("revert", "--no-edit", "HEAD")
    took = follow(FIRST)
    assert cluster.images() == [f"registry.invalid/acme/demo@{FIRST}"]
    assert (
        cluster.kubectl("get", "ingress,networkpolicy,service", "--output=name").count("model") == 3
    )
    print(f"the old digest stood after {took:.1f} s")


@thorough
def test_a_port_without_its_protocol_is_refused(yard: Any, cluster: Cluster) -> None:
    folder = yard.root / "deploy/kubernetes"
    cluster.kubectl("apply", "--server-side", "--kustomize", folder)
    for name in ("deployment.yaml", "service.yaml"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(", protocol: TCP", ""))
    with pytest.raises(AssertionError, match="protocol"):
        cluster.kubectl("apply", "--server-side", "--kustomize", folder)
