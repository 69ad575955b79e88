"""The contract is kept by the rows, and breaks no promise of the champion's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.contract import Contract, Intervals
from mlops.gate.case import Case, Judged
from mlops.gate.rule import Finding
from mlops.gate.rules.contract import ContractKept, compared_contracts

Rejected = Callable[[list[Finding]], set[str]]


def before(case: Case, **columns: dict[str, Any] | None) -> Case:
    """Return the case with a champion whose contract had these columns otherwise, or had them."""
    assert case.champion is not None
    bundle = case.champion.bundle
    content = msgspec.to_builtins(bundle.contract)
    for name, changes in columns.items():
        content["columns"][name] = (content["columns"].get(name) or {}) | (changes or {})
    contract = msgspec.convert(content, Contract)
    champion = Judged(
        case.champion.folder,
        msgspec.structs.replace(bundle, contract=contract),
        case.champion.predictions,
    )
    return replace(case, champion=champion)


def test_the_same_contract_passes(make: Callable[..., Case], champion: Path) -> None:
    (finding,) = ContractKept(allow=[]).judge(make(champion))
    assert finding.verdict == "passed"
    assert "unchanged" in finding.reason


def test_a_first_model_has_none_to_break(make: Callable[..., Case]) -> None:
    (finding,) = ContractKept(allow=[]).judge(make())
    assert finding.verdict == "passed"
    assert "no champion" in finding.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plan", np.nan),
        ("plan", 3.0),
        ("age_band", 0.5),
        ("monthly_fee", 100.5),
        ("monthly_fee", -0.5),
        ("support_calls", 1.5),
        ("support_calls", np.inf),
        ("auto_renew", np.nan),
        ("month", np.datetime64("NaT")),
        ("customer_id", None),
    ],
)
def test_a_broken_cell_is_rejected(
    make: Callable[..., Case], rejected: Rejected, name: str, value: Any
) -> None:
    case = make()
    values = case.columns[name].copy()
    values[7] = value
    broken = replace(case, columns={**case.columns, name: values})
    assert rejected(ContractKept(allow=[]).judge(broken)) == {f"holdout {name}"}


def test_broken_training_rows_are_rejected(
    make: Callable[..., Case], project: Path, rewrite: Callable[..., None], rejected: Rejected
) -> None:
    case = make()
    fees = case.train_columns["monthly_fee"].copy()
    fees[:3] = 1e6
    rewrite(project / "data/prepared/train", monthly_fee=fees)
    findings = ContractKept(allow=["monthly_fee"]).judge(make())
    assert rejected(findings) == {"training monthly_fee"}
    assert "3 of" in findings[0].reason


def test_a_missing_column_is_rejected(make: Callable[..., Case], rejected: Rejected) -> None:
    case = make()
    rest = {name: values for name, values in case.columns.items() if name != "plan"}
    assert rejected(ContractKept(allow=[]).judge(replace(case, columns=rest))) == {"holdout plan"}


def test_repeated_values_of_a_unique_column(make: Callable[..., Case], rejected: Rejected) -> None:
    case = make()
    content = msgspec.to_builtins(case.settings.data)
    content["columns"]["customer_id"]["unique"] = True
    contract = msgspec.convert(content, Contract)
    settings = msgspec.structs.replace(case.settings, data=contract)
    parts = rejected(ContractKept(allow=[]).judge(replace(case, settings=settings)))
    assert parts == {"training customer_id", "holdout customer_id", "bundle"}


@pytest.mark.parametrize(
    ("name", "was"),
    [
        ("gone", {"type": "number"}),
        ("tenure_months", {"type": "number"}),
        ("churned", {"type": "category", "categories": ["yes", "no"]}),
    ],
)
def test_what_the_champion_relied_on_cannot_go_unless_allowed(
    make: Callable[..., Case], champion: Path, rejected: Rejected, name: str, was: dict[str, Any]
) -> None:
    case = before(make(champion), **{name: was})
    assert rejected(ContractKept(allow=[]).judge(case)) == {name}
    assert rejected(ContractKept(allow=["another"]).judge(case)) == {name}
    assert not rejected(ContractKept(allow=[name]).judge(case))


def test_another_target_is_rejected(
    make: Callable[..., Case], champion: Path, rejected: Rejected
) -> None:
    case = before(
        make(champion), churned={"role": "feature"}, left={"type": "boolean", "role": "target"}
    )
    assert "churned" in rejected(ContractKept(allow=["left"]).judge(case))


def test_other_changes_are_stated(make: Callable[..., Case], champion: Path) -> None:
    case = before(
        make(champion),
        monthly_fee={"max": 50},
        region={"categories": ["north", "centre"], "nullable": False},
        plan={"role": "sensitive"},
        gender={"role": "ignored"},
    )
    (finding,) = ContractKept(allow=[]).judge(case)
    assert finding.verdict == "passed"
    for said in ("max 100", "lost the categories centre", "gained the categories east", "nullable"):
        assert said in finding.reason
    assert "gender was added" in finding.reason
    assert "plan has the role feature instead of sensitive" in finding.reason


def test_what_is_allowed_passes_by_name(make: Callable[..., Case], champion: Path) -> None:
    case = before(make(champion), gone={"type": "number"})
    allowed, rest = ContractKept(allow=["gone"]).judge(case)
    assert (allowed.verdict, allowed.part, allowed.reason) == ("passed", "gone", "gone was removed")
    assert (rest.verdict, rest.part) == ("passed", "")


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        (0.9, None, "rejected"),
        (0.9, 0.8, "rejected"),
        (0.9, 0.95, "passed"),
        (None, 0.9, "passed"),
        (0.9, 0.9, "passed"),
    ],
)
def test_intervals_that_were_promised_stay_promised(
    make: Callable[..., Case], champion: Path, was: float | None, now: float | None, verdict: str
) -> None:
    contract = make(champion).settings.data
    one, other = (
        msgspec.structs.replace(contract, intervals=None if share is None else Intervals(share))
        for share in (was, now)
    )
    removed, stated = compared_contracts(one, other)
    assert ("intervals" in removed) == (verdict == "rejected")
    assert ("are promised" in stated) == (was != now and verdict == "passed")
