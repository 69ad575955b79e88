"""Docker's own Compose, which `make services` installs: reads a file and starts it on podman."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from baked import ROOT

# The program that the package brings: its script of the same name always exits with 0.
PLACE = "build/services/lib/python3.11/site-packages/compose/docker-compose"
REQUIRED = "SERVICES_REQUIRED"  # set where a missing Compose is a failure
PACKAGED = sys.version_info[:2] == (3, 11) and platform.machine() == "x86_64"
PATIENCE = 60.0


def program() -> Path:
    """Return the path of Compose; skip, or fail where it is required, without it."""
    path = ROOT / PLACE
    if not path.exists():
        assert not (PACKAGED and os.environ.get(REQUIRED)), "`make services` has installed none"
        pytest.skip("no Compose: `make services` installs it, on Python 3.11 and x86_64")
    return path


def resolved(file: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what Compose makes of a file: checked, with variables, other files and absolute paths.

    Raises AssertionError with what Compose says of a file that it refuses.
    """
    told = [str(program()), f"--file={file}", "config", "--format=json"]
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(told, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""  # a warning, as of a variable that nobody set
    return dict(json.loads(done.stdout))


@contextmanager
def engine_at(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Have podman answer as Docker's engine does; yield the environment of who asks it."""
    socket = folder / "podman.sock"
    told = ["podman", "system", "service", "--time=0", f"unix://{socket}"]
    process = subprocess.Popen(
        told, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + PATIENCE
        while not socket.exists():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        yield {**environment, "DOCKER_HOST": f"unix://{socket}"}
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def started(files: list[Path], service: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run `up --wait` of a service, and yield its container; everything is removed at the end.

    Nothing but systemd asks a container of podman for its health by itself: it is asked here.
    """
    compose = [str(program()), *(f"--file={file}" for file in files)]
    own = dict(environment)

    def podman(*arguments: str) -> str:
        told = ["podman", *arguments]
        return subprocess.run(told, env=own, text=True, capture_output=True).stdout.strip()

    up = subprocess.Popen(
        [*compose, "up", "--detach", "--wait", service],
        env=own,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        end = time.monotonic() + PATIENCE
        label = f"label=com.docker.compose.service={service}"
        while up.poll() is None and time.monotonic() < end:
            for container in podman("ps", "--quiet", "--filter", label).splitlines():
                podman("healthcheck", "run", container)
            time.sleep(0.1)
        said, _ = up.communicate(timeout=1)
        assert up.returncode == 0, said
        yield podman("ps", "--quiet", "--filter", label)
    finally:
        up.kill()
        up.wait()
        subprocess.run([*compose, "down", "--volumes", "--timeout=5"], env=own, capture_output=True)
