"""Triton by its Python wheel, with its batching, on the same pipeline: python triton.py PORT."""

import os
import sys

import joblib
import numpy as np
import pandas as pd
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

model = joblib.load(os.environ["MODEL"])
texts = set(model[0].transformers_[0][2])
LENGTH = 16  # bytes of a text, with zeros behind: this version reads no BYTES that came as JSON


@batch
def infer(**columns: np.ndarray) -> list[np.ndarray]:
    """Return the probability of the positive class for each row."""
    frame = pd.DataFrame(
        {
            name: np.char.decode(np.ascontiguousarray(column).view(f"S{LENGTH}")[:, 0])
            if name in texts
            else column[:, 0]
            for name, column in columns.items()
        }
    )
    return [np.ascontiguousarray(model.predict_proba(frame)[:, 1:], np.float64)]


if __name__ == "__main__":
    port = int(sys.argv[1])
    inputs = [
        Tensor(name=name, dtype=np.uint8, shape=(LENGTH,))
        if name in texts
        else Tensor(name=name, dtype=np.float64, shape=(1,))
        for name in model.feature_names_in_
    ]
    config = TritonConfig(
        http_port=port, grpc_port=port + 1, metrics_port=port + 2, http_address="127.0.0.1"
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="boosting",
            infer_func=infer,
            inputs=inputs,
            outputs=[Tensor(name="probability", dtype=np.float64, shape=(1,))],
            config=ModelConfig(max_batch_size=64),
        )
        triton.serve()
