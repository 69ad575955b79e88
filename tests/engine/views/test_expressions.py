"""The owner's SQL: what it may compute, what it cannot reach, and the order that sums are in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from payments import view

from mlops.config.settings import ConfigError
from mlops.config.views import Feature, View
from mlops.views.expressions import GROUP, PLACE, Expressions


@pytest.fixture(scope="module")
def expressions() -> Iterator[Expressions]:
    made = Expressions(threads=2)
    yield made
    made.close()


def of(sql: str, **more: object) -> View:
    return view(features={"f": Feature("number", sql=sql, **more)})


@pytest.mark.parametrize(
    "sql",
    [
        "sum(amount)",
        "count(*)",
        "count(distinct channel)",
        "sum(distinct amount)",
        "avg(amount) filter (where channel in ('app', 'web'))",
        "sum(case when amount > 10 then amount else 0 end) / nullif(count(*), 0)",
        "stddev(amount)",
        "arg_max(amount, paid_at)",
        "first(amount order by amount desc)",
        "quantile_cont(amount, 0.5)",
        "date_diff('hour', min(paid_at), max(paid_at))",
        "count(*) filter (where hour(paid_at) between 8 and 17 and amount is not null)",
        "coalesce(max(amount), 0)::integer",
    ],
)
def test_what_duckdb_aggregates_can_be_written(expressions: Expressions, sql: str) -> None:
    expressions.check(of(sql))


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("(select max(size) from read_text('/etc/passwd'))", "subquery has no place in it"),
        ("(select count(*) from rows)", "subquery has no place in it"),
        ("count(*)) as f from read_csv('/etc/passwd') --", "more than one|no expression"),
        ("1) as f from rows; select (count(*)", "more than one expression"),
        ("sum(amount) over ()", "window has no place in it"),
        ("sum(random())", "random is no function that gives the same"),
        ("max(now())", "now is no function"),
        ("max(current_date)", "current_date is no column"),
        ("max(age(paid_at))", "age is no function"),
        ("approx_quantile(amount, 0.5)", "approx_quantile is no function"),
        ("max(getenv('HOME'))", "getenv is no function"),
        ("max(current_setting('memory_limit'))", "current_setting is no function"),
        ("sum(price)", "price is no column of the table"),
        ("amount", "it aggregates nothing"),
        ("amount + sum(amount)", "must appear in the GROUP BY"),
        ("sum(amount", "it is no expression"),
        ("sum(channel)", "sum"),
        ("list(amount)", "Conversion Error"),
        ("max('now'::timestamp)", "Conversion Error"),
    ],
)  # fmt: skip
def test_what_is_no_aggregate_of_the_rows_is_refused(
    expressions: Expressions, sql: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=rf"conf/feature_views/paying.yaml: f .*({told})"):
        expressions.check(of(sql))


def test_the_database_reaches_no_file_and_keeps_its_settings(
    expressions: Expressions, tmp_path: Path
) -> None:
    """Were a query to come through, there would be nothing for it."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    rows = pa.table({"a": [1]})  # which a query must not find by its name in Python either
    for query in (
        f"SELECT * FROM read_csv('{secret}')",
        f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
        f"ATTACH '{tmp_path / 'other.db'}'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM rows",
    ):
        with pytest.raises(Exception, match=r"disabled|locked|does not exist|Cannot"):
            expressions._connection.execute(query).fetchall()
    assert rows.num_rows == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("sql", ["sum(amount)", "avg(amount)", "stddev(amount)", "sum(amount * 2)"])
def test_a_sum_of_floats_has_the_same_bits_in_any_company(sql: str) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(3000), rng.integers(1, 40, 3000))
    amounts = rng.normal(size=len(groups)) * 10.0 ** rng.integers(-8, 9, len(groups))
    rows = pa.table({"amount": amounts, GROUP: groups, PLACE: np.arange(len(groups))})
    found = []
    for threads, order in ((1, slice(None)), (8, rng.permutation(len(groups)))):
        made = Expressions(threads)
        given = rows.take(pa.array(np.arange(len(groups))[order]))
        table = made.values(of(sql), of(sql).features, given).sort_by(GROUP)
        one = groups == 17
        alone = made.values(of(sql), of(sql).features, rows.filter(pa.array(one)))
        found.append(table["f"].to_numpy())
        assert found[-1][17] == alone["f"][0].as_py() or np.isnan(found[-1][17])
        made.close()
    assert found[0].tobytes() == found[1].tobytes()
    if sql == "sum(amount)":
        total = 0.0
        for amount in amounts[one]:
            total += amount
        assert found[0][17] == total


def test_the_columns_that_an_expression_reads(expressions: Expressions) -> None:
    one = of("sum(Amount) filter (where channel = 'app')")
    assert expressions.reads(one, "f", one.features["f"]) == ["amount", "channel"]
