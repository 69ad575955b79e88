"""What of the traffic is recorded: which requests, of whom, and which columns of their rows."""

from collections.abc import Callable
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from .segment import Declaration, encode

if TYPE_CHECKING:
    from ..predictor import Predictor

values = msgspec.structs.astuple

# What a segment says of a bundle, and what takes from a row what may be recorded.
Declared: TypeAlias = tuple[bytes, Callable[[Any], tuple[Any, ...]]]


def sampled(request_id: str, share: float) -> bool:
    """Say whether a request is in the sample: always the same for the same id.

    The hash is no other one's: a split of the traffic by the same id must not decide it.
    """
    digest = blake2b(request_id.encode(), digest_size=8, person=b"mlops-log").digest()
    return int.from_bytes(digest) < share * 2**64


def declared(predictor: "Predictor") -> Declared:
    """Return how a bundle is declared, and how its rows are recorded: without personal data."""
    contract, columns = predictor.loaded.contract, predictor.schema.columns
    lookup = predictor.lookup
    declaration = Declaration(
        predictor.bundle_digest,
        contract.task,
        list(contract.labels),
        predictor.threshold,
        [(name, column.type, not contract.is_private(name)) for name, column in columns.items()],
        contract.source.missing,
        {name: column.categories for name, column in columns.items() if column.categories},
        contract.source.decimal,
        list(lookup.names) if lookup is not None else [],
    )
    kept = [i for i, name in enumerate(columns) if not contract.is_private(name)]
    take = _taking(kept, len(columns) + len(predictor.schema.ignored))
    return encode(declaration), take


def _taking(kept: list[int], width: int) -> Callable[[Any], tuple[Any, ...]]:
    if len(kept) == width:
        return values
    if len(kept) > 1:
        chosen = itemgetter(*kept)
        return lambda row: chosen(values(row))
    return lambda row: tuple(values(row)[position] for position in kept)
