"""Declarations of views: what a feature reads decides whether its values may leave."""

import pytest
from msgspec.structs import replace
from payments import VIEW

from mlops.config.views import Feature
from mlops.contract import Column


@pytest.mark.parametrize(
    ("feature", "is_private"),
    [
        (Feature("number", latest="amount"), True),
        (Feature("number", sql="sum(Amount) / count(*)"), True),
        (Feature("number", function="mean", columns=["amount"]), True),
        (Feature("number", sql="sum(amounts)"), False),
        (Feature("number", sql="count(*)"), False),
        (Feature("category", latest="channel", categories=["app"]), False),
    ],
)
def test_a_feature_is_as_private_as_what_it_reads(feature: Feature, is_private: bool) -> None:
    columns = {**VIEW.table.columns, "amount": Column("number", nullable=True, pii=True)}
    table = replace(VIEW.table, columns=columns)
    one = replace(VIEW, table=table, features={"x": feature}, description="why")
    said = one.column("x")
    assert said.get("pii", False) is is_private
    assert said.get("reason") == ("why" if is_private else None)
    restricted = replace(one, table=replace(VIEW.table, restricted=True))
    assert restricted.column("x")["pii"] is True
