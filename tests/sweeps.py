"""Sweeps: many cases of one kind, of which a test run takes a few unless it is to be thorough."""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

THOROUGH = bool(os.environ.get("MLOPS_THOROUGH"))
thorough = pytest.mark.skipif(not THOROUGH, reason="takes minutes: MLOPS_THOROUGH=1 runs it")
Case = TypeVar("Case")


def some(cases: Sequence[Case], every: int) -> list[Case]:
    """Return each `every`-th case from the first on, and all of them with MLOPS_THOROUGH=1."""
    return list(cases if THOROUGH else cases[::every])
