"""GET /healthz and /readyz, and POST /reload."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ..actions import ActionTrial
from ..models import ServedModels
from ..problem import Problem


def router() -> APIRouter:
    """Return the routes that say whether the server lives and is ready, and have it reload."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the process lives")
    async def healthz() -> Response:
        return JSONResponse({"status": "alive"})

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready"}}

    @routes.get("/readyz", summary="Whether requests are welcome", responses=unready)
    async def readyz(request: Request) -> Response:
        return _answer(request)

    refused: dict[int | str, dict[str, Any]] = {403: {"description": "The server has no API key"}}

    @routes.post("/reload", summary="Look for a new bundle now", responses=unready | refused)
    async def reload(request: Request) -> Response:
        state = request.app.state
        if state.settings.api_key is None:  # with one, only who has it comes this far
            detail = "set MLOPS_API_KEY, or send the process a SIGHUP"
            raise Problem(403, "no-api-key", "The server has no API key to protect this", detail)
        await state.models.reload()
        return _answer(request)

    return routes


def _answer(request: Request) -> Response:
    models: ServedModels = request.app.state.models
    actions: ActionTrial | None = request.app.predict.actions
    told = (models.reason, actions.reason(models.champion) if actions is not None else "")
    content = {
        "ready": models.ready,
        "reason": "; ".join(filter(None, told)),
        "model": models.champion and models.champion.bundle_digest,
        "challenger": models.challenger and models.challenger.bundle_digest,
    }
    return JSONResponse(content, 200 if models.ready else 503)
