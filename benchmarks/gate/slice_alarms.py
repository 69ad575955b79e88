"""How often a slice is said to lose, with many slices looked at.

    python benchmarks/gate/slice_alarms.py [SEEDS]

10,000 holdout rows, 30 % positive, 20 slices of about 5,000 rows, 1,000 resamples, confidence
0.95, margin 0. The models' noise correlates by 0.5, and the champion's ROC AUC is 0.80.
"""

import sys
from dataclasses import replace

import holdouts
import msgspec
import numpy as np
from tqdm import tqdm

from mlops.contract import Column
from mlops.gate.case import Case
from mlops.gate.rules.slices import Slices

ROWS, COLUMNS = 10_000, 10
RULE = Slices(
    metric="roc_auc", min_rows=100, min_class_rows=20, max_categories=2, required=[], margin=0.0
)


def world(seed: int, loss: float) -> Case:
    """Return two equally good models, the first worse by `loss` where c0 is a."""
    truth = holdouts.target(ROWS, 0.3, seed)
    candidate, champion = holdouts.pair(truth, 0.8, 0.8, 0.5, seed + 10_000)
    case = holdouts.case(truth, candidate, champion, seed, 1000)
    labels = np.random.default_rng(seed + 20_000).integers(0, 2, (COLUMNS, ROWS))
    columns = {f"c{at}": column.astype(np.float64) for at, column in enumerate(labels)}
    declared = {name: Column("category", categories=["a", "b"]) for name in columns}
    data = msgspec.structs.replace(
        case.settings.data, columns={**declared, **case.settings.data.columns}
    )
    if loss:
        worse, _ = holdouts.pair(truth, 0.8 - loss, 0.8, 0.5, seed + 10_000)
        candidate = np.where(columns["c0"] == 0, worse, candidate)
    return replace(
        case,
        settings=msgspec.structs.replace(case.settings, data=data),
        columns=case.columns | columns,
        candidate=replace(case.candidate, predictions=candidate),
    )


def main(seeds: int = 200) -> None:
    """Print how often any slice is rejected, and how often the one that lost is."""
    for loss in (0.0, 0.05):
        found = [RULE.judge(world(seed, loss)) for seed in tqdm(range(seeds), leave=False)]
        any_ = sum(any(f.verdict == "rejected" for f in one) for one in found)
        first = sum(any(f.verdict == "rejected" and f.part == "c0=a" for f in one) for one in found)
        print(
            f"c0=a loses {100 * loss:g} points: any slice rejected in {any_ / seeds:.1%} of "
            f"{seeds} seeds, c0=a in {first / seeds:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
