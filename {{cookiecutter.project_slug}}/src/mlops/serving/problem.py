"""What is wrong with a request, as RFC 9457 problem JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 (it is what RFC 9457 calls it)
    """A refusal: a status, the kind of it as a slug, and where the client finds the cause.

    `row` is an index into the list that was sent, 0 where one row was sent alone. `detail` never
    holds a value of a row: it is logged.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str = "",
        row: int | None = None,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.row = row
        self.field = field
        self.headers = dict(headers or {})

    def content(self, request_id: str | None = None) -> dict[str, Any]:
        """Return the members of the problem; those that say nothing are left out."""
        members = {
            "type": f"urn:mlops:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or None,
            "row": self.row,
            "field": self.field,
            "request_id": request_id,
        }
        return {name: value for name, value in members.items() if value is not None}

    def body(self, request_id: str | None = None) -> bytes:
        """Return the problem as JSON."""
        return msgspec.json.encode(self.content(request_id))


SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Why the request was refused (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "row": {"type": "integer", "description": "index of the row, from 0"},
        "field": {"type": "string", "description": "name of the field"},
        "request_id": {"type": "string"},
    },
}
