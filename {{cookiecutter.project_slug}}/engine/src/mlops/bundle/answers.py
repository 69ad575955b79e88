"""The answers of model/ for the prepared holdout, written to a file.

Run as `python -m mlops.bundle.answers FILE`, by the code of the folder it is started in: the gate
compares them with the candidate's, and imports nothing of what made them.
"""

import sys
from pathlib import Path

import numpy as np

from ..config.settings import load
from ..data import prepared
from ..features.encoding import Encoder
from ..runtime import model as runtime
from .assembly import served

HOLDOUT = Path("data/prepared/holdout.parquet")
MODEL = Path("model")


def answers() -> np.ndarray:
    """Return what is served for data/prepared/holdout.parquet with model/."""
    settings = load()
    encoder = Encoder.build(settings.data, settings.features)
    matrix = prepared.matrix(
        HOLDOUT, settings.data, encoder.inputs, encoder.matrix, len(encoder.names)
    )
    predictions = runtime.load(MODEL, settings.training.threads).predict(matrix)
    return served(HOLDOUT, settings.data, encoder, predictions)


def main() -> None:
    """Write them to the file that argv names."""
    np.save(Path(sys.argv[1]), answers(), allow_pickle=False)


if __name__ == "__main__":
    main()
