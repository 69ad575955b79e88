"""What src/project/serving.py may use and define: `before`, `after`, and endpoints of its own."""

from typing import TYPE_CHECKING, Any

from ..runtime.hooks import FILE, HookError, Veto, find
from .models import routing_key
from .problem import PROTOCOL

if TYPE_CHECKING:
    from fastapi import APIRouter, Request

    from .predictor import Predictor

__all__ = ["Veto", "check_routes", "router", "served"]

RESERVED = (PROTOCOL, "/page")  # below these, every path is the engine's


def served(request: "Request") -> "Predictor":
    """Return what answers this request, in an endpoint of the owner's.

    `predictor.decode(body)` gives rows, and raises what /predict refuses with;
    `predictor.answered(rows)` their predictions, `predictor.loaded` the bundle. Raises Problem
    503 where no model is loaded.
    """
    key = routing_key(dict(request.headers.raw), request.state.request_id)
    predictor: Predictor = request.app.state.models.route(key)
    return predictor


def router() -> "APIRouter | None":
    """Return the owner's endpoints, where there are any; raises HookError."""
    from fastapi import APIRouter

    function = find("router")
    if function is None:
        return None
    try:
        found = function()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise HookError(f"`router` of {FILE} failed ({reason}): mend it there") from error
    if not isinstance(found, APIRouter):
        kind = type(found).__name__
        raise HookError(f"`router` of {FILE} returned {kind}: return a fastapi.APIRouter")
    return found


def check_routes(own: "APIRouter", engine: list[Any]) -> None:
    """Raise HookError where a route of the owner's has a path that one of the engine's answers."""
    for route in own.routes:
        path = getattr(route, "path", "")
        taken = next((one.path for one in engine if _overlap(route, one)), None)
        taken = taken or next((r for r in RESERVED if path == r or path.startswith(f"{r}/")), None)
        if taken is not None:
            raise HookError(
                f"`router` of {FILE} has a route {path}, which would stand in the way of {taken} "
                "of the engine: give it another path"
            )


def _overlap(one: Any, other: Any) -> bool:
    """Say whether a path could mean either route."""
    mine, theirs = getattr(one, "path_regex", None), getattr(other, "path_regex", None)
    if mine is None or theirs is None:
        return False
    return bool(mine.match(other.path) or theirs.match(one.path))
