"""Knowledge of the future: what a join by event time gains by it, and ours does not."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from payments import VIEW, Payment, view, write

from mlops.config.views import Feature, View
from mlops.data.association import auc
from mlops.views.join import values_at

START = datetime(2026, 1, 1)
CUSTOMERS, LABELS = 400, 6000
GAIN = 0.005  # of the AUC, which an honest feature may have over one that is computed by hand


class World:
    """Customers whose payments, and whether they leave, follow from a mood that changes daily.

    A payment late in being booked says what became of the customer after the label's time: who
    leaves pays a last bill of a certain kind, which is dated back and booked days later.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.customers = rng.integers(0, CUSTOMERS, LABELS)
        days = rng.integers(20, 60, LABELS)
        self.at = np.datetime64(START, "us") + days * np.timedelta64(1, "D")
        risk = rng.normal(size=CUSTOMERS)[self.customers]
        self.left = rng.random(LABELS) < 1 / (1 + np.exp(-risk))
        self.payments: list[Payment] = []
        number = 0
        for customer, at, left in zip(self.customers, self.at.tolist(), self.left, strict=True):
            honest = at - timedelta(days=float(rng.uniform(0, 2)))
            backdated = at - timedelta(hours=1)
            for paid, booked, amount in (
                (honest, honest, float(rng.exponential())),
                (backdated, at + timedelta(days=2), 5.0 * left + float(rng.normal())),
            ):
                self.payments.append(Payment(int(customer), paid, booked, number, amount, "app"))
                number += 1


def honest(world: World) -> np.ndarray:
    """Return the sum of what was known, row by row in plain Python."""
    by: dict[int, list[Payment]] = {}
    for payment in world.payments:
        by.setdefault(payment.customer, []).append(payment)
    return np.array(
        [
            sum(
                payment.amount or 0.0
                for payment in by[int(customer)]
                if payment.booked_at <= at and at - timedelta(days=3) < payment.paid_at
            )
            for customer, at in zip(world.customers, world.at.tolist(), strict=True)
        ]
    )


def joined(root: Path, one: View, world: World) -> np.ndarray:
    entities = pa.table({"customer": world.customers})
    return values_at(one, entities, world.at, root)["spent"].to_numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_known_later_gains_nothing(tmp_path: Path, seed: int) -> None:
    world = World(seed)
    write(tmp_path, "a.parquet", world.payments)
    left = world.left.astype(np.int64)
    spent = {"spent": Feature("number", sql="sum(amount)", default=0.0)}
    ours = auc(joined(tmp_path, replace(VIEW, features=spent), world), left)
    # The same rows, and a declaration that leaves out when they were known.
    naive = view(features=spent, table={"known_time": None, "lag": "0 days"})
    assert auc(joined(tmp_path, naive, world), left) > ours + 0.1
    assert ours <= auc(honest(world), left) + GAIN
