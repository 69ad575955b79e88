"""Tables, answers and the log in a bucket: fetched before, sent when they are whole."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import fs

from ..data.sources import DataError
from ..log_layout import COUNTS, counted
from .inputs import is_aside

SIGN = "://"
PATIENCE = 15  # seconds
UNREACHED = (OSError, pa.ArrowException, ValueError)


class Bucket(NamedTuple):
    """A place in a bucket; it is reached as the environment says (AWS_ACCESS_KEY_ID and others)."""

    url: str
    system: fs.FileSystem
    path: str

    @classmethod
    def of(cls, url: str) -> "Bucket":
        """Return the place of a URL like s3://bucket/folder; raises DataError for another."""
        try:
            return cls(url, *fs.FileSystem.from_uri(_patient(url.rstrip("/"))))
        except UNREACHED as error:
            raise _unreached(url, error) from error

    def fetch(self, folder: Path) -> Path:
        """Bring the file, or the files below, into a folder and return where they are."""
        place = folder / Path(self.path).name
        try:
            (found,) = self.system.get_file_info([self.path])
            if found.type == fs.FileType.NotFound:
                raise DataError(f"{self.url} does not exist: check the name, and who may read it")
            is_file = found.type == fs.FileType.File
            below = [found] if is_file else self.system.get_file_info(self._everything())
            for one in below:
                name = one.path.removeprefix(self.path).lstrip("/")
                if one.type == fs.FileType.File and not is_aside(name):
                    target = place / name if name else place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    fs.copy_files(one.path, str(target), source_filesystem=self.system)
        except UNREACHED as error:
            raise _unreached(self.url, error) from error
        if not place.is_file():
            place.mkdir(exist_ok=True)  # an empty one, too, is for others to refuse
        return place

    def send(self, file: Path, name: str) -> None:
        """Write a file there under a name, which has it whole or as it was."""
        target = f"{self.path}/{name}" if name else self.path
        try:
            if isinstance(self.system, fs.LocalFileSystem):  # elsewhere it would be an object
                self.system.create_dir(target.rpartition("/")[0])
            fs.copy_files(str(file), target, destination_filesystem=self.system)
        except UNREACHED as error:
            raise _unreached(self.url, error) from error

    def has(self, kind: str, rest: str) -> bool:
        """Say whether a day of a log has a file, like predictions/date=…/REST, or counted it."""
        folder, _, name = rest.rpartition("/")
        try:
            if self._of_days(kind, rest):
                return True
            counts = self._of_days(COUNTS, f"{folder.removeprefix('model=')}.json")
            return any(name in self._counted(path) for path in counts)
        except UNREACHED as error:
            raise _unreached(self.url, error) from error

    def _of_days(self, kind: str, rest: str) -> list[str]:
        """Return the paths of a file that days have."""
        chosen = fs.FileSelector(f"{self.path}/{kind}", allow_not_found=True)
        days = [f"{one.path}/{rest}" for one in self.system.get_file_info(chosen)]
        found = self.system.get_file_info(days) if days else []
        return [one.path for one in found if one.type == fs.FileType.File]

    def _counted(self, path: str) -> dict[str, int]:
        with self.system.open_input_stream(path) as file:
            return counted(file.read()).get("files", {})

    def _everything(self) -> fs.FileSelector:
        return fs.FileSelector(self.path, recursive=True)


class Exchange:
    """What is read from buckets, and what is to be sent to them, in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sent: list[tuple[Path, Bucket]] = []
        self._log: tuple[Path, Bucket] | None = None
        self.notes: list[str] = []

    def given(self, place: str) -> Path:
        """Return where a table can be read."""
        if SIGN not in place:
            return Path(place)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return Bucket.of(place).fetch(folder)

    def out(self, place: str, is_folder: bool) -> Path:
        """Return where answers are written that belong at a place."""
        if SIGN not in place:
            return Path(place)
        folder = self._folder / "out"
        folder.mkdir()
        parent, _, name = place.rstrip("/").rpartition("/")
        self._sent.append((folder, Bucket.of(place if is_folder else parent)))
        return folder if is_folder else folder / name

    def log(self, place: str | None) -> Path | None:
        """Return where is recorded what belongs in a log folder."""
        if place is None or SIGN not in place:
            return place if place is None else Path(place)
        folder = self._folder / "log"
        self._log = folder, Bucket.of(place)
        return folder

    def shown(self, out: Path) -> str:
        """Return what messages call the place of answers."""
        for folder, bucket in self._sent:
            return f"{bucket.url.rstrip('/')}/{out.relative_to(folder).as_posix()}"
        return str(out)

    def send(self) -> None:
        """Send answers, then their lineage, then what the log does not have yet."""
        for folder, bucket in self._sent:
            for path in sorted(_files(folder), key=lambda path: path.suffix == ".json"):
                bucket.send(path, path.relative_to(folder).as_posix())
        folder, log = self._log or (Path(), None)
        for path in _files(folder) if log else ():
            assert log is not None
            name = path.relative_to(folder).as_posix()
            kind, _, rest = name.split("/", 2)
            if log.has(kind, rest):
                self.notes.append(f"{rest} is in {log.url} already, from an earlier run")
            else:
                log.send(path, name)


@contextmanager
def exchanged() -> Iterator[Exchange]:
    """Yield what reaches buckets; everything is sent at the end of the block, and nothing before.

    Its folder is made in TMPDIR, and holds what is read and written.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        exchange = Exchange(Path(folder))
        yield exchange
        exchange.send()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _patient(url: str) -> str:
    """Return a URL for which Google's library gives up in time: it would try for 15 minutes."""
    scheme = url.partition(SIGN)[0].lower()
    if scheme not in ("gs", "gcs") or "retry_limit_seconds" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}retry_limit_seconds={PATIENCE}"


def _unreached(url: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300]
    return DataError(
        f"{url} cannot be reached ({reason}): write s3://BUCKET/PATH, gs:// or abfss://, and have "
        "its credentials in the environment"
    )
