"""A bundle that reads two feature views, and the stores that hold them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stages
from baked import SOURCE
from databases import postgresql, redis_server

from mlops.bundle.reading import Loaded, load
from mlops.config.views import View
from mlops.serving.online.stores import opened
from mlops.views.online import Values, about, key, microseconds, table_name

CONTRACT = """
name: loans
task: binary
source: {format: csv}
columns:
  customer: {type: text, role: id, nullable: true, pii: %s}
  branch: {type: integer, role: id, nullable: true}
  asked_at: {type: datetime, role: time}
  amount: {type: number, min: 0}
  bad: {type: boolean, role: target}
"""
PAYMENTS = """
keys: [customer]
event_time: at
lag: 0 days
tie_break: [number]
columns:
  customer: {type: text}
  at: {type: datetime}
  number: {type: integer}
  sum: {type: number}
  channel: {type: category, categories: [app, shop]}
"""
SPENDING = """
table: payments
entity: {customer: customer}
ttl: 30 days
online: true
freshness: 1 day
stale: %s
features:
  spent: {type: number, sql: sum(sum), default: 0.0}
  payments: {type: integer, sql: count(*), default: 0}
  channel: {type: category, latest: channel, categories: [app, shop]}
  last_paid: {type: datetime, latest: at}
"""
BRANCHES = """
keys: [branch]
event_time: at
lag: 0 days
columns: {branch: {type: integer}, at: {type: datetime}, staff: {type: integer}}
"""
STAFF = """
table: branches
entity: {branch: branch}
ttl: 365 days
online: true
features: {staff: {type: integer, latest: staff}}
"""
PARAMS = """
data: {use: loans}
features: {use: past}
model: {use: boosting, max_iter: 10}
evaluation: {resamples: 20, importance_rows: 50}
"""
FEATURES = """
views: [spending, staff]
derived:
  days_since: {function: elapsed_days, columns: [last_paid, last_paid], owner: tests}
"""
ROWS = 400


def made(root: Path, source: Path, stale: str = "'null'", pii: bool = True) -> Path:
    """Make the bundle of a project with views, and return the project."""
    stages.copied(root, source)
    written = {
        "conf/data/loans.yaml": CONTRACT % str(pii).lower(),
        "conf/tables/payments.yaml": PAYMENTS,
        "conf/tables/branches.yaml": BRANCHES,
        "conf/feature_views/spending.yaml": SPENDING % stale,
        "conf/feature_views/staff.yaml": STAFF,
        "conf/features/past.yaml": FEATURES,
        "params.yaml": PARAMS,
    }
    for name, content in written.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    generator = np.random.default_rng(3)
    spent = generator.uniform(0, 100, ROWS)
    table = pd.DataFrame(
        {
            "customer": [f"c{n % 90}" for n in range(ROWS)],
            "branch": generator.integers(0, 5, ROWS),
            "asked_at": pd.Timestamp("2026-04-01"),
            "amount": generator.uniform(0, 10, ROWS),
            "spent": spent,
            "payments": generator.integers(0, 9, ROWS),
            "channel": np.where(generator.integers(0, 2, ROWS), "app", "shop"),
            "last_paid": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(generator.integers(0, 90, ROWS), "D"),
            "staff": generator.integers(1, 30, ROWS),
            "bad": np.where(spent + generator.normal(0, 20, ROWS) > 50, "true", "false"),
        }
    )
    (root / "data/raw").mkdir(parents=True)
    table.to_csv(root / "data/raw/loans.csv", index=False)
    stages.run(root)
    return root


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two views; the customer is personal data. Not to be changed."""
    return made(tmp_path_factory.mktemp("past"), SOURCE)


@pytest.fixture(scope="session")
def bundle_folder(past: Path) -> Path:
    """The bundle that servers serve here."""
    return past / "candidate"


@pytest.fixture(scope="session")
def loaded(past: Path) -> Loaded:
    """Its bundle."""
    return load(past / "candidate")


@pytest.fixture(scope="session")
def views(loaded: Loaded) -> Mapping[str, View]:
    """Its views, each with its table."""
    return loaded.settings.features.views


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the address of a store of each engine."""
    with ExitStack() as stack:
        yield {
            "sqlite": f"sqlite:///{tmp_path_factory.mktemp('online') / 'online.db'}",
            "redis": stack.enter_context(redis_server()),
            "postgresql": stack.enter_context(postgresql()),
        }


@pytest.fixture(scope="session")
def write() -> Callable[..., None]:
    """Have a store hold these values of a view alone."""
    return written_alone


def written_alone(
    url: str, view: View, rows: Mapping[tuple[Any, ...], tuple[Any, ...]], at: datetime
) -> None:
    """Write a view of entities into a store, in place of what it held of that."""
    store, table, values = opened(url, 5, True), table_name(view), Values(view)
    moment = microseconds(at)
    if table in store.tables():
        store.drop(table)
    entries = [(key(names), moment, values.encode(found)) for names, found in rows.items()]
    store.load(table, about(view), entries, moment)
    store.close()
