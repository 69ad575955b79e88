"""What a release costs: builds, the size above the base, and from start to ready.

    python benchmarks/image.py [STARTS]

It needs what `python3 tests/engine.py install` installs, as root. The base is made of this
machine's distribution. The first build installs the locked packages, the second has another model.
"""

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import engine  # noqa: E402
from baked import Project, sharing  # noqa: E402

from project import median  # noqa: E402

CONFINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def released(project: Project) -> None:
    """Make a candidate, promote it, and print how long each step of its release took."""
    project.run("dvc", "repro")
    project.commit("Candidate")
    project.run("mlops", "gate", "--rederive", "--against", "HEAD~1")
    project.run("mlops", "promote")
    before = time.perf_counter()
    process = subprocess.Popen(
        ["mlops", "release"],
        cwd=project.path,
        env=dict(project.environment),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        now = time.perf_counter()
        print(f"  {now - before:6.1f} s  {line.strip()[:90]}", flush=True)
        before = now
    assert process.wait() == 0


def ready(project: Project, image: str) -> float:
    """Return the seconds from starting a container, confined, to its first yes at /readyz."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--network=host", f"--env=MLOPS_PORT={port}", *CONFINED]
    started = time.perf_counter()
    name = project.run("podman", "run", "--detach", *options, image).stdout.split()[-1]
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                break
        except OSError:
            time.sleep(0.002)
    seconds = time.perf_counter() - started
    project.run("podman", "rm", "--force", "--time=0", name)
    return seconds


def main(starts: int = 10) -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as place, engine.registry(Path(place)) as address:
        folder = Path(place)
        containers = engine.prepare(ROOT / "build/engine", folder)
        answers = {"container_registry": f"{address}/bench", "project_name": "Image"}
        made = cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=place)
        shared = sharing(Path(made), folder)
        project = Project(shared.path, {**shared.environment, **containers})
        project.run("git", "init", "--quiet", "--initial-branch", "main")
        project.run("mlops", "sample", "--rows", "4000", "--months", "3")
        project.run("dvc", "add", "--quiet", "data/raw")
        project.commit("Start")
        experiment = project.path / "params.yaml"
        text = experiment.read_text()
        for title, trees in (("the first model", 100), ("another model", 120)):
            experiment.write_text(text.replace("{lightgbm: 170}", str(trees)))
            project.commit("Experiment")
            print(f"release of {title}", flush=True)
            released(project)
        image = project.run("git", "show", "env/production:.env").stdout.strip().partition("=")[2]
        project.run("podman", "pull", "--quiet", "--tls-verify=false", image)
        sizes = [
            int(project.run("podman", "image", "inspect", "--format={{.Size}}", name).stdout)
            for name in (image, engine.BASE)
        ]
        print(f"image {(sizes[0] - sizes[1]) / 1e6:.0f} MB above its base")
        taken = [ready(project, image) for _ in range(starts + 1)][1:]
        print(f"from start to ready {median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
