"""Ray Serve with its batching, on the same pipeline: python ray_serve.py PORT."""

import os
import signal
import sys
from typing import Any

import joblib
import pandas as pd
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class Boosting:
    """The model behind one route, which is asked about all rows that wait."""

    def __init__(self, model: str) -> None:
        self.model = joblib.load(model)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """Return the probability of the positive class for each row."""
        frame = pd.DataFrame(rows, columns=[*self.model.feature_names_in_])
        return [float(value) for value in self.model.predict_proba(frame)[:, 1]]

    async def __call__(self, request: Request) -> dict[str, float]:
        """Answer one request."""
        return {"probability": await self.predict(await request.json())}


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Boosting.bind(os.environ["MODEL"]), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
