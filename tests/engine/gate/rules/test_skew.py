"""What an online store would hold is what the join gave, or the candidate is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stages
import yaml
from sweeps import thorough

from mlops.config.settings import load
from mlops.features.encoding import Encoder
from mlops.gate.rule import Finding
from mlops.gate.rules.skew import Skew
from mlops.git.repository import Repository

RULE = Skew(rows=100, moments=3, minutes=5)
CONTRACT = """
name: loans
task: binary
source: {format: csv}
columns:
  customer: {type: integer, role: id}
  asked_at: {type: datetime, role: time}
  amount: {type: number}
  bad: {type: boolean, role: target}
"""
TABLE = """
keys: [customer]
event_time: at
known_time: booked
tie_break: [number]
columns:
  customer: {type: integer}
  at: {type: datetime}
  booked: {type: datetime}
  number: {type: integer}
  sum: {type: number, nullable: true, pii: false}
  channel: {type: category, categories: [app, NA, shop]}
"""
VIEW: dict[str, Any] = {
    "table": "payments",
    "entity": {"customer": "customer"},
    "ttl": "5 days",
    "online": True,
    "features": {
        "spent": {"type": "number", "sql": "sum(sum)", "default": 0.0},
        "payments": {"type": "integer", "sql": "count(*)", "default": 0, "window": "1 day"},
        "last": {"type": "number", "latest": "sum"},
        "channel": {"type": "category", "latest": "channel", "categories": ["app", "shop"]},
        "recent": {"type": "number", "function": "recent", "columns": ["sum"]},
    },
}
HONEST = """
import numpy as np
from mlops.features.aggregates import Groups, aggregate


@aggregate("number")
def recent(groups, values):
    return groups.sum(np.nan_to_num(values) / (1 + groups.ages))
"""
# Beside the mean of whoever else is computed at the same time.
SKEWED = HONEST.replace("return ", "found = ") + "    return found - found.mean()\n"
ROWS, CUSTOMERS = 400, 30


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Return the case of a project whose rows are joined to ten days of payments, as committed."""

    def make(
        source: str = HONEST, changes: dict[str, Any] | None = None, pii: bool = False, **case: Any
    ) -> Any:
        stages.copied(tmp_path)
        view = {**VIEW, **(changes or {})}
        written = {
            "conf/data/loans.yaml": CONTRACT,
            "conf/tables/payments.yaml": TABLE.replace("pii: false", f"pii: {str(pii).lower()}"),
            "conf/feature_views/spending.yaml": yaml.safe_dump(view),
            "conf/features/past.yaml": "views: [spending]\nderived: {}\n",
            "params.yaml": "data: {use: loans}\nfeatures: {use: past}\n",
            "src/project/features.py": source,
        }
        for name, content in written.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        _events(tmp_path)
        for stage in ("resolve", "prepare"):  # by its own code, which has its own functions
            _run(tmp_path, sys.executable, "-m", "mlops.cli", stage)
        settings = load(tmp_path / "resolved.yaml")
        (tmp_path / ".gitignore").write_text("/data/prepared\n__pycache__\n")
        for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-qm", "x"]):
            _run(tmp_path, "git", *command)
        encoder = Encoder.build(settings.data, settings.features)
        return SimpleNamespace(
            settings=settings,
            candidate=SimpleNamespace(bundle=SimpleNamespace(encoder=encoder)),
            repository=Repository(tmp_path),
            holdout=tmp_path / "data/prepared/holdout",
            seed=3,
            **{"rederive": True, **case},
        )

    return make


def _run(root: Path, *command: str) -> None:
    own = os.pathsep.join(str(root / name) for name in ("engine/src", "src"))
    environment = {**os.environ, "PYTHONPATH": own}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)


def _events(root: Path) -> None:
    draw = np.random.default_rng(2)
    start = np.datetime64("2026-03-01", "us")
    at = start + draw.integers(0, 14_400, 2000).astype("m8[m]")
    payments = {
        "customer": draw.integers(0, CUSTOMERS, 2000),
        "at": at,
        "booked": at + draw.choice([0, 60, 3000], 2000).astype("m8[m]"),
        "number": np.arange(2000),
        "sum": np.where(draw.random(2000) < 0.1, np.nan, draw.normal(0, 1e6, 2000)),
        "channel": draw.choice(["app", "shop"], 2000),
    }
    (root / "data/tables/payments").mkdir(parents=True)
    pd.DataFrame(payments).to_parquet(root / "data/tables/payments/all.parquet")
    loans = {
        "customer": draw.integers(0, CUSTOMERS + 3, ROWS),
        "asked_at": start + draw.integers(0, 240, ROWS).astype("m8[h]"),
        "amount": draw.uniform(0, 10, ROWS),
        "bad": draw.choice(["true", "false"], ROWS),
    }
    (root / "data/raw").mkdir(parents=True)
    pd.DataFrame(loans).to_csv(root / "data/raw/loans.csv", index=False)


def rejected(findings: list[Finding]) -> dict[str, str]:
    return {one.part: one.reason for one in findings if one.verdict == "rejected"}


def test_values_that_hang_on_nothing_else_pass(make: Callable[..., Any]) -> None:
    (finding,) = RULE.judge(make())
    assert finding.verdict == "passed", finding.reason
    assert "5 features of" in finding.reason
    assert "as of 3 moments" in finding.reason


def test_a_function_that_looks_at_the_batch_is_refused(make: Callable[..., Any]) -> None:
    found = rejected(RULE.judge(make(SKEWED)))
    assert set(found) == {"recent"}
    assert "recent of the view spending differs in" in found["recent"]
    assert " in the store, " in found["recent"]


@thorough
def test_a_label_that_the_contract_reads_as_missing_is_refused(make: Callable[..., Any]) -> None:
    """The store holds `NA`, and the model was trained on a missing one."""
    channel = {"type": "category", "sql": "'NA' || min('')", "categories": ["NA", "shop"]}
    features = {"channel": channel, "spent": VIEW["features"]["spent"]}
    found = rejected(RULE.judge(make(changes={"features": features})))
    assert set(found) == {"channel"}
    assert "'NA' in the store, None judged" in found["channel"]


@thorough
def test_no_personal_value_is_shown(make: Callable[..., Any]) -> None:
    found = rejected(RULE.judge(make(SKEWED, pii=True)))
    assert "(not shown, as personal data)" in found["recent"]


def test_it_waits_to_be_asked_and_for_a_view_that_is_served(make: Callable[..., Any]) -> None:
    case = make(rederive=False)
    (finding,) = RULE.judge(case)
    assert (finding.verdict, "mlops gate --rederive" in finding.reason) == ("pending", True)
    view = case.settings.features.views["spending"]
    case.settings.features.views["spending"] = type(view)(
        **{name: getattr(view, name) for name in view.__struct_fields__} | {"online": False}
    )
    (finding,) = RULE.judge(case)
    assert finding.verdict == "not applicable"
