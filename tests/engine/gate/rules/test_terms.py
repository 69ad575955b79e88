"""Data that may not be used are refused, by the terms that the policy asks for and no others."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from payments import VIEW

from mlops.contract import Contract
from mlops.gate.rules.terms import Terms

TOLD = {"licence": "CC-BY-4.0", "retention": "30 days", "purpose": "churn"}
TABLE = replace(VIEW.table, **TOLD)
KEPT = Terms(licences=["CC-BY-4.0"], purposes=["churn"], retention=True, personal="reason")


def test_a_feature_of_personal_data_is_such_and_names_its_own_file() -> None:
    column = {"type": "number", "pii": True, "view": "paying"}
    found = rejected(KEPT, case(income={**column, "reason": ""}))
    assert "give a `description` in conf/feature_views/paying.yaml" in found["income"]


def case(age: float = 3.0, time: bool = True, table: Any = TABLE, **changes: Any) -> Any:
    columns: dict[str, Any] = {
        "income": {"type": "number", "pii": True, "reason": "what is paid from"},
        "at": {"type": "datetime", "role": "time" if time else "ignored"},
        "y": {"type": "boolean", "role": "target"},
    }
    columns["income"] |= changes.pop("income", {})
    said = {"name": "churn", "task": "binary", "columns": columns, **TOLD, **changes}
    now = datetime.now(UTC).replace(tzinfo=None)
    times = np.array([now - timedelta(days=age), "NaT"], dtype="M8[us]")
    views = {"paying": replace(VIEW, table=table)}
    settings = SimpleNamespace(
        data=msgspec.convert(said, Contract), features=SimpleNamespace(views=views)
    )
    return SimpleNamespace(
        settings=settings, train_columns={"at": times}, columns={"at": times[1:]}
    )


def rejected(rule: Terms, given: Any) -> dict[str, str]:
    return {one.part: one.reason for one in rule.judge(given) if one.verdict == "rejected"}


def test_terms_that_are_kept_pass() -> None:
    (finding,) = KEPT.judge(case())
    assert finding.verdict == "passed"
    assert finding.reason == "licences, purposes, retention, personal: kept by 2 declarations"


def test_what_is_not_set_is_not_asked() -> None:
    bare = case(age=4000, licence="", retention="", purpose="", income={"reason": ""})
    assert rejected(Terms(), bare) == {}


@pytest.mark.parametrize(
    ("changes", "part", "said"),
    [
        ({"licence": "proprietary"}, "churn", "the policy allows CC-BY-4.0: correct `licence`"),
        ({"licence": ""}, "churn", "correct `licence` in conf/data/churn.yaml"),
        ({"purpose": "ads"}, "churn", "its purpose is 'ads'"),
        ({"retention": ""}, "churn", "set `retention` in conf/data/churn.yaml"),
        ({"retention": "long"}, "churn", "is no span of time"),
        ({"age": 31.0}, "churn", "its oldest row is 31 days old and may be kept 30 days"),
        ({"time": False}, "churn", "no column says when a row is from"),
        ({"table": replace(TABLE, licence="secret")}, "payments", "in conf/tables/payments.yaml"),
        (
            {"income": {"reason": ""}},
            "income",
            "leave it out, or give a `reason` in conf/data/churn.yaml",
        ),
    ],
)
def test_each_broken_term_is_refused(changes: dict[str, Any], part: str, said: str) -> None:
    found = rejected(KEPT, case(**changes))
    assert list(found) == [part]
    assert said in found[part]


def test_personal_data_may_be_refused_whatever_the_reason() -> None:
    assert list(rejected(Terms(personal="refuse"), case())) == ["income"]
