"""What can be ingested: the experiment's labelled rows, and each table of conf/tables."""

from dataclasses import dataclass
from pathlib import Path

from ..config.expansion import TABLES, read_table
from ..config.views import Table
from ..contract import Column, Contract, Declared, Source
from ..data.errors import DataError

RAW = Path("data/raw")
FLAGS = ("number", "integer", "datetime")  # types by which versions have an order


@dataclass(frozen=True)
class Dataset(Declared):
    """Declared rows in a folder; `file` is what declares them.

    `retention` is how long they may be kept, by the day of their partition or else of `time`.
    """

    name: str
    file: Path
    folder: Path
    columns: dict[str, Column]
    source: Source
    time_zone: str
    restricted: bool
    retention: str = ""
    time: str | None = None

    @property
    def place(self) -> str:
        """The file that declares it, as messages name it."""
        return self.file.as_posix()

    @property
    def zone(self) -> str:
        """The time zone of datetimes without an offset."""
        return self.time_zone

    @property
    def key(self) -> list[str]:
        """The columns that say which row is which; none where nothing does."""
        if self.source.partition is not None and self.source.partition.key:
            return self.source.partition.key
        return [name for name, column in self.columns.items() if "id" in column.roles]


def of_contract(contract: Contract, folder: Path = RAW) -> Dataset:
    """Return the labelled rows of an experiment; raises DataError for an odd partition."""
    columns = {name: column for name, column in contract.columns.items() if not column.view}
    file = Path("conf/data", f"{contract.name}.yaml")
    return _checked(
        Dataset(
            "data",
            file,
            folder,
            columns,
            contract.source,
            "UTC",
            contract.restricted,
            contract.retention,
            contract.time,
        )
    )


def of_table(table: Table) -> Dataset:
    """Return the rows of a table of conf/tables; raises DataError for an odd partition."""
    file = Path("conf", TABLES, f"{table.name}.yaml")
    return _checked(
        Dataset(
            table.name,
            file,
            table.folder,
            table.columns,
            table.source,
            table.time_zone,
            table.restricted,
            table.retention,
            table.event_time,
        )
    )


def tables(conf: Path) -> list[Table]:
    """Return every declared table, in the order of their names."""
    return [read_table(conf, path.stem) for path in sorted((conf / TABLES).glob("*.yaml"))]


def _checked(dataset: Dataset) -> Dataset:
    partition = dataset.source.partition
    if partition is None:
        return dataset
    named = [partition.by, *partition.key, *filter(None, [partition.version])]
    if unknown := [name for name in named if name not in dataset.columns]:
        raise DataError(
            f"`partition` of {dataset.file} names {unknown[0]!r}, which is no column: declare it "
            "in `columns`, or correct the name"
        )
    if dataset.columns[partition.by].type != "datetime":
        raise DataError(
            f"`partition.by` of {dataset.file} is {partition.by!r}, which is no datetime: name a "
            "column that says when"
        )
    if partition.version and dataset.columns[partition.version].type not in FLAGS:
        raise DataError(
            f"`partition.version` of {dataset.file} is {partition.version!r}, whose values have no "
            "order: name a number or a datetime"
        )
    return dataset
