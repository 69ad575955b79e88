"""What a module of verbs is given, and what several read alike."""

import argparse
from collections.abc import Callable
from datetime import date
from typing import TypeAlias

Arguments: TypeAlias = argparse.Namespace
Run: TypeAlias = Callable[[Arguments], int | None]
Verb: TypeAlias = Callable[[Run, str], argparse.ArgumentParser]  # adds one: its function, its help


def day(text: str) -> date:
    """Read a date like 2026-11-27."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-11-27") from error
