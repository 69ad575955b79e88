"""Fingerprints of prepared rows: which rows a holdout holds, without the rows."""

import hashlib
from pathlib import Path

import numpy as np

from ..contract import Contract
from .hashing import row_hash
from .prepared import row_hashes, table

Prints = np.ndarray


def fingerprints(path: Path, contract: Contract) -> Prints:
    """Return uint64 (rows, 2), sorted: a hash of each whole row, and of all of it but the target.

    They depend on names and values alone: not on the order of rows, columns or categories.
    """
    whole = in_order(path, contract)
    names = [name for name, _ in contract.kept() if name != contract.target]
    rest = row_hash(table(path, names), names, "rest")
    order = np.lexsort((rest, whole))
    return np.column_stack([whole[order], rest[order]])


def in_order(path: Path, contract: Contract) -> Prints:
    """Return the hash of each whole row, uint64 (rows,), in the order of the file."""
    names = [name for name, _ in contract.kept()]
    return row_hash(table(path, names), names, "row")


def digest(prints: Prints) -> str:
    """Return the SHA-256 of fingerprints, the same for the same rows in any order."""
    return hashlib.sha256(np.ascontiguousarray(prints, dtype="<u8").tobytes()).hexdigest()


def missing(before: Prints, now: Prints) -> np.ndarray:
    """Return the mask of the rows of `before` that `now` does not hold, equal rows counted.

    Of three equal rows of which two are left, one is missing.
    """
    values, first, counts = np.unique(before[:, 0], return_index=True, return_counts=True)
    present, left = np.unique(now[:, 0], return_counts=True)
    place = np.minimum(np.searchsorted(present, values), max(0, len(present) - 1))
    found = present[place] == values if len(present) else np.zeros(len(values), dtype=bool)
    kept = np.where(found, left[place] if len(present) else 0, 0)
    lost = np.zeros(len(before), dtype=bool)
    for start, gone in zip(first[counts > kept], (counts - kept)[counts > kept], strict=True):
        lost[start : start + gone] = True
    return lost


def holdout_digest(holdout: Path, target: np.ndarray) -> str:
    """Return the SHA-256 that names the rows of a holdout with their targets, in their order."""
    hashes = np.ascontiguousarray(row_hashes(holdout), dtype="<u8")
    found = hashlib.sha256(hashes.tobytes())
    found.update(np.ascontiguousarray(target, dtype="<f8").tobytes())
    return found.hexdigest()
