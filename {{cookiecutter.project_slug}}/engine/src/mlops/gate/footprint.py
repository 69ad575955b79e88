"""How much memory a model takes, measured in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..errors import ProjectError

SECONDS = 300
PACKAGES = Path(__file__).parents[2]


class FootprintError(ProjectError):
    """The process that was to be measured did not end well."""


def peak_bytes(bundle: Path, matrix: np.ndarray) -> int:
    """Return the peak resident memory of loading a bundle's model and predicting a matrix."""
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
        file = Path(folder) / "matrix.npy"
        np.save(file, matrix)
        done = subprocess.run(
            # -P: nothing that lies in the working directory is imported.
            [sys.executable, "-P", "-m", __name__, str(bundle.resolve()), str(file)],
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FootprintError(f"{bundle} could not be loaded and run ({last}): run `dvc repro`")
    return int(json.loads(done.stdout)["peak"])


def main() -> None:
    """Load and predict as told by argv, and print the peak."""
    from ..runtime.model import load

    load(Path(sys.argv[1])).predict(np.load(sys.argv[2], allow_pickle=False))
    print(json.dumps({"peak": own_peak()}))


def own_peak() -> int:
    """Return the peak resident bytes of this process.

    Linux hands the figure of getrusage down from the parent process: its own is in /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
