"""A bundle as MLflow's python_function calls it: code and data, and no pickle.

MLflow imports this module by its name, from the copy of the package beside the bundle.
"""

import tempfile
from pathlib import Path

import pandas as pd

from .batch import predict


class Scorer:
    """What answers for a bundle, as `mlops predict` does."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return prediction and probabilities of each row; raises DataError as the verb does."""
        with tempfile.TemporaryDirectory() as folder:
            rows, scored = Path(folder, "rows.parquet"), Path(folder, "scored.parquet")
            frame.to_parquet(rows, index=False)
            predict(rows, scored, self.bundle)
            return pd.read_parquet(scored)


def _load_pyfunc(path: str) -> Scorer:
    """Return what MLflow calls; the bundle is verified each time that it predicts."""
    return Scorer(Path(path))
