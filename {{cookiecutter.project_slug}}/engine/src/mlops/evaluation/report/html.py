"""The pieces that the report is put together from; every text that is given is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from .figures import SERIES


def card(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """Return a box of names and their values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(one))}</dd>" for name, one in facts)
    return f'<section class="card"><h3>{escape(title)}</h3><dl>{items}</dl></section>'


def figure(
    title: str, caption: str, chart: object, labels: Sequence[str] = (), below: str = ""
) -> str:
    """Return a box with a picture, how to read it, the key to its lines, and HTML below it."""
    return (
        f'<figure class="card"><h3>{escape(title)}</h3><figcaption>{escape(caption)}</figcaption>'
        f"{keys(labels)}{chart}{below}</figure>"
    )


def pair(left: str, right: str) -> str:
    """Return two boxes side by side where there is room."""
    return f'<div class="pair">{left}{right}</div>'


def keys(labels: Sequence[str]) -> str:
    """Return which colour stands for which label."""
    if len(labels) < 2:
        return ""
    spans = (
        f'<span><i class="s{k % SERIES}"></i>{escape(label)}</span>'
        for k, label in enumerate(labels)
    )
    return f'<div class="keys">{"".join(spans)}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """Return a table whose cells are HTML; columns from the one numbered `numbers` hold figures."""
    head = "".join(
        f"<th{' class=n' if at >= numbers else ''}>{name}</th>" for at, name in enumerate(header)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
