from typing import Any

import pytest
from baked import SOURCE
from msgspec.structs import replace

from mlops.config.compose import composed
from mlops.config.settings import Derived, Settings
from mlops.contract import Column
from mlops.errors import ProjectError
from mlops.features.agreement import changed_sides, check, unread

USED = {"data": "churn", "features": "churn"}


def settings(**columns: Column) -> Settings:
    parsed = Settings.parse(composed(SOURCE / "conf", {}))
    return replace(parsed, data=replace(parsed.data, columns={**parsed.data.columns, **columns}))


def test_what_the_project_starts_with_agrees() -> None:
    check(settings(), USED)


IGNORED = {"paid_at": Column("datetime", role="ignored")}
DERIVED = {"x": Derived("log1p", ["usage"], "me")}


@pytest.mark.parametrize(
    ("columns", "changes", "said"),
    [
        (
            IGNORED,
            {},
            r"conf/features/churn.yaml: features.derived.payment_days reads paid_at, which "
            "conf/data/churn.yaml sets to ignored: take out the feature, or that role",
        ),
        ({"usage_hours": Column("text")}, {}, "conf/features/churn.yaml: .* needs a number and"),
        ({}, {"features": {"derived": DERIVED}}, "conf/features/churn.yaml: .* no usable column"),
        ({}, {"features": {"exclude": ["usage"]}}, "conf/features/churn.yaml: features.exclude"),
        ({}, {"model": {"monotonic": {"usage": 1}}}, "model.monotonic names usage, no feature of"),
        ({}, {"split": {"columns": ["usage"]}}, "split.columns names usage"),
    ],
)
def test_what_names_a_column_that_is_not_there_is_refused_by_its_file(
    columns: dict[str, Column], changes: dict[str, dict[str, Any]], said: str
) -> None:
    parsed = settings(**columns)
    for part, values in changes.items():
        parsed = replace(parsed, **{part: replace(getattr(parsed, part), **values)})
    with pytest.raises(ProjectError, match=said):
        check(parsed, USED)


def test_a_datetime_or_text_that_nothing_reads_is_said() -> None:
    assert unread(settings()) is None
    more = settings(seen_at=Column("datetime"), note=Column("text"), at=Column("text", role="id"))
    said = unread(more)
    assert said is not None
    assert said.startswith("features: nothing reads seen_at, note: a datetime or text enters")
    excluded = replace(more.features, exclude=["seen_at", "note"])
    assert unread(replace(more, features=excluded)) is None


def test_a_change_that_draws_another_holdout_is_said() -> None:
    before = settings()
    ids = settings(customer_id=Column("text", role="ignored"))
    said = changed_sides(before, ids)
    assert said is not None
    assert said.startswith("split: rows change sides (it hung on customer_id, now on ")
    assert said.endswith("name in split.columns what decided before")
    assert changed_sides(before, settings(paid_at=Column("text"))) is None
    assert changed_sides(None, before) is None
