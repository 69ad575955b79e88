"""The commits of a branch, as `git log` tells of them."""

from collections.abc import Iterator
from typing import NamedTuple

FIELDS = ("%H", "%P", "%cI", "%an", "%ae", "%cn", "%s")
TRAILERS = ("Reviewed-by", "Approved-by")
BETWEEN, END = "\x1f", "\x1e"
LAYOUT = (
    "%x1f".join(
        (*FIELDS, *(f"%(trailers:key={key},valueonly,separator=%x1d)" for key in TRAILERS), "%b")
    )
    + "%x1e"
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


def parsed(log: str) -> Iterator[Step]:
    """Yield the commits of a log that git printed in LAYOUT."""
    for record in log.split(END)[:-1]:
        commit, parents, when, author, email, committer, subject, *rest = record.lstrip("\n").split(
            BETWEEN
        )
        given = rest[: len(TRAILERS)]
        approved = tuple(name.strip() for one in given for name in one.split("\x1d") if name)
        body = BETWEEN.join(rest[len(TRAILERS) :])
        known = tuple(parents.split())
        yield Step(commit, known, when, author, email, committer, subject, approved, body)
