"""How much of the truth intervals of 90 % hold, over simulated tables and on the worst slice.

    python benchmarks/intervals.py --seeds 200

Each table is split by hash into rows that train, calibrate and hold out, as `prepare` does it;
LightGBM is fitted on the first, intervals are measured on the second and looked up on the third.
`rows` are independent; in `groups` of ten rows, an effect of the group is shared, and the split is
by group; in `slices`, one kind of row in four is four times as hard to tell, without and with `by`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "{{cookiecutter.project_slug}}/engine/src"))

from mlops.config.settings import Split  # noqa: E402
from mlops.contract import Contract  # noqa: E402
from mlops.data.hashing import row_hash  # noqa: E402
from mlops.data.splitting import keys, sides  # noqa: E402
from mlops.runtime.intervals import Intervals  # noqa: E402

COVERAGE = 0.9
LABELS = ["a", "b", "c", "d"]


def contract(task: str, by: str | None) -> Contract:
    """Return the contract of every table here."""
    target = {"type": "number" if task == "regression" else "boolean", "role": "target"}
    columns = {
        "row": {"type": "integer", "role": "id"},
        "group": {"type": "integer", "role": "group"},
        "x": {"type": "number"},
        "z": {"type": "number"},
        "kind": {"type": "category", "categories": LABELS},
        "y": target,
    }
    promised = {"coverage": COVERAGE} | ({"by": by} if by else {})
    content = {"name": "t", "task": task, "columns": columns, "intervals": promised}
    return msgspec.convert(content, Contract)


def table(world: str, task: str, rows: int, seed: int) -> dict[str, Any]:
    """Return one table as plain arrays."""
    generator = np.random.default_rng(seed)
    group = np.arange(rows) // 10
    shared = generator.normal(size=rows // 10 + 1)[group] if world == "groups" else 0
    x, z = generator.normal(size=(2, rows))
    kind = generator.integers(0, 4, rows)
    noise = generator.normal(size=rows)
    if world == "slices":
        noise *= np.where(kind == 0, 4.0, 1.0)
    y = 2 * x + np.abs(z) + kind + shared + noise
    if task == "binary":
        y = (y > 2.5).astype(np.int64)
    order = np.arange(rows) + rows * seed
    return {"row": order, "group": group + rows * seed, "x": x, "z": z, "kind": kind, "y": y}


def held(world: str, task: str, by: str | None, rows: int, seed: int) -> tuple[float, float]:
    """Return the share of the holdout that is held, and of the rows of the hardest kind."""
    declared = contract(task, by)
    split = Split("group" if world == "groups" else "hash", holdout=0.4, calibration=0.4)
    columns = table(world, task, rows, seed)
    arrow = pa.table({name: pa.array(values) for name, values in columns.items()})
    hashes = row_hash(arrow, keys(declared, split), split.salt)
    masks = sides(arrow, hashes, declared, split)
    matrix = np.column_stack([columns["x"], columns["z"], columns["kind"]])
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    model = kind(n_estimators=60, num_leaves=15, n_jobs=1, verbosity=-1)
    model.fit(matrix[masks["train"]], columns["y"][masks["train"]])
    aside, out = masks["calibration"], masks["holdout"]
    codes = columns["kind"].astype(float)

    def answers(chosen: np.ndarray) -> np.ndarray:
        part = matrix[chosen]
        if task == "regression":
            return np.asarray(model.predict(part))
        return np.asarray(model.predict_proba(part))[:, 1]

    one = Intervals.calibrated(declared, columns["y"][aside], answers(aside), codes=codes[aside])
    truth, predictions = columns["y"][out], answers(out)
    if task == "regression":
        low, high = one.around(predictions, declared, codes[out]).T
        within = (low <= truth) & (truth <= high)
    else:
        among = one.sets(predictions, declared, 0.5, codes[out])
        within = among[np.arange(len(truth)), truth]
    return float(within.mean()), float(within[codes[out] == 0].mean())


def main() -> None:
    """Print a line for each kind of table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000)
    asked = parser.parse_args()
    print(
        "table   task        by     mean   5 % to 95 % of tables  within 88 to 92 %  hardest kind"
    )
    for world in ("rows", "groups", "slices"):
        for task in ("regression", "binary"):
            for by in (None, "kind"):
                found = np.array(
                    [held(world, task, by, asked.rows, seed) for seed in range(asked.seeds)]
                )
                share = found[:, 0]
                low, high = np.quantile(share, [0.05, 0.95])
                inside = np.mean((share >= 0.88) & (share <= 0.92))
                spread = f"{low:8.2%} to {high:6.2%} {inside:19.1%}"
                named = f"{world:7} {task:11} {by or '-':5}"
                print(
                    f"{named} {share.mean():6.2%} {spread} {found[:, 1].mean():17.2%}", flush=True
                )


if __name__ == "__main__":
    main()
