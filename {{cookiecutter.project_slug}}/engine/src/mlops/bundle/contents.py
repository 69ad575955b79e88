"""A bundle read once: what is parsed later are the very bytes that were verified."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .manifest import MANIFEST, BundleError, unreadable

MAX_BYTES = 1 << 30
MAX_FILES = 100
# A link is not followed, and a pipe not waited for; Windows has neither flag.
FLAGS = os.O_RDONLY | sum(getattr(os, f, 0) for f in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


class Contents(NamedTuple):
    """A verified bundle: the digest that names it, its manifest, and every file by its name."""

    bundle_digest: str
    manifest: dict[str, Any]
    files: Mapping[str, bytes]


def read(folder: Path, expect: str | None = None) -> Contents:
    """Read every file of a bundle and recompute every digest, before anything is parsed.

    The folder itself may be a link, to switch bundles with. Raises BundleError for a manifest
    other than `expect` says, for a file that is missing, added or changed, and for anything that
    is no regular file.
    """
    place = folder.resolve()
    names = _names(folder, place)
    if MANIFEST not in names:
        raise unreadable(folder)
    text = _bytes(place / MANIFEST, MAX_BYTES)
    bundle_digest = hashlib.sha256(text).hexdigest()
    if expect is not None and bundle_digest != expect:
        raise BundleError(
            f"{folder} is bundle {bundle_digest[:12]} and not {expect[:12]}, which is expected: "
            "fetch that one, or change `expect`"
        )
    content = _manifest(folder, text)
    files = {MANIFEST: text}
    wrong = set(names) ^ {MANIFEST, *content["files"]}
    left = MAX_BYTES - len(text)
    for name in (name for name in names if name != MANIFEST and name not in wrong):
        found = _bytes(place / name, left)
        left -= len(found)
        files[name] = found
        if hashlib.sha256(found).hexdigest() != content["files"][name]:
            wrong.add(name)
    if wrong:
        raise BundleError(
            f"{folder} is not what its manifest says ({', '.join(sorted(wrong))}): fetch it again "
            "with `dvc checkout --force`, or rebuild it with `dvc repro`"
        )
    return Contents(bundle_digest, content, files)


def stated(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the digest of a manifest and what it says, be it true or not.

    Raises BundleError where it is none.
    """
    text = _bytes(folder.resolve() / MANIFEST, MAX_BYTES)
    return hashlib.sha256(text).hexdigest(), _manifest(folder, text)


def _names(folder: Path, place: Path) -> list[str]:
    try:
        names = sorted(os.listdir(place))
    except OSError as error:
        raise BundleError(
            f"{folder} is no bundle ({error.strerror}): run `dvc repro`, fetch it with `dvc pull`, "
            "or name another folder"
        ) from error
    if len(names) > MAX_FILES:
        raise BundleError(f"{folder} holds {len(names)} files, and no bundle has so many: fetch it")
    return names


def _bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes."""
    try:
        with os.fdopen(os.open(path, FLAGS), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise BundleError(f"{path} is no regular file: fetch the bundle with `dvc pull`")
            content = stream.read(most + 1)
    except OSError as error:  # a link is refused here
        raise BundleError(
            f"{path} is a link or cannot be read ({error.strerror}): fetch the bundle again with "
            "`dvc pull`"
        ) from error
    if len(content) > most:
        raise BundleError(f"{path.parent} holds more than {MAX_BYTES:,} bytes: fetch it again")
    return content


def _manifest(folder: Path, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
        if not all(isinstance(value, str) for value in dict(content["files"]).values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise unreadable(folder) from error
    return dict(content)
