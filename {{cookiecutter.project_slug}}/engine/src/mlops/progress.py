"""Progress on standard error, for what takes more than a few seconds."""

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

# A terminal shows a moving bar; a log gets a line now and then.
EVERY = 0.2 if sys.stderr.isatty() else 15.0


def progress(
    items: Iterable[T] | None = None, title: str | None = None, **options: Any
) -> "tqdm[T]":
    """Return a bar over `items`, or one to `update`, that shows itself after three seconds."""
    return tqdm(items, title, delay=3, mininterval=EVERY, leave=False, **options)
