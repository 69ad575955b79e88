"""The container engine, called as the command that the user has: docker or podman."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import ProjectError

CHOICE = "MLOPS_ENGINE"
OPTIONS = "MLOPS_BUILD_OPTIONS"  # for the build, like --cache-from type=gha
KNOWN = ("docker", "podman")
# As deploy/compose.yaml and deploy/kubernetes run it, and without any network.
CONFINED = (
    *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
# What registries say of a name that they do not have, or show to nobody who may not push it.
FORBIDDEN = ("denied", "unauthorized", "authentication required", "forbidden")
ABSENT = ("manifest unknown", "name unknown", "not found", *FORBIDDEN)

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Labels = dict[str, str]


class EngineError(ProjectError):
    """No container engine runs, or it did not do what it was asked."""


class Found(NamedTuple):
    """An image in a registry: the digest of its manifest, and its labels."""

    digest: str
    labels: Labels


class Engine(NamedTuple):
    """A container engine, by its command."""

    command: str

    def build(self, context: Path, name: str, arguments: Mapping[str, str]) -> None:
        """Build the image `name` from a folder with deploy/Dockerfile."""
        told = [part for pair in arguments.items() for part in ("--build-arg", "=".join(pair))]
        if self.command == "podman":
            own = ["build", "--format", "docker"]  # the other format has no HEALTHCHECK
        elif self._try("buildx", "version") is not None:
            own = ["buildx", "build", "--load", "--provenance=false"]
        else:
            own = ["build"]
        options = shlex.split(os.environ.get(OPTIONS, ""))
        file = str(context / "deploy/Dockerfile")
        self._run(*own, *options, *told, "--file", file, "--tag", name, str(context))

    def labels(self, name: str) -> Labels | None:
        """Return the labels of a local image; None where there is none of this name."""
        told = self._try("image", "inspect", "--format", "{{json .Config.Labels}}", name)
        return dict(json.loads(told) or {}) if told is not None else None

    def push(self, name: str) -> str:
        """Push a local image and return its digest: what was pushed, whoever moves the tag then."""
        try:
            told = self._push(name)
        except EngineError as error:
            raise _refused(name, error, self.command) from error
        if not (said := DIGEST.findall(told)):
            raise EngineError(f"{self.command} does not say what it pushed as {name}: push again")
        found = self.find(name)
        if found is None or found.digest != said[-1]:
            held = found.digest if found else "nothing"
            raise EngineError(
                f"{name} was pushed as {said[-1]}, and the registry has {held}: find out who else "
                "writes there, and release again"
            )
        return str(said[-1])

    def _push(self, name: str) -> str:
        """Push a local image and return a text whose last digest is the one that was pushed."""
        if self.command != "podman":
            return self._run("push", name)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, "digest")
            self._run("push", *_plain(name), "--digestfile", str(place), name)
            return place.read_text(encoding="utf-8")

    def find(self, name: str) -> Found | None:
        """Return what the registry has under a name; None where it has nothing."""
        try:
            if shutil.which("skopeo"):
                told = _run(["skopeo", "inspect", "--no-tags", *_plain(name), f"docker://{name}"])
                content = json.loads(told)
                return Found(content["Digest"], content["Labels"] or {})
            told = self._run("buildx", "imagetools", "inspect", "--format", "{{json .}}", name)
            content = json.loads(told)
            config = content["image"]["config"]
            return Found(content["manifest"]["digest"], config.get("Labels") or {})
        except EngineError as error:
            if any(word in str(error).lower() for word in ABSENT):
                return None
            raise _refused(name, error, self.command) from error

    @contextmanager
    def running(self, image: str, name: str) -> Iterator[str]:
        """Run a local image with nothing that it may, and no network, for as long as the block."""
        self._try("rm", "--force", name)  # what a killed release left
        self._run("run", "--detach", "--name", name, *CONFINED, image)
        try:
            yield name
        finally:
            self._try("rm", "--force", name)

    def ask(self, container: str, command: Sequence[str], text: str) -> str:
        """Run a command in a container with `text` as its input and return what it prints."""
        try:
            return self._run("exec", "--interactive", container, *command, text=text)
        except EngineError as error:
            said = (self._try("logs", container) or "").strip().splitlines()[-3:]
            raise EngineError(f"{error}; the container said: {' | '.join(said)}") from error

    def _try(self, *arguments: str) -> str | None:
        try:
            return self._run(*arguments)
        except EngineError:
            return None

    def _run(self, *arguments: str, text: str = "") -> str:
        return _run([self.command, *arguments], text)


def engine() -> Engine:
    """Return the engine that MLOPS_ENGINE names, or the first that answers."""
    chosen = os.environ.get(CHOICE)
    if chosen and chosen not in KNOWN:
        raise EngineError(f"{CHOICE}={chosen} is no engine known here: choose from docker, podman")
    for command in [chosen] if chosen else KNOWN:
        if shutil.which(command) and Engine(command)._try("info") is not None:
            return Engine(command)
    raise EngineError("no container engine answers: start Docker, or install podman and skopeo")


def _refused(name: str, error: EngineError, command: str) -> EngineError:
    """Return, as a sentence, why a registry did not do what it was asked."""
    said, host = str(error), name.partition("/")[0]
    reason = said.rpartition(": ")[2].strip(')" ')  # before it, how the command got there
    remedy = "see that this machine reaches it"
    if any(word in said.lower() for word in FORBIDDEN):
        remedy = f"log in (`{command} login {host}`) as somebody who may push there"
    return EngineError(
        f"the registry {host} does not answer for {name.rpartition(':')[0]} ({reason}): {remedy}, "
        "or name another as `image` under [tool.mlops] in pyproject.toml, then run `mlops release` "
        "again"
    )


def _plain(name: str) -> tuple[str, ...]:
    """Return what lets a registry on this machine do without TLS, as docker does unasked."""
    host = name.partition("/")[0].partition(":")[0]
    return ("--tls-verify=false",) if host in ("localhost", "127.0.0.1") else ()


def _run(command: Sequence[str], text: str = "") -> str:
    with tempfile.TemporaryFile("w+") as complaint:
        try:
            done = subprocess.run(
                command, input=text, stdout=subprocess.PIPE, stderr=complaint, text=True
            )
        except OSError as error:
            raise EngineError(f"{command[0]} cannot be started ({error}): install it") from error
        complaint.seek(0)
        lines = [line for line in complaint.read().splitlines() if line.strip()]
    if done.returncode:
        said = " | ".join(line.strip() for line in (lines or ["no reason given"])[-3:])
        raise EngineError(f"`{' '.join(command[:3])}` failed ({said[:600]})")
    return done.stdout
