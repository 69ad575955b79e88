"""BentoML with its adaptive batching, on the same pipeline."""

import os
from typing import Any

import bentoml
import joblib
import numpy as np
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60})
class Boosting:
    """The model behind a batchable endpoint."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
    def predict(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the probability of the positive class for each row."""
        frame = pd.DataFrame(rows, columns=[*self.model.feature_names_in_])
        return np.asarray(self.model.predict_proba(frame)[:, 1])
