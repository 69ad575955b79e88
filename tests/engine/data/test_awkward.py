"""Tables written in awkward ways: each cell is read as what was written, or refused.

What is read is compared with what was written, and with what pyarrow's reader makes of the file.
`MLOPS_THOROUGH=1 pytest tests/engine/data/test_awkward.py` tries 2,000, and 500 of each change.
"""

import csv
import io
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from sweeps import THOROUGH

from mlops.contract import MISSING, Column, Contract, Source
from mlops.data.errors import DataError
from mlops.data.sources import frames
from mlops.data.validation import check_names, refuse, validated

EXAMPLES = 2000 if THOROUGH else 24
CODES = ["1001", "1077", "2050"]
LABELS = ["Zürich", 'say "no"', "a;b,c|d", "plain", "é à", "x\ty"]
WORDS = {True: ["true", "Yes", "1", "T"], False: ["false", "No", "0", "f"]}
FORMATS = [None, "%d.%m.%Y", "%d/%m/%Y %H:%M"]
START = datetime(2020, 1, 1)

Row = dict[str, Any]


class Awkward(NamedTuple):
    """A table, the contract that it keeps, and how its file is written."""

    contract: Contract
    rows: list[Row]
    cells: list[list[str]]
    names: list[str]
    write: Callable[[list[list[str]], list[str]], bytes]


def awkward(rng: random.Random) -> Awkward:
    """Return a table that fits its contract."""
    decimal = rng.choice([".", ","])
    encoding = rng.choice(["utf-8-sig", "utf-8", "latin-1", "cp1252", "utf-16"])
    separator = rng.choice([s for s in ",;|\t" if s != decimal])
    form = rng.choice(FORMATS)
    has_header = rng.random() < 0.7
    columns = {
        "key": Column("integer", role="id"),
        "name": Column("text", role="id"),
        "n": Column("number", nullable=True, min=-1e5, max=1e5),
        "i": Column("integer", nullable=True, min=-1000, max=1000),
        "b": Column("boolean", nullable=True),
        "code": Column("category", nullable=True, categories=CODES),
        "label": Column("category", nullable=True, categories=LABELS),
        "at": Column("datetime", nullable=True, format=form),
        "y": Column("boolean", role="target"),
    }
    order = list(columns)
    rng.shuffle(order)
    header = [] if has_header else order
    source = Source("csv", separator, encoding, decimal, header)  # type: ignore[arg-type]
    contract = Contract("t", "binary", {name: columns[name] for name in order}, source)
    rows = [_row(rng, number) for number in range(rng.randrange(12, 30))]
    cells = [[_cell(rng, name, row[name], contract) for name in order] for row in rows]
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    end = rng.choice(["\n", "\r\n"])
    blank = rng.random() < 0.2

    def write(cells: list[list[str]], names: list[str]) -> bytes:
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end)
        lines = [names, *cells] if has_header else cells
        for line in lines:
            writer.writerow(line)
            stream.write(end * (blank and rng.random() < 0.2))
        text = stream.getvalue()
        return (text if rng.random() < 0.7 else text.rstrip("\r\n")).encode(encoding)

    return Awkward(contract, rows, cells, order, write)


def _row(rng: random.Random, number: int) -> Row:
    row: Row = {
        "key": rng.choice([1, 10**12, 2**61]) + number,
        "name": f"{rng.choice(['é', 'A', '007', 'b c'])}-{number}",
        "n": round(rng.uniform(-1e4, 1e4), rng.randrange(0, 5)),
        "i": rng.randrange(-1000, 1000),
        "b": rng.random() < 0.5,
        "code": rng.choice(CODES),
        "label": rng.choice(LABELS),
        "at": START + timedelta(days=rng.randrange(1000)),
        "y": rng.random() < 0.5,
    }
    return {n: None if n in NULLABLE and rng.random() < 0.15 else v for n, v in row.items()}


NULLABLE = ("n", "i", "b", "code", "label", "at")


def _cell(rng: random.Random, name: str, value: Any, contract: Contract) -> str:
    column = contract.columns[name]
    if value is None:
        text = rng.choice(MISSING)
    elif column.type == "boolean":
        text = rng.choice(WORDS[value])
    elif column.type == "number":
        text = _number(rng, value, contract.source.decimal)
    elif column.type == "datetime":
        text = value.isoformat() if column.format is None else value.strftime(column.format)
    elif name == "code":
        text = value + rng.choice(["", "", f"{contract.source.decimal}0"])
    else:
        text = str(value)
    return f"{' ' * rng.randrange(2)}{text}{' ' * rng.randrange(2)}"


def _number(rng: random.Random, value: float, decimal: str) -> str:
    text = rng.choice([repr(value), f"{value:.6f}", f"{value:e}" if value else "0"])
    if float(text) != value:
        text = repr(value)
    return text.replace(".", decimal)


def scored(path: Path, contract: Contract) -> list[Row]:
    """Return the rows of a file as `mlops predict` reads them; raises DataError."""
    found: list[Row] = []
    kept = [name for name in contract.columns if name != "y"]
    for frame in frames([path], contract.source, 11, absent="y"):
        check_names(frame, contract, required=kept)
        values, findings = validated(frame, contract, kept, strict=False)
        refuse(findings, contract)
        found += values.astype(object).where(values.notna(), None).to_dict("records")
    return found


def differences(found: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Return where what was read is another thing than what was written, and was not said."""
    if len(found) != len(rows):
        return [f"{len(found)} rows of {len(rows)}"]
    return [
        f"row {number} {name}: {row[name]!r} was read as {value!r}"
        for number, (read, row) in enumerate(zip(found, rows, strict=True), start=1)
        for name, value in read.items()
        if not _same(value, row[name]) and not _is_said(name, value)
    ]


def _same(value: Any, written: Any) -> bool:
    if value is None or written is None:
        return value is None and written is None
    if isinstance(written, datetime):
        return bool(pd.Timestamp(value) == pd.Timestamp(written))
    return bool(value == (written.strip() if isinstance(written, str) else written))


def _is_said(name: str, value: Any) -> bool:
    """Say whether a wrong value is one that `mlops predict` counts and prints."""
    if name in ("code", "label"):
        return value is not None and value not in [*CODES, *LABELS]
    return name == "n" and value is not None and abs(value) > 1e5


@pytest.mark.parametrize("part", range(4))
def test_what_was_written_is_read(part: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for seed in range(part, EXAMPLES, 4):
        table = awkward(random.Random(seed))
        path.write_bytes(table.write(table.cells, table.names))
        assert differences(scored(path, table.contract), table.rows) == [], seed


def _drop_cell(rng: random.Random, table: Awkward) -> bytes:
    row = rng.choice(table.cells)
    del row[rng.randrange(len(row))]
    return table.write(table.cells, table.names)


def _add_cell(rng: random.Random, table: Awkward) -> bytes:
    row = rng.choice(table.cells)
    row.insert(rng.randrange(len(row) + 1), rng.choice(["", "7", "x"]))
    return table.write(table.cells, table.names)


def _drop_column(rng: random.Random, table: Awkward) -> bytes:
    place = rng.randrange(len(table.names))
    for row in (*table.cells, table.names):
        del row[place]
    return table.write(table.cells, table.names)


def _turn_columns(rng: random.Random, table: Awkward) -> bytes:
    order = list(range(len(table.names)))
    rng.shuffle(order)
    cells = [[row[place] for place in order] for row in table.cells]
    names = [table.names[place] for place in order]
    return table.write(cells if not table.contract.source.header else [names, *cells], names)


def _repeat_header(rng: random.Random, table: Awkward) -> bytes:
    table.cells.insert(rng.randrange(1, len(table.cells)), list(table.names))
    return table.write(table.cells, table.names)


def _other_decimal(rng: random.Random, table: Awkward) -> bytes:
    place = table.names.index("n")
    decimal = table.contract.source.decimal
    for row in table.cells:
        row[place] = row[place].replace(decimal, "." if decimal == "," else ",")
    return table.write(table.cells, table.names)


def _other_encoding(rng: random.Random, table: Awkward) -> bytes:
    text = table.write(table.cells, table.names).decode(table.contract.source.encoding)
    return text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]))


def _open_quote(rng: random.Random, table: Awkward) -> bytes:
    """Put a quote where a cell begins; inside of one without quotes it is a character."""
    source = table.contract.source
    text = table.write(table.cells, table.names).decode(source.encoding)
    begins = [place + 1 for place, mark in enumerate(text[:-1]) if mark in f"{source.separator}\n"]
    place = rng.choice(begins)
    return f'{text[:place]}"{text[place:]}'.encode(source.encoding)


def _excel(rng: random.Random, table: Awkward) -> bytes:
    encoding = table.contract.source.encoding
    text = table.write(table.cells, table.names).decode(encoding)
    return f"sep={table.contract.source.separator}\r\n{text}".encode(encoding)


def _as_parquet(rng: random.Random, table: Awkward) -> bytes:
    stream = io.BytesIO()
    columns = {name: pa.array([row[name] for row in table.rows]) for name in table.names}
    pq.write_table(pa.table(columns), stream, row_group_size=5)
    return stream.getvalue()


CHANGES = [
    _drop_cell,
    _add_cell,
    _drop_column,
    _turn_columns,
    _repeat_header,
    _other_decimal,
    _other_encoding,
    _open_quote,
    _excel,
    _as_parquet,
]
# What must not be refused: it says the same.
HARMLESS = [_turn_columns, _excel, _as_parquet]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_file_that_does_not_fit_is_read_right_or_refused(
    change: Callable[[random.Random, Awkward], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    refused = 0
    for seed in range(EXAMPLES // 4):
        rng = random.Random(seed)
        table = awkward(rng)
        path.write_bytes(change(rng, table))
        try:
            found = scored(path, table.contract)
        except DataError:
            refused += 1
        else:
            assert differences(found, table.rows) == [], seed
    if change in HARMLESS:
        assert not refused
    elif change in (_drop_cell, _add_cell, _repeat_header):
        assert refused == EXAMPLES // 4


def test_texts_are_those_of_another_reader(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for seed in range(EXAMPLES // 4):
        table = awkward(random.Random(seed))
        source = table.contract.source
        path.write_bytes(table.write(table.cells, table.names))
        ours = pd.concat([part.frame for part in frames([path], source, 7)], ignore_index=True)
        theirs = arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(column_names=source.header, encoding=source.encoding),
            arrow_csv.ParseOptions(delimiter=source.separator, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(table.names, pa.string()), strings_can_be_null=False
            ),
        ).to_pandas()
        theirs.columns = [str(name).removeprefix("\ufeff") for name in theirs.columns]
        for name in table.names:
            stripped = theirs[name].str.strip()
            expected = stripped.mask(stripped.isin(source.missing))
            np.testing.assert_array_equal(ours[name].isna(), expected.isna(), str(seed))
            assert ours[name].dropna().tolist() == expected.dropna().tolist(), seed
