"""A project whose decisions are worth something, by a value table."""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import stages
import yaml

TABLE: dict[str, Any] = {
    "currency": "EUR",
    "actions": {
        "nothing": {"brings": {True: -40, False: 0}},
        "call": {"brings": {True: {"column": "fee", "times": -1}, False: 0}, "cost": 5},
    },
}
# A bid wins a house that is worth more than it costs; of cheap ones it is better to let go.
BIDDING: dict[str, Any] = {
    "currency": "EUR",
    "actions": {
        "pass": {"brings": {"low": 0, "middle": 0, "high": 0}},
        "visit": {"brings": {"low": 0, "middle": 6, "high": 8}, "cost": 2},
        "bid": {"brings": {"low": -20, "middle": -2, "high": 14}, "cost": 1},
    },
}
DATA = """
name: customers
task: binary
source: {format: csv}
columns:
  id: {type: text, role: id}
  day: {type: datetime, role: time}
  risk: {type: number}
  fee: {type: number, min: 0}
  other: {type: number, nullable: true}
  left: {type: boolean, role: target}
"""


def small(table: dict[str, Any] | None) -> str:
    part: dict[str, Any] = {"resamples": 50, "importance_rows": 200}
    if table is not None:
        part["value"] = table
    asked = {
        "data": {"use": "customers"},
        "features": {"use": "columns"},
        "model": {"use": "logistic"},
        "training": {"folds": 3},
        "evaluation": part,
    }
    return yaml.safe_dump(asked, sort_keys=False)  # the first action is the one below


def make(root: Path) -> Path:
    """Run the stages in a folder with a value table: of 3,000 customers, who leaves?"""
    stages.copied(root)
    random, rows = np.random.default_rng(1), 3000
    risk = random.normal(size=rows)
    columns = {
        "id": [f"c{number}" for number in range(rows)],
        "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows) % 30, unit="D"),
        "risk": risk,
        "fee": random.uniform(0, 20, rows),
        "other": random.normal(size=rows),
        "left": np.where(random.random(rows) < 1 / (1 + np.exp(2 - 1.5 * risk)), "true", "false"),
    }
    (root / "data/raw").mkdir(parents=True)
    pd.DataFrame(columns).to_csv(root / "data/raw/customers.csv", index=False)
    (root / "conf/data/customers.yaml").write_text(DATA)
    (root / "params.yaml").write_text(small(TABLE))
    stages.run(root)
    return root


def bidding(source: Path, root: Path) -> None:
    """Copy a project of houses of three labels, evaluated and bundled with a value table."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.config.settings import load
    from mlops.evaluation.evaluate import evaluate

    shutil.copytree(source, root)
    asked = yaml.safe_load((root / "params.yaml").read_text())
    asked["evaluation"] = {**asked.get("evaluation", {}), "value": BIDDING}
    (root / "params.yaml").write_text(yaml.safe_dump(asked, sort_keys=False))
    with chdir(root):
        resolve(say=lambda _: None)
        evaluate(load())
        bundle(load())
