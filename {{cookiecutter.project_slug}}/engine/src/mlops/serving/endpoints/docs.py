"""GET /docs: every route as /openapi.json describes it, by a page that needs no network."""

from fastapi import APIRouter, Request, Response

from .page import pages, sent


def router() -> APIRouter:
    """Return the route of the page; it holds nothing and needs no key."""
    routes = APIRouter(include_in_schema=False)
    document = pages()["docs.html"]

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        return sent(document, request)

    return routes
