"""Who meets which model: from a key and a salt alone, so that anyone can compute it again."""

from hashlib import blake2b

PLACES = 1 << 64


def place(key: bytes, salt: bytes = b"") -> int:
    """Return where a key falls, from 0 to below 2**64; `hash` would differ between processes.

    Under another salt, keys fall elsewhere, independently. `salt` has at most 64 bytes.
    """
    return int.from_bytes(blake2b(key, digest_size=8, key=salt).digest(), "big")


def edge(share: float) -> int:
    """Return below which place the challenger answers: nobody leaves it while its share grows."""
    return int(share * PLACES)
