"""Whose rows these are: those that the champion was judged on, and those that came since."""

from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.reading import HOLDOUT
from ..contract import Contract
from ..data.fingerprints import Prints, digest, in_order
from ..metrics.arrays import Index


def known_rows(folder: Path, manifest: dict[str, Any]) -> Prints | None:
    """Return the fingerprints of a bundle's holdout; None unless they are the manifest's."""
    path, about = folder / HOLDOUT, manifest["holdout"]
    if not path.is_file() or "digest" not in about:
        return None
    try:
        prints: Prints = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return prints if len(prints) and digest(prints) == about["digest"] else None


def incomparable(before: Contract, today: Contract) -> list[str]:
    """Return the columns without which today's rows cannot be told from those of a contract."""
    kept = dict(today.kept())
    return [n for n, c in before.kept() if n not in kept or kept[n].type != c.type]


def earlier(holdout: Path, contract: Contract, known: Prints) -> Index:
    """Return the places of the rows of a holdout that were known, by a contract of then.

    Of equal rows there are as many as there were: copies of easy rows are new ones.
    """
    values, counts = np.unique(known[:, 0], return_counts=True)
    hashes = in_order(holdout, contract)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    nth = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    place = np.minimum(np.searchsorted(values, ordered), len(values) - 1)
    were = np.where(values[place] == ordered, counts[place], 0)
    return np.sort(order[nth < were])
