"""Raw files as frames of at most so many rows, before anything is known about their columns."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from .. import owner
from ..contract import Source
from ..files import atomic_directory
from ..progress import progress
from . import delimited, foreign, header
from .errors import DataError as DataError
from .parsing import is_text

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 200_000
INGESTED = "ingested.parquet"
PARQUET = b"PAR1"
HEAD = 1 << 16  # bytes by which a file is told from another
UNNAMED_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Frame:
    """Consecutive rows of one file; `start` is the number of the first, counted from 1."""

    path: Path
    start: int
    frame: pd.DataFrame


def raw_files(folder: Path) -> list[Path]:
    """Return the visible files below `folder`, of which there have to be some."""
    files = visible(folder)
    if not files:
        from ..git import absence  # which an image, where nothing but given tables is read, lacks

        raise DataError(absence.told(folder, absence.SAMPLE))
    return files


def visible(folder: Path) -> list[Path]:
    """Return the files below `folder` that no dot hides, in the order of their names."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )


def table(folder: Path, paths: Sequence[Path], source: Source) -> Iterator[Frame]:
    """Yield the rows of data/raw: file by file, or as the reader of the project gives them."""
    if source.reader is None:
        yield from frames(paths, source)
        return
    start = 1
    for frame in _asked(source.reader, "source.reader")(folder):
        yield Frame(folder, start, clean(frame, source.missing))
        start += len(frame)


def fetched(
    source: Source, since: date | None = None, until: date | None = None
) -> Generator[pd.DataFrame]:
    """Yield what the project's own function fetches, of the days from `since` to before `until`.

    A function that takes no `since` and `until` is asked for everything.
    """
    function = _asked(str(source.ingest), "source.ingest")
    window = {"since": since, "until": until}
    yield from function(**{name: window[name] for name in takes_window(source)})


def takes_window(source: Source) -> list[str]:
    """Return which of `since` and `until` the project's own function takes."""
    function = getattr(owner.module("project.sources"), str(source.ingest), None)
    if not callable(function):
        return []
    return [name for name in ("since", "until") if name in signature(function).parameters]


def ingest(source: Source, out: Path, since: date | None = None, until: date | None = None) -> int:
    """Write what the project's own function fetches to the folder `out`; return the rows.

    All of it or nothing: where the function fails, what was there stays. Raises DataError where
    the folder holds files that did not come this way.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if source.ingest is None:
        raise DataError(
            "nothing says where the data come from: name a function of src/project/sources.py "
            "as `source: {ingest: …}` in the contract"
        )
    check_own(out)
    rows, writer = 0, None
    with atomic_directory(out) as folder, ExitStack() as opened:
        for frame in progress(fetched(source, since, until), "ingest", unit="frame"):
            try:
                table = pa.Table.from_pandas(frame, preserve_index=False)
                arrow = table.replace_schema_metadata(None)
                if writer is None:
                    writer = pq.ParquetWriter(folder / INGESTED, arrow.schema, compression="zstd")
                    opened.enter_context(writer)
                arrow = arrow.cast(writer.schema)
            except (pa.ArrowException, ValueError) as error:
                reason = " ".join(str(error).split())
                raise DataError(
                    f"what {source.ingest} of src/project/sources.py gave is no table for Parquet "
                    f"({reason}): give every frame the same columns, of one type each"
                ) from error
            writer.write_table(arrow)
            rows += len(frame)
        if not rows:
            raise DataError(f"{source.ingest} gave no rows: what {out} held stays")
    return rows


def check_own(out: Path) -> None:
    """Raise DataError where a folder that is about to be replaced holds anything else."""
    if strangers := [p.name for p in out.glob("*") if p.name != INGESTED]:
        raise DataError(
            f"{out} holds {', '.join(sorted(strangers)[:5])}, which would be replaced: move it away"
        )


def _asked(name: str, key: str) -> Callable[..., Iterable[pd.DataFrame]]:
    """Return a function of src/project/sources.py whose failure is told in a sentence."""
    module = owner.module("project.sources")
    function = getattr(module, name, None)
    if not callable(function):
        raise DataError(
            f"{key} is {name!r}, and src/project/sources.py has no such function: add it there"
        )

    def told(*given: Any, **named: Any) -> Iterator[pd.DataFrame]:
        try:
            for frame in function(*given, **named):
                if not isinstance(frame, pd.DataFrame):
                    raise TypeError(f"it gave {type(frame).__name__}, and no DataFrame")
                yield frame
        except Exception as error:  # whatever a database or a parser raises
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"{name} of src/project/sources.py failed ({reason}): mend it there"
            ) from error

    return told


def frames(
    paths: Sequence[Path], source: Source, rows: int = ROWS, *, absent: str | None = None
) -> Iterator[Frame]:
    """Yield every file of `paths` in frames of at most `rows` rows.

    Cells and names of text are stripped and missing texts are NaN; a CSV has text columns only.
    A Parquet file among CSVs is read as what it is. `absent` is a column that a CSV without a
    header may lack. Raises DataError where a file cannot be read.
    """
    for path in paths:
        start = 1
        try:
            for frame in _frames(path, source, rows, absent):
                yield Frame(path, start, clean(frame, source.missing))
                start += len(frame)
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist: check the name") from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not {source.encoding} text (byte {error.start}): save it again in "
                f"{source.encoding}, or give its encoding in the contract's `source`"
            ) from error
        except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{path} cannot be read as {source.format}: {reason}: correct the file, or the "
                "contract's `source`"
            ) from error


def _frames(path: Path, source: Source, rows: int, absent: str | None) -> Iterator[pd.DataFrame]:
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head.startswith(PARQUET):
        return _parquet(path, rows)
    foreign.check(path, head)
    if source.format == "parquet":
        raise DataError(
            f"{path} is no Parquet, which the contract's `source` declares: save it as Parquet"
        )
    return delimited.frames(path, source, rows, absent)


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Yield frames whose types are those of the file's schema, whatever is missing in each.

    An index that pandas stored is a column like another where it has a name.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        kept = [name for name in schema.names if not UNNAMED_INDEX.fullmatch(name)]
        header.check_names(path, kept)
        for batch in file.iter_batches(batch_size=rows):
            yield exact(batch, kept)


def exact(batch: "pa.RecordBatch", names: Sequence[str]) -> pd.DataFrame:
    """Return the named columns of a batch, whole numbers and booleans that miss some as such."""
    import pyarrow as pa

    return pandas(pa.table([batch.column(name) for name in names], names=list(names)))


def pandas(table: "pa.Table") -> pd.DataFrame:
    """Return a frame whose types are those of the table, whatever is missing."""
    import pyarrow as pa

    whole = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    arrays = [_decoded(column.combine_chunks()) for column in table.columns]
    return pa.table(arrays, names=table.column_names).to_pandas(
        types_mapper=whole.get, ignore_metadata=True
    )


def _decoded(array: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def clean(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Strip names and texts, and turn the texts that mean "no value" into NaN."""
    frame = frame.rename(columns=lambda name: str(name).strip()).reset_index(drop=True)
    cleaned = {}
    for name, column in frame.items():
        column = _typed(column)
        if is_text(column):
            column = column.str.strip()
            column = column.mask(column.isin(missing))
        cleaned[name] = column
    return pd.DataFrame(cleaned, index=frame.index)


def _typed(column: pd.Series) -> pd.Series:
    """Return a column of Python objects or of categories by what the values are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype != object:
        return column
    dtypes = {"string": "str", "boolean": "boolean", "integer": "Int64"}
    dtype = dtypes.get(pd.api.types.infer_dtype(column, skipna=True))
    try:
        return column if dtype is None else column.astype(dtype)
    except OverflowError:  # whole numbers beyond 64 bits
        return column
