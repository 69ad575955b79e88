"""GET /metrics: what Prometheus scrapes."""

from fastapi import APIRouter, Request, Response


def router() -> APIRouter:
    """Return the route of the metrics."""
    routes = APIRouter(tags=["operations"])

    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics(request: Request) -> Response:
        content, kind = request.app.state.metrics.render()
        return Response(content, headers={"content-type": kind})

    return routes
