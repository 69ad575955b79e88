"""What a run of `mlops ingest` did to one dataset."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import retention
from .dataset import Dataset


@dataclass
class Ingested:
    """What a run did, or would do where it is `dry`."""

    dataset: Dataset
    rows: int = 0
    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    same: int = 0
    silent: list[str] = field(default_factory=list)  # days without rows, which stay
    ties: int = 0
    expired: list[str] = field(default_factory=list)  # days whose partition was too old
    too_old: int = 0  # rows of the answer
    dry: bool = False

    @property
    def changed(self) -> bool:
        """Whether a file is another one now."""
        return bool(self.written or self.removed)

    def __str__(self) -> str:
        dry = "would be: " * self.dry
        if self.dataset.source.partition is None:
            return f"{dry}{self.rows:,} rows in {self.dataset.folder}"
        counts = f"{len(self.written)} written, {self.same} as they were"
        counts += f", {len(self.removed)} removed" if self.removed else ""
        return f"{dry}{self.rows:,} rows in {self.dataset.folder}: partitions {counts}"

    def notes(self) -> Iterator[str]:
        """Yield what somebody should look at."""
        yield from self._retention()
        if self.silent:
            shown = ", ".join(self.silent[:5]) + (", …" if len(self.silent) > 5 else "")
            yield (
                f"{len(self.silent)} days had no row in the answer and stay ({shown}): where that "
                f"means that they have none, declare `partition.complete` in {self.dataset.file}"
            )
        if self.ties:
            yield (
                f"{self.ties:,} rows have the version of a different row of their key, and the "
                f"last by content stands: correct the versions at the origin of {self.dataset.name}"
            )

    def _retention(self) -> Iterator[str]:
        """Yield what went because of its age, or could not."""
        told = f"`retention` of {self.dataset.file}, {self.dataset.retention}"
        gone = "would be removed" if self.dry else "were removed"
        if self.expired:
            yield (
                f"{len(self.expired)} partitions are older than {told}, and {gone}: "
                f"{retention.shown(self.expired)}"
            )
        if self.too_old:
            yield f"{self.too_old:,} rows of the answer are older than {told}, and were left out"
        if self.dataset.retention and retention.span(self.dataset) is None:
            yield f"{told}, is no span of time like `365 days`: nothing is removed by it"
        own = self.dataset.source.partition is None and self.dataset.source.origin is None
        if self.dataset.retention and own:
            yield f"{told}, is not applied to what a function gives without `source.partition`"
