"""Where a log is shipped to or stands: a folder, or a bucket that fsspec reaches.

A segment is there whole or not at all, under a name that holds its digest.
"""

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from ...errors import ProjectError
from ...files import atomic_file
from ...log_layout import SPOOL

URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
NAME = re.compile(r"([A-Za-z0-9_-]{1,100})/([0-9]{6,20})\.([0-9a-f]{64})\.segment")
# A put of a whole object is all or nothing there, and a rename would be a copy.
WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
BLOCK = 8 << 20  # of a file that is brought
Answer = TypeVar("Answer")


class ShippingError(ProjectError):
    """Segments cannot be brought to where they are to go, or from there."""


class Shipped(NamedTuple):
    """A segment of a process, by the digest of its content."""

    process: str
    number: str
    digest: str

    @classmethod
    def of(cls, process: str, number: str, content: bytes) -> "Shipped":
        """Return the name of a content."""
        return cls(process, number, sha256(content).hexdigest())

    @classmethod
    def read(cls, name: str) -> "Shipped | None":
        """Return what a name below the spool says; None for one that is no segment's."""
        found = NAME.fullmatch(name)
        return cls(*found.groups()) if found else None

    @property
    def name(self) -> str:
        """Return the name below the spool."""
        return f"{self.process}/{self.number}.{self.digest}.segment"

    def is_of(self, content: bytes) -> bool:
        """Say whether it is this content's name."""
        return sha256(content).hexdigest() == self.digest


class Store(Protocol):
    """What a place can do, of segments by their names in the spool; each raises ShippingError."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object, and see that it is there as long as it should be."""

    def get(self, name: str) -> bytes:
        """Return an object."""

    def names(self) -> list[str]:
        """Return the names of what is there, in order."""

    def tables(self, folder: str) -> dict[str, int]:
        """Return the Parquet files below a folder of the place, with their sizes."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file of the place, a few MB at a time."""


def store(url: str) -> Store:
    """Return the place of a URL, or of the path of a folder."""
    found = URL.match(url)
    if found is None:
        return Folder(Path(url) / SPOOL, url)
    if found[1].lower() == "file":
        return Folder(Path(unquote(urlsplit(url).path)) / SPOOL, url)
    return Bucket(url)


class Folder:
    """A folder, such as a volume that is mounted; nothing need be installed for it."""

    def __init__(self, root: Path, url: str) -> None:
        self._root = root
        self._url = url

    def put(self, name: str, content: bytes) -> None:
        """Write an object under another name, have it reach the disk, and rename it."""
        try:
            with atomic_file(self._root / name) as staging:
                staging.write_bytes(content)
                with staging.open("rb") as file:
                    os.fsync(file.fileno())
            size = (self._root / name).stat().st_size
        except OSError as error:
            raise self._failed(error) from error
        _check_size(self._url, name, size, content)

    def get(self, name: str) -> bytes:
        """Return an object."""
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise self._failed(error) from error

    def names(self) -> list[str]:
        """Return the names of what is there; the folder itself must be."""
        try:
            os.scandir(self._root.parent).close()
        except OSError as error:
            raise self._failed(error) from error
        return sorted(p.relative_to(self._root).as_posix() for p in self._root.glob("*/*"))

    def tables(self, folder: str) -> dict[str, int]:
        """Return the Parquet files below a folder of the place; links are not followed."""
        place = self._root.parent
        try:
            return {
                path.relative_to(place).as_posix(): path.lstat().st_size
                for path in sorted((place / folder).rglob("*.parquet"))
                if not path.is_symlink() and path.is_file()
            }
        except OSError as error:
            raise self._failed(error) from error

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file of the place."""
        try:
            with (self._root.parent / name).open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ShippingError:
        return ShippingError(
            f"{self._url} cannot be used ({error.strerror}): correct the folder, or its rights and "
            "room; nothing is lost"
        )


class Bucket:
    """A bucket, or what else fsspec reaches; credentials are those of its environment."""

    def __init__(self, url: str) -> None:
        self._url = URL.match(url)[1].lower() + "://" + url.partition("://")[2]  # type: ignore[index]
        self._scheme = self._url.partition("://")[0]
        self._shown = re.sub(r"//[^/@]*@", "//", self._url)
        try:
            import fsspec

            told = {"use_listings_cache": False, "skip_instance_cache": True}
            self._files, root = fsspec.core.url_to_fs(self._url, **told)
        except ImportError as error:
            raise ShippingError(
                f"{self._scheme}:// needs a package that is not installed ({error.name or error}): "
                "install requirements/ship.txt, which has that of s3://, or gcsfs for gs:// and "
                "adlfs for az://"
            ) from error
        except Exception as error:
            raise self._failed(error) from error
        self._root = f"{root.rstrip('/')}/{SPOOL}"

    def put(self, name: str, content: bytes) -> None:
        """Put a whole object, or rename it to its name where a put may be seen half done."""
        path = f"{self._root}/{name}"
        if self._scheme in WHOLE:
            self._try(lambda: self._files.pipe_file(path, content))
        else:
            folder, _, leaf = path.rpartition("/")
            staging = f"{folder}/.{leaf}.tmp"
            self._try(lambda: self._files.makedirs(folder, exist_ok=True))
            self._try(lambda: self._files.pipe_file(staging, content))
            self._try(lambda: self._files.mv(staging, path))
        _check_size(self._shown, name, self._try(lambda: self._files.size(path)), content)

    def get(self, name: str) -> bytes:
        """Return an object."""
        content: bytes = self._try(lambda: self._files.cat_file(f"{self._root}/{name}"))
        return content

    def names(self) -> list[str]:
        """Return the names of what is there; of a bucket that is there, there may be none."""
        before = len(self._root) + 1
        try:
            found = self._files.find(self._root)
        except FileNotFoundError:
            found = []
        except Exception as error:
            raise self._failed(error) from error
        if not found:  # which a bucket that is missing answers as well
            self._try(lambda: self._files.ls(self._root.partition("/")[0]))
        return sorted(path[before:] for path in found)

    def tables(self, folder: str) -> dict[str, int]:
        """Return the Parquet files below a folder of the place."""
        place = self._root.removesuffix(SPOOL)
        try:
            found = self._files.find(f"{place}{folder}", detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise self._failed(error) from error
        return {
            path[len(place) :]: about["size"]
            for path, about in sorted(found.items())
            if path.startswith(place) and path.endswith(".parquet")
        }

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file; `get_file` of S3 would hold ten blocks of 50 MB."""
        path = f"{self._root.removesuffix(SPOOL)}{name}"
        with self._try(lambda: self._files.open(path, "rb", block_size=BLOCK)) as file:
            while block := self._try(lambda: file.read(BLOCK)):
                yield block

    def _try(self, work: Callable[[], Answer]) -> Answer:
        """Do something there; libraries of clouds raise what they like."""
        try:
            return work()
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ShippingError:
        """Return a sentence that quotes nothing of the error, in which a key may stand."""
        reason, remedy = type(error).__name__, "look at its address and at the network"
        if isinstance(error, FileNotFoundError):
            reason, remedy = "there is none", "make the bucket, or correct the address"
        elif isinstance(error, PermissionError) or "Credential" in reason:
            reason = "access is refused"
            remedy = "correct the credentials in the environment, or their rights"
        return ShippingError(f"{self._shown} cannot be used ({reason}): {remedy}; nothing is lost")


def _check_size(shown: str, name: str, size: Any, content: bytes) -> None:
    if size != len(content):
        raise ShippingError(
            f"{shown} holds {size} of the {len(content)} bytes of {name}: look at its room and run "
            "again; nothing is lost"
        )


def shipped(place: Store) -> Iterator[Shipped]:
    """Yield the segments that are in a place; what is called otherwise is none."""
    for name in place.names():
        found = Shipped.read(name)
        if found is not None:
            yield found
