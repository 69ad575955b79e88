"""Holdouts with two models whose true ROC AUC is known."""

from pathlib import Path
from statistics import NormalDist

import numpy as np

from mlops.bundle.reading import Loaded
from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Column, Contract
from mlops.features.encoding import Encoder
from mlops.gate.case import Case, Judged
from mlops.git.repository import Repository
from mlops.runtime import model as runtime

Array = np.ndarray


def target(rows: int, positive: float, seed: int) -> Array:
    """Return 0s and 1s with the given share of positives."""
    return (np.random.default_rng(seed).random(rows) < positive).astype(np.int64)


def pair(truth: Array, one: float, other: float, alike: float, seed: int) -> tuple[Array, Array]:
    """Return two models' probabilities with these ROC AUCs, whose noise correlates by `alike`.

    A score that is the target with normal noise s has the AUC Phi(1 / (s sqrt 2)).
    """
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=len(truth))
    share = truth.mean()
    found = []
    for auc in (one, other):
        spread = 1 / (2**0.5 * NormalDist().inv_cdf(auc))
        own = generator.normal(size=len(truth))
        score = truth + spread * (alike**0.5 * shared + (1 - alike) ** 0.5 * own)
        odds = (score - 0.5) / spread**2 + np.log(share / (1 - share))
        found.append(1 / (1 + np.exp(-odds)))
    return found[0], found[1]


def case(truth: Array, candidate: Array, champion: Array, seed: int, resamples: int) -> Case:
    """Return the case in which these answers are compared."""
    columns = {"x": Column("number"), "y": Column("boolean", "target")}
    contract = Contract("simulated", "binary", columns)
    encoder = Encoder.build(contract, Features())
    settings = Settings(
        seed=seed,
        data=contract,
        split=Split("hash"),
        features=Features(),
        model=Model("none", "codes", ["binary"], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation("roc_auc", ["roc_auc"]),
    )
    model = runtime.Model("none", "binary", lambda matrix: np.zeros(len(matrix)))
    bundle = Loaded({}, contract, encoder, model, settings)
    folder = Path()
    return Case(
        repository=Repository(),
        settings=settings,
        candidate=Judged(folder, bundle, candidate),
        champion=Judged(folder, bundle, champion),
        columns={"x": np.arange(len(truth)) + 0.0, "y": truth.astype(np.float64)},
        target=truth,
        seed=seed,
        resamples=resamples,
    )
