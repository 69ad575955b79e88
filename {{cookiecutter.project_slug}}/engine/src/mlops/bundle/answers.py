"""The answers of model/ for the prepared holdout, their intervals and what is decided, as files.

Run as `python -m mlops.bundle.answers FILE FILE FILE FILE`, by the code of the folder it is started
in: the gate compares them with the candidate's, and imports nothing of what made them.
"""

import sys
from pathlib import Path

import msgspec
import numpy as np

from ..config.settings import load
from ..data import prepared
from ..evaluation.decision import choice
from ..evaluation.intervals import calibrated
from ..features.encoding import Encoder
from ..runtime import model as runtime
from ..runtime.intervals import Intervals
from .assembly import served

DATA = Path("data/prepared")
HOLDOUT = DATA / "holdout"
MODEL = Path("model")


def answers() -> tuple[np.ndarray, Intervals | None]:
    """Return what is served for the holdout with model/, and the intervals around it, if any."""
    settings = load()
    encoder = Encoder.build(settings.data, settings.features)
    matrix = prepared.matrix(
        HOLDOUT, settings.data, encoder.inputs, encoder.matrix, len(encoder.names)
    )
    predict = runtime.load(MODEL, settings.training.threads).predict
    predictions = served(HOLDOUT, settings.data, encoder, predict(matrix))
    return predictions, calibrated(settings, DATA, encoder, predict)


def main() -> None:
    """Write them to the files that argv names."""
    predictions, intervals = answers()
    np.save(Path(sys.argv[1]), predictions, allow_pickle=False)
    if intervals is not None:
        Path(sys.argv[2]).write_bytes(msgspec.json.encode(intervals))
    settings = load()
    if settings.evaluation.value is not None and settings.data.task == "binary":
        rows = choice(settings, DATA, MODEL)
        Path(sys.argv[3]).write_bytes(msgspec.json.encode(rows.decision(settings)))
        columns = np.array([rows.predictions, *rows.brings])
        np.save(Path(sys.argv[4]), columns, allow_pickle=False)


if __name__ == "__main__":
    main()
