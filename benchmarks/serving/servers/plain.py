"""The FastAPI server of the tutorials: pydantic, a data frame of one row, scikit-learn."""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

model = joblib.load(os.environ["MODEL"])
names = [*model.feature_names_in_]
Row = create_model("Row", **{name: (Any, ...) for name in names})
app = FastAPI()


@app.post("/predict")
def predict(row: Row) -> dict[str, float]:  # type: ignore[valid-type]
    """Return the probability of the positive class."""
    frame = pd.DataFrame([row.model_dump()], columns=names)  # type: ignore[attr-defined]
    return {"probability": float(model.predict_proba(frame)[0, 1])}
