"""The terms of a fitted model that is their sum, beside the file that runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..contract import Task
from ..runtime.model import estimator
from ..runtime.terms import TERMS, TOLERANCE, Terms
from .trees import ebm
from .trees.conversion import layers


def write(fitted: Any, task: Task, names: Sequence[str], folder: Path) -> None:
    """Write terms.json where `fitted` is a sum of terms of the columns `names`, else nothing.

    What is around a sum, a calibration or a transformation, makes another answer of it; so may an
    owner's class, whose answers are compared.
    """
    terms = read(fitted, names)
    if terms is not None and terms.apart(estimator(fitted, task), names, task) <= TOLERANCE:
        (folder / TERMS).write_bytes(msgspec.json.encode(terms) + b"\n")


def read(fitted: Any, names: Sequence[str]) -> Terms | None:
    """Return the terms of an estimator; None where it is no explainable boosting machine alone."""
    found = layers(fitted)
    if found is None or found.trees is not fitted or found.reader is not ebm.read:
        return None
    return ebm.terms(fitted, names)
