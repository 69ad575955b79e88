"""A container engine and a registry for tests, kept apart from what the machine has set up.

`python3 tests/engine.py install` installs what is missing on Debian or Ubuntu. Nothing is taken
from a registry of images: the base is made of the machine's own distribution.
"""

import ast
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = {  # by the command that each brings
    "podman": "podman",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "mmdebstrap": "mmdebstrap",
}
REQUIRED = "ENGINE_REQUIRED"  # set where a missing engine is a failure
BASE = "localhost/base:latest"
BASE_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
PIP = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "timeout")
PATIENCE = 30.0

CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
log_driver = "k8s-file"
volumes = ["{authorities}:{inside}:ro", "{pip}:/etc/pip.conf:ro"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{shared}/storage"
runroot = "{shared}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
REGISTRY = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "localhost:{port}"}}
"""


def lacking() -> str:
    """Return why there can be no engine; nothing where there can."""
    if os.geteuid():
        return "a container engine is set up by root alone"
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def install() -> None:
    """Install what is missing."""
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if missing:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        told = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run(told, check=True, env=quiet, stdout=subprocess.DEVNULL)


def prepare(shared: Path, own: Path) -> dict[str, str]:
    """Return the environment in which podman works in these folders and has BASE.

    `shared` keeps images and layers from one run to the next, `own` the configuration of this.
    """
    shared.mkdir(parents=True, exist_ok=True)
    authorities = Path(os.environ.get("SSL_CERT_FILE") or AUTHORITIES)
    (own / "pip.conf").write_text(_pip())
    filled = {"authorities": authorities.resolve(), "inside": AUTHORITIES, "pip": own / "pip.conf"}
    (own / "containers.conf").write_text(CONTAINERS.format(**filled))
    driver = "vfs" if _type(shared) == "overlayfs" else "overlay"
    (own / "storage.conf").write_text(STORAGE.format(driver=driver, shared=shared.resolve()))
    environment = {
        "CONTAINERS_CONF": str(own / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(own / "storage.conf"),
        "MLOPS_ENGINE": "podman",
        "MLOPS_BASE": BASE,
    }
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _import_base(shared, {**os.environ, **environment})
    return environment


def _import_base(shared: Path, environment: dict[str, str]) -> None:
    """Have podman know BASE: a small Debian or Ubuntu, as this machine is one, with Python."""
    if not subprocess.run(["podman", "image", "exists", BASE], env=environment).returncode:
        return
    archive = shared / "base.tar"
    if not archive.exists():
        unfinished = shared / "base.unfinished.tar"
        told = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={BASE_PACKAGES}"]
        subprocess.run([*told, _suite(), str(unfinished)], check=True)
        unfinished.rename(archive)
    told = ["podman", "import", "--quiet", str(archive), BASE]
    subprocess.run(told, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def registry(own: Path) -> Iterator[str]:
    """Run a registry, on this machine and without TLS; yield its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (own / "registry.yml").write_text(REGISTRY.format(folder=own / "registry", port=port))
    told = ["docker-registry", "serve", str(own / "registry.yml")]
    with subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://localhost:{port}/v2/")
            yield f"localhost:{port}"
        finally:
            process.terminate()


def _wait(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while True:
        try:
            opener.open(url, timeout=PATIENCE).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _pip() -> str:
    """Return pip's configuration of this machine, as far as it holds in a container."""
    python = sys.executable if shutil.which(sys.executable) else "python3"
    told = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True)
    found = {}
    for line in told.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        there = [one for one in str(ast.literal_eval(value)).split() if not _is_local(one)]
        if key in PIP and there:
            found[key] = " ".join(there)
    lines = [f"{key} = {value}" for key, value in {**found, "cert": AUTHORITIES}.items()]
    return "\n".join(["[global]", *lines, ""])


def _is_local(address: str) -> bool:
    return address.startswith(("/", "file:", ".", "~"))


def _type(folder: Path) -> str:
    told = ["stat", "--file-system", "--format=%T", str(folder)]
    return subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()


def _suite() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    found = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return found["VERSION_CODENAME"].strip('"')


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python3 tests/engine.py install")
    install()
