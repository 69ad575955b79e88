"""What a module of verbs is given."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

Arguments: TypeAlias = argparse.Namespace
Run: TypeAlias = Callable[[Arguments], int | None]
Verb: TypeAlias = Callable[[Run, str], argparse.ArgumentParser]  # adds one: its function, its help
