"""The bare script: load, fit and score the model of the sample project, and nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from lightgbm import LGBMClassifier
from sklearn.metrics import roc_auc_score

OURS = {"_target_", "inputs", "tasks", "search", "target_encoded", "high_cardinality"}
NO_FEATURES = ["churned", "customer_id", "household_id", "email", "month", "gender"]

model = yaml.safe_load(Path("resolved.yaml").read_text())["model"]
rows = pd.concat([pd.read_parquet(path) for path in sorted(Path("data/raw").glob("*.parquet"))])
held = pd.util.hash_array(rows["customer_id"].to_numpy(dtype=object)) % 5 == 0
target = rows["churned"].astype(int)
features = rows.drop(columns=NO_FEATURES)
features["payment_days"] = (features["paid_at"] - features["billed_at"]).dt.total_seconds()
features["fee_per_hour"] = features["monthly_fee"] / features["usage_hours"]
features = features.drop(columns=["paid_at", "billed_at"])
for name, column in features.items():
    if column.dtype.kind not in "fiub":
        features[name] = column.astype("category").cat.codes
features = features.astype("float32")

parameters = {name: value for name, value in model.items() if name not in OURS}
fitted = LGBMClassifier(random_state=42, **parameters)
fitted.fit(features[~held], target[~held])
answers = np.asarray(fitted.predict_proba(features[held]))[:, 1]
print(roc_auc_score(target[held], answers))
