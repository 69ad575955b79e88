"""A server of a baked project, in a process of its own."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baked import Project


@contextmanager
def serving(project: Project, bundle: Path, **settings: Any) -> Iterator[str]:
    """Run `mlops serve` on a free port and yield its address; it must end well when told to."""
    told = {"bundle": bundle, "port": 0, "drain_seconds": 0, "watch_seconds": 0, **settings}
    environment = {f"MLOPS_{name.upper()}": str(value) for name, value in told.items()}
    process = subprocess.Popen(
        ["mlops", "serve"],
        cwd=project.path,
        env={**project.environment, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert " at http://" in line, line
        try:
            yield line.rpartition(" at ")[2].strip()
        finally:
            process.terminate()
            try:
                code = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0, process.stdout.read()


def resign(bundle: Path) -> None:
    """Have the manifest of a changed bundle say what its files are now."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    names = sorted(path.name for path in bundle.iterdir() if path.name != "manifest.json")
    manifest["files"] = {
        name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in names
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))
