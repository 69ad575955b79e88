"""Views of an experiment become columns, or are refused with the file that is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.config.expansion import expanded
from mlops.config.settings import ConfigError

TABLE: dict[str, Any] = {
    "keys": ["customer"],
    "event_time": "at",
    "lag": "1 day",
    "columns": {
        "customer": {"type": "integer"},
        "at": {"type": "datetime"},
        "amount": {"type": "number"},
    },
}
VIEW: dict[str, Any] = {
    "table": "payments",
    "entity": {"customer": "id"},
    "ttl": "30 days",
    "owner": "billing",
    "features": {"spent": {"type": "number", "sql": "sum(amount)", "min": 0}},
}
COLUMNS: dict[str, Any] = {
    "id": {"type": "integer", "role": "id"},
    "month": {"type": "datetime", "role": ["time"]},
    "left": {"type": "boolean", "role": "target"},
}


def made(root: Path, table: Any = TABLE, view: Any = VIEW, columns: Any = COLUMNS) -> Any:
    for part, content in (("tables/payments", table), ("feature_views/paying", view)):
        path = root / f"{part}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return expanded(root, {"data": {"columns": columns}, "features": {"views": ["paying"]}})


def test_a_feature_is_a_column_of_the_contract(tmp_path: Path) -> None:
    found = made(tmp_path)
    column = {"type": "number", "nullable": True, "min": 0.0, "owner": "billing", "view": "paying"}
    assert found["data"]["columns"] == {**COLUMNS, "spent": column}
    assert found["features"]["views"]["paying"]["table"]["name"] == "payments"


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        ("table", {"keys": []}, "names at least one column"),
        ("table", {"lag": None}, "give `known_time`"),
        ("table", {"event_time": "amount"}, "declare it as a datetime"),
        ("table", {"tie_break": ["number"]}, "'number' is no column"),
        ("table", {"time_zone": "Berlin"}, "Europe/Berlin"),
        (
            "table",
            {"columns": {**TABLE["columns"], "Amount": {"type": "number"}}},
            "differ in nothing but case",
        ),
        (
            "table",
            {"columns": {**TABLE["columns"], "at": {"type": "datetime", "nullable": True}}},
            "'at' is never missing",
        ),
        (
            "table",
            {"columns": {**TABLE["columns"], "amount": {"type": "number", "role": "ignored"}}},
            None,
        ),
        ("view", {"entity": {"customer": "customer_id"}}, "no column of the contract"),
        ("view", {"entity": {"customer": "month"}}, "month is a datetime and customer of conf/tab"),
        ("view", {"features": {"left": VIEW["features"]["spent"]}}, "is a column already"),
        (
            "view",
            {"features": {"f": {"type": "number", "latest": "at"}}},
            "f is a number, and at a datetime",
        ),
        (
            "view",
            {"features": {"f": {"type": "integer", "sql": "count(*)", "default": 0.5}}},
            "is no integer",
        ),
        (
            "view",
            {"features": {"f": {"type": "boolean", "sql": "bool_or(amount > 1)", "default": 0}}},
            "is no boolean",
        ),
        ("columns", {"month": {"type": "datetime"}}, "no column of role time"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    tmp_path: Path, key: str, change: dict[str, Any], told: str | None
) -> None:
    given = {"table": TABLE, "view": VIEW, "columns": COLUMNS}
    given[key] = {name: value for name, value in (given[key] | change).items() if value is not None}
    if told is None:
        made(tmp_path, **given)
        return
    with pytest.raises(ConfigError, match=told):
        made(tmp_path, **given)
