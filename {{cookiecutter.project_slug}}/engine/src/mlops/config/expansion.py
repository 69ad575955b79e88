"""Tables and feature views as conf/ declares them, and an experiment in which they stand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .experiment import plain
from .settings import ConfigError
from .views import Table, View

TABLES, VIEWS = "tables", "feature_views"
TEXTS = {"category": "text"}  # both are compared as texts


def read_view(conf: Path, name: str) -> View:
    """Return a view with its table; raise ConfigError, naming the file, where one is wrong."""
    path = conf / VIEWS / f"{name}.yaml"
    said = _content(path)
    table = said.get("table")
    if not isinstance(table, str):
        raise ConfigError(f"{path} names no `table`: choose one of {conf / TABLES}/")
    try:
        whole = {**said, "name": name, "table": read_table(conf, table)}
        return msgspec.convert(whole, View, from_attributes=True)
    except msgspec.ValidationError as error:
        raise _refused(path, error, whole, View) from error


def read_table(conf: Path, name: str) -> Table:
    """Return a table; raise ConfigError, naming the file, where it is wrong."""
    path = conf / TABLES / f"{name}.yaml"
    whole = {**_content(path), "name": name}
    try:
        return msgspec.convert(whole, Table)
    except msgspec.ValidationError as error:
        raise _refused(path, error, whole, Table) from error


def _refused(path: Path, error: msgspec.ValidationError, content: Any, kind: type) -> ConfigError:
    from ..refusal import refusal  # no stage depends on what it says

    return ConfigError(f"{path}: {refusal(error, content, kind).said}")


def expanded(conf: Path, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment whose views stand with their declaration, and as columns.

    Raises ConfigError for a view or table that is not there or wrong, an entity that is no column
    of the contract, and a feature whose name is another column's.
    """
    features = resolved.get("features")
    names = features.get("views") if isinstance(features, Mapping) else None
    if not names:
        return dict(resolved)
    if not isinstance(names, list) or len(set(names)) < len(names):
        raise ConfigError("features.views must list names of conf/feature_views, each once")
    views = {str(name): read_view(conf, str(name)) for name in names}
    columns = dict(resolved["data"]["columns"])
    if not any("time" in _roles(column) for column in columns.values()):
        raise ConfigError(
            f"{conf}/data has no column of role time, and a feature view says what was known at "
            "one: give a datetime that role, or take `views` out of conf/features"
        )
    for name, view in views.items():
        if unknown := [column for column in view.entity.values() if column not in columns]:
            raise ConfigError(
                f"{conf / VIEWS / name}.yaml: `entity` names {unknown[0]!r}, no column of the "
                "contract: declare it in conf/data"
            )
        for key, column in view.entity.items():
            _check_alike(conf, view, key, columns[column])
        if taken := [feature for feature in view.features if feature in columns]:
            raise ConfigError(
                f"{conf / VIEWS / name}.yaml: {taken[0]!r} is a column already: rename the feature"
            )
        columns |= {feature: view.column(feature) for feature in view.features}
    return {
        **resolved,
        "data": {**resolved["data"], "columns": columns},
        "features": {
            **resolved["features"],
            "views": {name: msgspec.to_builtins(view) for name, view in views.items()},
        },
    }


def _roles(column: Any) -> list[str]:
    role = column.get("role", []) if isinstance(column, Mapping) else []
    return [role] if isinstance(role, str) else list(role)


def _check_alike(conf: Path, view: View, key: str, column: Mapping[str, Any]) -> None:
    """Refuse an entity that a key of the table can never equal: they are of two types."""
    given, wanted = (
        TEXTS.get(t, t) for t in (str(column.get("type")), view.table.columns[key].type)
    )
    if given != wanted:
        raise ConfigError(
            f"{conf / VIEWS / view.name}.yaml: {view.entity[key]} is a {given} and {key} of "
            f"{view.table.place} a {wanted}: declare both alike"
        )


def _content(path: Path) -> dict[str, Any]:
    try:
        return plain(path)
    except FileNotFoundError as error:
        offered = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path} is missing: write it, or choose from {offered}") from error
    except TypeError as error:
        raise ConfigError(f"{path} must be a mapping of keys to values") from error
