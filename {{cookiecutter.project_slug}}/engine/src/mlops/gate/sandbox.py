"""The candidate's encoder where its branch changes the features: their code, in their process.

The judge runs the code of the base, which cannot compute a feature that only the branch knows.
What the branch's functions return is the candidate's business, as it is in production; that they
return it to another process keeps them away from the judge, the target and the champion.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..config.settings import Features
from ..contract import Contract
from ..errors import ProjectError
from ..features.encoding import Encoder
from ..files import tree_sha256

FEATURES = Path("engine/src/mlops/features")
PROCESS = Path(__file__).with_name("sandbox_process.py")


class SandboxError(ProjectError):
    """The features of the branch cannot be computed."""


class SandboxEncoder(Encoder):
    """An encoder whose matrix another process computes."""

    process: subprocess.Popen[str]
    exchange: tempfile.TemporaryDirectory[str]

    @classmethod
    def start(cls, root: Path, bundle: Path, features: Features) -> Self:
        """Start the process with the code of `root` and the contract and features of a bundle."""
        exchange = tempfile.TemporaryDirectory(prefix="features-")
        command = [sys.executable, "-E", "-P", str(PROCESS)]
        process = subprocess.Popen(
            [*command, str((root / "engine/src").resolve()), str(bundle.resolve()), exchange.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            told = _answer(process)
        except SandboxError:
            _end(process, exchange)
            raise
        inputs, names, categorical, direct = (
            tuple(told[key]) for key in ("inputs", "names", "categorical", "direct")
        )
        encoder = cls(inputs, names, categorical, direct, dict(features.derived))
        encoder.process, encoder.exchange = process, exchange
        return encoder

    def matrix(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 matrix (rows, len(names)) as the branch's encoder computes it."""
        sent = Path(self.exchange.name) / "columns.npz"
        received = Path(self.exchange.name) / "matrix.npy"
        arrays: Any = {f"c{at}": columns[name] for at, name in enumerate(self.inputs)}
        np.savez(sent, allow_pickle=False, **arrays)
        received.unlink(missing_ok=True)
        try:
            print("matrix", file=self.process.stdin, flush=True)
        except OSError as error:
            raise SandboxError(f"{FEATURES} of this branch ended its process") from error
        _answer(self.process)
        matrix: np.ndarray = np.load(received, allow_pickle=False)
        shape = (len(columns[self.inputs[0]]), len(self.names))
        if matrix.shape != shape or matrix.dtype != np.float32:
            raise SandboxError(f"{FEATURES} of this branch gave a matrix of shape {matrix.shape}")
        return matrix

    def stop(self) -> None:
        """End the process."""
        _end(self.process, self.exchange)


def _end(process: subprocess.Popen[str], exchange: tempfile.TemporaryDirectory[str]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was written to a process that ended before
                stream.close()
    process.wait()
    exchange.cleanup()


def encoder(root: Path, bundle: Path, contract: Contract, features: Features) -> Encoder:
    """Return the candidate's encoder: of this code where the branch has the same features."""
    own = Path(__file__).parents[1] / "features"
    theirs = root / FEATURES
    if not theirs.is_dir() or tree_sha256(own) == tree_sha256(theirs):
        return Encoder.build(contract, features)
    return SandboxEncoder.start(root, bundle, features)


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next thing the process says; raise where it failed or ended."""
    line = process.stdout.readline() if process.stdout is not None else ""
    told = json.loads(line) if line else {"error": "its process ended"}
    if "error" in told:
        raise SandboxError(
            f"{FEATURES} of this branch cannot compute the candidate's features ({told['error']}): "
            "run `dvc repro` and its tests"
        )
    return dict(told)
