"""What differs between two mappings, two bundles' settings and two bundles' data."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..files import read_yaml
from ..runtime.model import ABOUT
from . import reading

Change = dict[str, Any]
# Settings of how a model is searched for: what the search found is among the others.
SEARCH = ("model.search.", "tuning.")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return every key, like a.b.c, whose value is another one; one side lacks it where absent."""
    one, other = dict(_leaves(before)), dict(_leaves(after))
    return [
        {"key": key, **_side("before", one, key), **_side("after", other, key)}
        for key in dict.fromkeys([*one, *other])
        if (key in one) != (key in other) or one.get(key) != other.get(key)
    ]


def configuration(before: Path, after: Path) -> list[Change]:
    """Return what changed in the resolved settings of two bundles; policies are shown apart."""
    one, other = (_resolved(folder) for folder in (before, after))
    return changes(one, other)


def data(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return which raw files two manifests do not share, and the rows of either."""
    one, other = (
        {file["name"]: file for file in content["lineage"]["data"]} for content in (before, after)
    )
    changed = [n for n in one if n in other and one[n]["sha256"] != other[n]["sha256"]]
    return {
        "added": [_file(other[name]) for name in other if name not in one],
        "removed": [_file(one[name]) for name in one if name not in other],
        "changed": [{**_file(other[n]), "rows_before": one[n]["rows"]} for n in changed],
        "kept": sum(name in other for name in one) - len(changed),
        "rows_before": dict(before["lineage"]["rows"]),
        "rows": dict(after["lineage"]["rows"]),
    }


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": file["name"], "rows": file["rows"]}


def _resolved(folder: Path) -> dict[str, Any]:
    content = dict(read_yaml(folder / reading.CONFIG))
    for apart in ("gate", "digests"):
        content.pop(apart, None)
    if isinstance(model := content.get("model"), Mapping):
        content["model"] = {**model, **_found(folder)}
    return content


def _found(folder: Path) -> dict[str, Any]:
    """Return the parameters that a search found, in place of the configured ones."""
    with suppress(OSError, ValueError):
        about = json.loads((folder / ABOUT).read_bytes())
        if isinstance(about, dict) and isinstance(parameters := about.get("parameters"), dict):
            return parameters
    return {}


def _side(side: str, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {side: _plain(content[key])} if key in content else {}


def _plain(value: Any) -> Any:
    """Return a value of YAML as JSON has it: a date or an infinite number as text."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    plain = value is None or isinstance(value, str | int | float) or value == {}
    return value if plain and finite else str(value)


def _leaves(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
