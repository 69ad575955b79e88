"""The experiment as flat parameters, as registries keep them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..config.settings import Settings


def parameters(settings: Settings, about: Mapping[str, Any]) -> dict[str, str]:
    """Return the experiment as flat parameters; the contract is data and stays out.

    `about` is what training.json says, among it the parameters that a search found.
    """
    found = about.get("parameters") or {}
    chosen = {
        "seed": settings.seed,
        "data": settings.data.name,
        "split": msgspec.to_builtins(settings.split),
        "model": {"target": settings.model.target, **settings.model.parameters, **found},
        "training": msgspec.to_builtins(settings.training),
        "tuning": settings.tuning.method,
        "search": about.get("search") or {},
    }
    return dict(_flat("", chosen))


def _flat(prefix: str, node: Any) -> list[tuple[str, str]]:
    if not isinstance(node, dict):
        return [(prefix, str(node)[:500])]
    joined = f"{prefix}." if prefix else ""
    return [pair for key, value in node.items() for pair in _flat(f"{joined}{key}", value)]
