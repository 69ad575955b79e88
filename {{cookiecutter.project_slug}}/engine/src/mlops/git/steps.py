"""The commits of a branch, as `git log` tells of them."""

from collections.abc import Iterator
from typing import NamedTuple

FIELDS = ("%H", "%P", "%cI", "%an", "%ae", "%cn", "%s")
TRAILERS = ("Reviewed-by", "Approved-by")
# Between fields NUL, which no name and no message can hold.
LAYOUT = "".join(
    f"{field}%x00"
    for field in (*FIELDS, *(f"%(trailers:key={key},valueonly,unfold)" for key in TRAILERS), "%b")
)


class Step(NamedTuple):
    """A commit of a branch: when it came there, by whom, with whose approval."""

    commit: str
    parents: tuple[str, ...]
    when: str
    author: str
    email: str
    committer: str
    subject: str
    approved: tuple[str, ...]
    body: str


def parsed(told: str) -> Iterator[Step]:
    """Yield the commits that git told of in LAYOUT."""
    fields, width = told.split("\0")[:-1], len(FIELDS) + len(TRAILERS) + 1
    for start in range(0, len(fields), width):
        commit, parents, when, author, email, committer, subject, *given, body = fields[
            start : start + width
        ]
        approved = tuple(name for names in given for name in names.split("\n") if name)
        known = tuple(parents.split())
        yield Step(
            commit.lstrip("\n"), known, when, author, email, committer, subject, approved, body
        )
