"""Measure how often the rule label_quality catches wrong training labels, and cries wolf.

    python benchmarks/gate/label_flips.py --seeds 100

Each seed draws the sample data anew, splits it by household as the project does, and flips 5 %
of all training labels, or 30 % of those of one slice, or none. Prints the rates with the 95 %
interval of Wilson.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from mlops.bundle.reading import Loaded
from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Contract
from mlops.data import prepared
from mlops.data.hashing import row_hash
from mlops.data.simulation import LABELS, simulate
from mlops.data.splitting import is_holdout, keys
from mlops.features.encoding import Encoder
from mlops.gate.case import Case, Judged
from mlops.gate.rules.labels import LabelQuality
from mlops.git.repository import Repository
from mlops.runtime.model import Model as Answers

NUMBERS = ("tenure_months", "monthly_fee", "usage_hours", "support_calls", "satisfaction")
SLICES = ("plan=premium", "age_band=18-25", "region=islands", "payment_method=invoice")
SCENARIOS = ("none", "5 % of all", *(f"30 % of {name}" for name in SLICES))


def contract() -> Contract:
    """Return the part of the sample's contract that the rule needs."""
    columns: dict[str, dict[str, object]] = {
        "customer": {"type": "integer", "role": "id"},
        "household": {"type": "integer", "role": "group"},
        **{
            n: {"type": "category", "categories": list(LABELS[n]), "nullable": True} for n in LABELS
        },
        **{name: {"type": "number", "nullable": True} for name in NUMBERS},
        "days_since_login": {"type": "number", "nullable": True},
        "auto_renew": {"type": "boolean"},
        "churned": {"type": "boolean", "role": "target"},
    }
    columns["gender"]["role"] = "sensitive"
    return msgspec.convert({"name": "churn", "task": "binary", "columns": columns}, Contract)


def cases(
    folder: Path, rows: int, seed: int, drift: float, scenarios: Sequence[str]
) -> Iterator[tuple[str, Case]]:
    """Yield the name and the case of each scenario on one sample."""
    declared = contract()
    settings = Settings(
        seed=seed,
        data=declared,
        split=Split("group"),
        features=Features(),
        model=Model("sklearn.dummy.DummyClassifier", "codes", ["binary"], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation("roc_auc", ["roc_auc"]),
    )
    months = list(simulate(0, rows // 12, 12, drift, seed))
    columns = {
        name: np.concatenate([month[name] for month in months]).astype(np.float64)
        for name, _ in declared.kept()
    }
    table = pa.table({name: columns[name] for name in keys(declared, settings.split)})
    hashes = row_hash(table, keys(declared, settings.split), f"{seed}")
    held = is_holdout(table, hashes, declared, settings.split)
    for name, mask in (("train", ~held), ("holdout", held)):
        path = folder / f"data/prepared/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({prepared.ROW_HASH: hashes[mask]}), path)
    train, holdout = ({n: v[mask] for n, v in columns.items()} for mask in (~held, held))
    encoder = Encoder.build(declared, Features())
    answers = Answers("none", "binary", lambda matrix: np.zeros(len(matrix)))
    loaded = Loaded({}, declared, encoder, answers, settings)
    target = prepared.target(holdout, declared)
    rng = np.random.default_rng(seed)
    for scenario in scenarios:
        flipped = flips(scenario, train, rng)
        judged = Judged(folder, loaded, target * 0.5)
        case = Case(Repository(folder), settings, judged, None, holdout, target)
        labels = np.where(flipped, 1 - train["churned"], train["churned"])
        case.__dict__["train_columns"] = {**train, "churned": labels}
        yield scenario, case


def flips(scenario: str, train: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the mask of the labels that a scenario flips."""
    drawn = rng.random(len(train["churned"]))
    if " % of " not in scenario:
        return np.zeros(len(drawn), dtype=bool)
    percent, _, where = scenario.partition(" % of ")
    if where == "all":
        return drawn < int(percent) / 100
    name, _, label = where.partition("=")
    return (train[name] == list(LABELS[name]).index(label)) & (drawn < int(percent) / 100)


def interval(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 22, 1927)."""
    z = NormalDist().inv_cdf(0.975)
    middle, root = hits + z * z / 2, z * np.sqrt(hits * (of - hits) / of + z * z / 4)
    return (middle - root) / (of + z * z), (middle + root) / (of + z * z)


def rates(
    rule: LabelQuality,
    seeds: range,
    rows: int,
    drift: float,
    scenarios: Sequence[str] = SCENARIOS,
) -> dict[str, list[bool]]:
    """Return whether the rule rejected, for each scenario and seed."""
    rejected: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for seed in tqdm(seeds, unit="seed", disable=None):
            for scenario, case in cases(Path(folder), rows, seed, drift, scenarios):
                findings = rule.judge(case)
                named = scenario.partition("30 % of ")[2]
                rejected[scenario].append(any(one.verdict == "rejected" for one in findings))
                if named:
                    hit = any(one.part == named and one.verdict == "rejected" for one in findings)
                    rejected[f"  of these, naming {named}"].append(hit)
    return rejected


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--drift", type=float, default=0.0)
    parser.add_argument("--at-most", type=float, default=0.01)
    parser.add_argument("--significance", type=float, default=0.04)
    asked = parser.parse_args()
    rule = LabelQuality(
        at_most=asked.at_most,
        new_at_most=0.03,
        significance=asked.significance,
        rows=50_000,
        folds=5,
        min_rows=50,
    )
    seeds = range(asked.first, asked.first + asked.seeds)
    print(f"{asked.seeds} seeds, {asked.rows} rows, drift {asked.drift}: {rule}")
    for scenario, hits in rates(rule, seeds, asked.rows, asked.drift).items():
        low, high = interval(sum(hits), len(hits))
        print(f"{scenario:40} rejected {np.mean(hits):6.1%}  ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
