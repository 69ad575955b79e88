"""What a run of `mlops ingest` did to one dataset."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .dataset import Dataset


@dataclass
class Ingested:
    """What a run did."""

    dataset: Dataset
    rows: int = 0
    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    same: int = 0
    silent: list[str] = field(default_factory=list)  # days without rows, which stay
    ties: int = 0

    @property
    def changed(self) -> bool:
        """Whether a file is another one now."""
        return bool(self.written or self.removed)

    def __str__(self) -> str:
        if self.dataset.source.partition is None:
            return f"{self.rows:,} rows in {self.dataset.folder}"
        counts = f"{len(self.written)} written, {self.same} as they were"
        counts += f", {len(self.removed)} removed" if self.removed else ""
        return f"{self.rows:,} rows in {self.dataset.folder}: partitions {counts}"

    def notes(self) -> Iterator[str]:
        """Yield what somebody should look at."""
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
