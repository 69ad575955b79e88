"""The owner's SQL: aggregates of conf/feature_views, checked, put in order, and computed.

It is computed in a database of its own that has nothing but the rows of one view: no file, no
network, no setting can be reached, and no other query runs. A sum of floats depends on the order
of its rows, so every aggregate that might gets one: by event time, then by `tie_break`, then by
what else the rows hold. So the bytes are the same on any number of threads, in any batch.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ..config.settings import ConfigError
from ..config.views import Feature, Table, View
from .tables import TYPES, quoted

GROUP, PLACE = "_group", "_place"
NODES = {
    *("FUNCTION", "COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "CAST", "CASE"),
    *("OPERATOR", "BETWEEN", "TYPE"),
}
# Aggregates whose result no order of the rows changes.
UNORDERED = {
    *("count", "count_star", "count_if", "countif", "min", "max", "bool_and", "bool_or"),
    *("bit_and", "bit_or", "bit_xor"),
}
EXACT = ("integer", "boolean")  # types that add up to the same in any order
ESTIMATES = ("approx_", "reservoir_")
NOW = {"age"}  # of one argument, it reads the clock
MACROS = {
    *("nullif", "fdiv", "geomean", "geometric_mean", "wavg", "weighted_avg", "split_part", "if"),
    *("date_add", "days_in_month"),
}
RESULTS = {**{name: sql for name, (sql, _) in TYPES.items()}, "integer": "DOUBLE"}


class Expressions:
    """The confined database, and what its SQL offers."""

    def __init__(self, threads: int | None = None, memory: str = "512MB") -> None:
        import duckdb

        settings: dict[str, Any] = {
            "enable_external_access": "false",
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": memory,
            "TimeZone": "UTC",
        }
        if threads is not None:
            settings["threads"] = threads
        self._connection = duckdb.connect(":memory:")
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = '{value}'")
        self._connection.execute("SET lock_configuration = true")
        kinds = self._connection.execute(
            "SELECT lower(function_name), function_type FROM duckdb_functions() WHERE "
            "function_type = 'aggregate' OR function_type = 'scalar' AND stability = 'CONSISTENT'"
        ).fetchall()
        self._aggregates = {name for name, kind in kinds if kind == "aggregate"}
        self._known = {name for name, _ in kinds} - NOW | MACROS
        self._ordered: dict[tuple[str, str], dict[str, str]] = {}

    def close(self) -> None:
        """Give the database up."""
        self._connection.close()

    def check(self, view: View) -> None:
        """Raise ConfigError for an expression that is none, or that no such database computes."""
        table = view.table
        # One row, of nothing: some casts fail only where there is a value.
        empty = {name: pa.array([None], TYPES[one.type][1]) for name, one in table.kept()}
        rows = pa.table({**empty, GROUP: [0], PLACE: [0]})
        for name, feature in view.features.items():
            if feature.sql is not None:
                self.values(view, {name: feature}, rows)

    def values(self, view: View, features: Mapping[str, Feature], rows: pa.Table) -> pa.Table:
        """Return the value of each feature in each group, and the groups, in no order.

        `rows` has the columns of the view's table that they read, the group of each row and its
        place: groups that lie together, in their order.
        """
        import duckdb

        chosen = {name: self._expression(view, name, one) for name, one in features.items()}
        cast = [
            f"CAST({sql} AS {RESULTS[features[name].type]}) AS {quoted(name)}"
            for name, sql in chosen.items()
        ]
        self._connection.register("rows", _naive(rows))
        try:
            query = f"SELECT {GROUP}, {', '.join(cast)} FROM rows GROUP BY {GROUP}"
            return self._connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            (name, feature), *others = features.items()
            if others:  # which of them it was
                for name, feature in features.items():
                    self.values(view, {name: feature}, rows)
            raise _refused(view, name, feature, _reason(error)) from error
        finally:
            self._connection.unregister("rows")

    def reads(self, view: View, name: str, feature: Feature) -> list[str]:
        """Return the columns of the table that a feature's SQL reads."""
        tree = self._tree(view, name, feature)
        names = [node["column_names"][0].lower() for node in _nodes(tree) if _is_column(node)]
        return [column for column in view.table.columns if column.lower() in names]

    def _expression(self, view: View, name: str, feature: Feature) -> str:
        """Return an expression with the order of rows written into its aggregates."""
        known = self._ordered.setdefault((view.name, str(feature.sql)), {})
        if "sql" not in known:
            tree = self._tree(view, name, feature)
            for node in _nodes(tree):
                if node.get("class") == "FUNCTION" and node["function_name"] in self._aggregates:
                    _put_in_order(node, view.table)
            text = self._said("SELECT json_deserialize_sql(?)", json.dumps(tree))
            known["sql"] = text.removeprefix("SELECT ").rpartition(" AS f FROM ")[0]
        return known["sql"]

    def _said(self, query: str, text: str) -> str:
        return str(self._connection.execute(query, [text]).fetchall()[0][0])

    def _tree(self, view: View, name: str, feature: Feature) -> dict[str, Any]:
        """Return the syntax tree of an expression, or raise ConfigError for what it may not be."""
        query = f"SELECT ({feature.sql}\n) AS f FROM rows"
        tree: dict[str, Any] = json.loads(self._said("SELECT json_serialize_sql(?)", query))
        if tree["error"]:
            reason = " ".join(str(tree.get("error_message", "no SQL")).split())
            raise _refused(view, name, feature, f"it is no expression ({reason})")
        selects = [one["node"] for one in tree["statements"]]
        if len(selects) != 1 or not _is_plain(selects[0]):
            raise _refused(view, name, feature, "it is more than one expression")
        columns = {column.lower() for column, _ in view.table.kept()}
        aggregates = 0
        for node in _nodes(selects[0]["select_list"]):
            kind = node.get("class")
            if kind not in NODES:
                raise _refused(view, name, feature, f"{str(kind).lower()} has no place in it")
            if _is_column(node):
                written = ".".join(node["column_names"])
                if written.lower() not in columns:
                    raise _refused(view, name, feature, f"{written} is no column of the table")
            if kind == "FUNCTION":
                called = node["function_name"].lower()
                aggregates += called in self._aggregates
                if called not in self._known or called.startswith(ESTIMATES):
                    said = f"{called} is no function that gives the same for the same rows"
                    raise _refused(view, name, feature, said)
        if not aggregates:
            raise _refused(view, name, feature, "it aggregates nothing, as sum(amount) does")
        return tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a syntax tree that stands for an expression or a query in it."""
    if isinstance(tree, list):
        for one in tree:
            yield from _nodes(one)
    elif isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for one in list(tree.values()):
            yield from _nodes(one)


def _is_column(node: Mapping[str, Any]) -> bool:
    return node.get("class") == "COLUMN_REF"


def _is_plain(node: Mapping[str, Any]) -> bool:
    """Say whether a query is `SELECT … FROM rows`, and no more."""
    source = node.get("from_table") or {}
    return (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and source.get("type") == "BASE_TABLE"
        and source.get("table_name") == "rows"
        and not any(
            node.get(key)
            for key in ("modifiers", "where_clause", "group_expressions", "having", "qualify")
        )
        and not node["cte_map"]["map"]
        and not node.get("sample")
    )


def _put_in_order(node: dict[str, Any], table: Table) -> None:
    """Make an aggregate read its rows in order, where that may change what it gives."""
    arguments = [argument["expression"] for argument in node["arguments"]]
    if node["function_name"] in UNORDERED:
        return
    if node["function_name"] in ("sum", "avg", "mean") and _is_exact(arguments[0], table):
        return
    by = arguments[0] if node["distinct"] else {"class": "COLUMN_REF", "type": "COLUMN_REF"}
    if not node["distinct"]:
        by = {**by, "alias": "", "query_location": 0, "column_names": [PLACE]}
    order = {"type": "ASCENDING", "null_order": "NULLS_LAST", "expression": by}
    node["order_bys"]["orders"].append(order)


def _is_exact(argument: Mapping[str, Any], table: Table) -> bool:
    if not _is_column(argument):
        return False
    name = argument["column_names"][0].lower()
    return any(name == n.lower() and c.type in EXACT for n, c in table.columns.items())


def _naive(rows: pa.Table) -> pa.Table:
    """Return rows whose moments have no zone: they are in UTC."""
    fields = [
        field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _reason(error: Exception) -> str:
    return " ".join(str(error).partition("\n")[0].split()).rstrip(".")


def _refused(view: View, name: str, feature: Feature, reason: str) -> ConfigError:
    return ConfigError(
        f"conf/feature_views/{view.name}.yaml: {name} cannot be computed by `sql: {feature.sql}` "
        f"({reason}): write an aggregate of DuckDB over columns of {view.table.name}, like "
        "sum(amount) or count(*) filter (where …)"
    )
