"""Text of others in GitHub's Markdown: it reads as it was given, and none of it acts as markup."""

import re
from collections.abc import Iterable, Sequence
from html import escape

# What Markdown or GitHub would make something of, mentions and links included.
MARKUP = re.compile(r"[\\`*\[\]|~$@]|(?<![^\W_])_+|_+(?![^\W_])|:(?=[/\w])|#(?=\w)|www\.")
SHOWN = 40  # lines of one table: more stand in the report that the Markdown is made of
LONGEST = 160


def text(words: object) -> str:
    """Return words that Markdown, HTML and mentions leave alone, on one line."""
    return _escaped(words, 3 * LONGEST)


def code(words: object) -> str:
    """Return words as code: a name or a value."""
    return f"<code>{_escaped(words, LONGEST)}</code>"


def _escaped(words: object, most: int) -> str:
    plain = " ".join(str(words).split())
    plain = plain if len(plain) <= most else f"{plain[:most]}…"
    # Marks become entities, which hold & and # themselves: what escape() made is left alone.
    pieces = re.split(r"(&(?:amp|lt|gt);)", escape(plain, quote=False))
    return "".join(p if at % 2 else MARKUP.sub(_entity, p) for at, p in enumerate(pieces))


def _entity(match: re.Match[str]) -> str:
    found = match.group()
    # A zero-width space keeps a name from being mentioned even where entities are decoded first.
    return "".join(f"&#{ord(c)};" for c in found) + ("&#8203;" if found == "@" else "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], whole: str) -> str:
    """Return a table of cells that are Markdown already; `whole` is the file that has all rows."""
    lines = [_line(row) for row in rows]
    rest = len(lines) - SHOWN
    body = [_line(header), "|" + "---|" * len(header), *lines[:SHOWN]]
    more = [f"\n{rest} more stand in {whole}."] if rest > 0 else []
    return "\n".join([*body, *more])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
