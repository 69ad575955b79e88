"""GET /: the page for people, from the files of the package."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from ..problem import Problem

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The page runs nothing but its own files, and the browser turns down any markup made from text.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
TAG = re.compile(r'"[^"]*"')  # a proxy that compresses writes W/ before it


class File(NamedTuple):
    """A file of the page, as it is sent."""

    content: bytes
    media_type: str
    tag: str


@cache
def pages() -> dict[str, File]:
    """Return the files of the page by name; read once, for every page of them."""
    found = {}
    for file in files("mlops.serving").joinpath("page").iterdir():
        media_type = TYPES.get("." + file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[file.name] = File(content, media_type, tag)
    return found


def router() -> APIRouter:
    """Return the routes of the page; they hold nothing of the model and need no key."""
    routes = APIRouter(include_in_schema=False)
    known = pages()

    @routes.get("/")
    async def index(request: Request) -> Response:
        return sent(known["index.html"], request)

    @routes.get("/page/{name}")
    async def file(request: Request, name: str) -> Response:
        if name not in known:
            raise Problem(404, "not-found", "There is no such file")
        return sent(known[name], request)

    return routes


def sent(file: File, request: Request) -> Response:
    """Return a file, or that the client has it already."""
    headers = {**HEADERS, "ETag": file.tag}
    if file.tag in TAG.findall(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
