"""Aggregates of the owner's: what they get, and what is said where they do not fit."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from payments import Payment, asked, view, write

from mlops import owner
from mlops.config.settings import ConfigError
from mlops.config.views import Feature
from mlops.features import aggregates
from mlops.features.aggregates import Groups, aggregate
from mlops.views.functions import aggregate as fitting
from mlops.views.join import values_at

AT = ["2026-01-03", "2026-01-03", "2026-01-02T06:00"]
PAYMENTS = [
    Payment(customer, moment, moment, number, amount, channel)
    for number, (customer, moment, amount, channel) in enumerate(
        [
            (1, datetime(2026, 1, 1), 4.0, "app"),
            (1, datetime(2026, 1, 2), 2.0, "web"),
            (2, datetime(2026, 1, 2, 12), None, "app"),
        ]
    )
]


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register for the length of a test, and read no module of a project."""
    monkeypatch.setattr(aggregates, "_registry", registry := {})
    monkeypatch.setattr(aggregates, "AGGREGATES", registry)
    monkeypatch.setattr(owner, "module", lambda name: None)


def feature(function: str, *columns: str, **more: Any) -> Feature:
    return Feature("number", function=function, columns=list(columns), **more)


def values(root: Path, one: Feature) -> list[float | None]:
    write(root, "a.parquet", PAYMENTS)
    table = values_at(view(features={"f": one}), *asked([1, 2, 1], AT), root=root)
    return list(table["f"].to_pylist())


def test_ages_and_groups(tmp_path: Path) -> None:
    @aggregate("number")
    def decayed(groups: Groups, amounts: Any, half_life: float) -> Any:
        return groups.sum(amounts * 0.5 ** (groups.ages / (half_life * 86_400)))

    found = values(tmp_path, feature("decayed", "amount", arguments={"half_life": 1}))
    assert found == [2.0, None, 4 * 0.5**1.25 + 2 * 0.5**0.25]


def test_first_last_and_counts_of_several_kinds(tmp_path: Path) -> None:
    @aggregate("category", "datetime")
    def switched(groups: Groups, channels: Any, moments: Any) -> Any:
        assert channels.dtype == object
        assert moments.dtype == "datetime64[us]"
        return (groups.first(channels) != groups.last(channels)) * groups.counts

    assert values(tmp_path, feature("switched", "channel", "paid_at")) == [2.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (feature("missing", "amount"), "write it in src/project/features.py under `@aggregate"),
        (feature("total", "channel"), "gives total category, and it reads number"),
        (
            Feature("category", function="total", columns=["amount"], categories=["a"]),
            "returns numbers",
        ),
    ],
)
def test_what_does_not_fit_is_refused(one: Feature, told: str) -> None:
    @aggregate("number")
    def total(groups: Groups, amounts: Any) -> Any:
        return groups.sum(amounts)

    with pytest.raises(ConfigError, match=f"conf/feature_views/paying.yaml: f .*{told}"):
        fitting(view(features={"f": one}), "f")


def test_a_function_that_fails_is_told(tmp_path: Path) -> None:
    @aggregate("number")
    def broken(groups: Groups, amounts: Any) -> Any:
        return np.zeros(len(groups) + 1)

    with pytest.raises(ConfigError, match=r"broken fails for f of paying \(ValueError: it return"):
        values(tmp_path, feature("broken", "amount"))
