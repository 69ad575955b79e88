"""A bundle that answers in the process of a test: what a rule finds depends on answers alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlops.bundle.reading import Loaded, load
from mlops.gate.sandbox import Sandbox
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem


class InProcess(Loaded, frozen=True):
    """A loaded bundle with what the judge asks besides."""

    folder: Path = Path()

    def golden(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Answer rows as a client sends them."""
        predictor = Predictor(self, "")
        return predictor.answered(predictor.decode(msgspec.json.encode(rows)))

    def served(self, body: bytes, rows: int) -> np.ndarray:
        """Answer the body of a request, NaN where a server would refuse it."""
        predictor = Predictor(self, "")
        try:
            return predictor.answered(predictor.decode(body))
        except Problem:
            return np.full(rows, np.nan)

    def peak_bytes(self, columns: Mapping[str, np.ndarray]) -> int:
        """Measure as the gate does: in a sandbox, with the code of the project around it."""
        runtime = self.manifest["runtime"]
        with Sandbox(self.folder.parent, self.folder, self.contract, runtime, 300.0) as sandbox:
            return sandbox.peak_bytes(columns)


def in_process(folder: Path) -> InProcess:
    """Load the bundle of a project."""
    return of(load(folder), folder)


def of(loaded: Loaded, folder: Path = Path()) -> InProcess:
    """Return a loaded bundle with what the judge asks besides."""
    known = {name: getattr(loaded, name) for name in Loaded.__struct_fields__}
    return InProcess(**known, folder=folder)
