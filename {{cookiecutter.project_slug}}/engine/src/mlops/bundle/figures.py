"""Figures as people read them, in reports and commit messages alike."""

import json
from collections.abc import Mapping
from typing import Any


def figure(value: float | None) -> str:
    """Return a figure with the digits that a reader can use."""
    return "undefined" if value is None else f"{value:.4g}"


def estimate(one: Mapping[str, Any], signed: bool = False) -> str:
    """Return a figure with its interval."""
    if one["value"] is None:
        return "undefined"
    layout = "+.2g" if signed else ".4g"
    known = [one[name] for name in ("value", "low", "high") if one[name] is not None]
    shown = [f"{number:{layout}}" for number in known]
    interval = f"{shown[1]} to {shown[2]}" if len(shown) == 3 else "no interval"
    return f"{shown[0]} ({interval})"


def shown(value: Any) -> str:
    """Return a value as people write it in YAML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
