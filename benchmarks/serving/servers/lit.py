"""LitServe with its batching, on the same pipeline: python lit.py PORT."""

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np
import pandas as pd


class Boosting(litserve.LitAPI):
    """The model behind one route, which is asked about all rows that wait."""

    def setup(self, device: str) -> None:
        """Load the model, in the process that answers."""
        self.model = joblib.load(os.environ["MODEL"])

    def batch(self, inputs: list[dict[str, Any]]) -> pd.DataFrame:
        """Return rows as the model takes them."""
        return pd.DataFrame(inputs, columns=[*self.model.feature_names_in_])

    def predict(self, x: Any, **_: Any) -> np.ndarray:
        """Return the probability of the positive class for each row."""
        return np.asarray(self.model.predict_proba(x)[:, 1])

    def unbatch(self, output: np.ndarray) -> list[float]:
        """Return the answer of each row."""
        return [float(value) for value in output]


if __name__ == "__main__":
    api = Boosting(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
