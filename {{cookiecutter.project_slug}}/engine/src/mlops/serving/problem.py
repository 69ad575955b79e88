"""What is wrong with a request, as RFC 9457 problem JSON or as a sentence under `error`."""

from collections.abc import Mapping
from typing import Any

import msgspec

MEDIA_TYPE = "application/problem+json"
PROTOCOL = "/v2"  # where clients of the Open Inference Protocol ask, who look for `error`
NO_ANSWER = "no-answer"
LONGEST = 500  # of an `error`, which may quote what was sent


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

    @property
    def is_ours(self) -> bool:
        """Whether server or model failed, and the request is not to blame."""
        return self.status >= 500 or self.slug == NO_ANSWER

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

    def sentence(self) -> str:
        """Return everything that is known of the cause in one line."""
        place = [f"row {self.row}"] if self.row is not None else []
        place += [f"input {self.field!r}"] if self.field is not None else []
        return ": ".join(filter(None, [self.title, self.detail, ", ".join(place)]))

    def body(self, path: str, request_id: str | None = None) -> tuple[bytes, str]:
        """Return how the problem is said to those who ask at a path, and its media type."""
        if path == PROTOCOL or path.startswith(f"{PROTOCOL}/"):
            error = {"error": self.sentence()[:LONGEST]}
            return msgspec.json.encode(error), "application/json"
        return msgspec.json.encode(self.content(request_id)), MEDIA_TYPE


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
