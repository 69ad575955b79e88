"""Tables written in awkward ways and adopted: each value that is kept is what was written.

Nothing says how a file is written: the proposal finds it out, says it, or refuses.
`MLOPS_THOROUGH=1 pytest tests/engine/adoption/test_awkward.py` tries 2,000.
"""

import csv
import io
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sweeps import THOROUGH

from mlops.adoption.proposal import Proposal, propose
from mlops.contract import Contract
from mlops.data.sources import frames
from mlops.data.validation import validated
from mlops.errors import ProjectError

EXAMPLES = 2000 if THOROUGH else 8
START = datetime(2019, 3, 1)
LABELS = {
    "ascii": ["red", "dark blue", 'say "no"', "a;b,c|d", "N/A-like", "1st"],
    "latin": ["Zürich", "Orléans", "Malmö", "Łódź", "Płock", "plain"],
}
WORDS = [("true", "false"), ("Yes", "No"), ("T", "F"), ("1", "0"), ("Y", "N")]
FORMS = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y"]
NOTHING = ["", "NA", "null", "NaN", "?"]
Values = dict[str, list[Any]]


class Awkward(NamedTuple):
    """What a table says, and its file."""

    values: Values
    file: bytes
    suffix: str
    encoding: str | None


def awkward(rng: random.Random) -> Awkward:
    """Return a table of a few of these columns, in any order, and the target y."""
    rows = rng.randrange(80, 240)
    made = {name: [draw(rng, row) for row in range(rows)] for name, draw in _columns(rng).items()}
    chosen = rng.sample(sorted(made), k=rng.randrange(3, len(made) + 1))
    words = rng.choice(WORDS[:-2])
    values = {name: made[name] for name in chosen} | {"y": [rng.choice(words) for _ in range(rows)]}
    order = rng.sample(sorted(values), k=len(values))
    values = {name: values[name] for name in order}
    for name in values:
        if name not in ("y", "key", "code") and rng.random() < 0.4:
            values[name] = [None if rng.random() < 0.1 else value for value in values[name]]
    if rng.random() < 0.15:
        return Awkward(values, _parquet(values), "parquet", None)
    encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1250"])
    return Awkward(values, _delimited(rng, values, encoding), "csv", encoding)


def _columns(rng: random.Random) -> dict[str, Callable[[random.Random, int], Any]]:
    digits, labels = rng.randrange(1, 5), rng.choice([*LABELS.values()])
    offset, prefix = rng.choice([1, 4_006_381_333_931, 2**53 + 1]), rng.choice(["c-", "007", "x "])
    return {
        "key": lambda _, row: offset + 3 * row,
        "code": lambda _, row: f"{prefix}{row:05d}",
        "amount": lambda rng, _: round(rng.uniform(-9_000, 90_000), digits),
        "share": lambda rng, _: round(rng.random(), 3),
        "count": lambda rng, _: rng.randrange(0, 4_000),
        "grade": lambda rng, _: rng.choice([1001, 1077, 2050]),
        "label": lambda rng, _: rng.choice(labels),
        "flag": lambda rng, _: rng.random() < 0.5,
        "at": lambda rng, _: START + timedelta(days=rng.randrange(1200)),
    }


def _parquet(values: Values) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(column) for name, column in values.items()}), stream)
    return stream.getvalue()


def _delimited(rng: random.Random, values: Values, encoding: str) -> bytes:
    decimal = rng.choice([".", "."] if encoding != "cp1250" else [".", ","])
    if rng.random() < 0.3:
        decimal = ","
    separator = rng.choice([one for one in ",;|\t" if one != decimal])
    form, words, nothing = rng.choice(FORMS), rng.choice(WORDS), rng.choice(NOTHING)
    spaced = rng.random() < 0.15

    def cell(value: Any) -> str:
        if value is None:
            return nothing
        if isinstance(value, bool):
            text = words[0] if value else words[1]
        elif isinstance(value, float):
            text = repr(value).replace(".", decimal)
        elif isinstance(value, datetime):
            text = value.strftime(form)
        else:
            text = str(value)
        return f"{' ' * rng.randrange(2)}{text}{' ' * rng.randrange(2)}" if spaced else text

    stream = io.StringIO()
    writer = csv.writer(
        stream,
        delimiter=separator,
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        lineterminator=rng.choice(["\n", "\r\n"]),
    )
    writer.writerow(list(values))
    writer.writerows([[cell(value) for value in row] for row in zip(*values.values(), strict=True)])
    return stream.getvalue().encode(encoding)


def adopted(path: Path, table: Awkward) -> Proposal:
    """Return what is proposed for the file of a table."""
    path.write_bytes(table.file)
    encoding = table.encoding if table.encoding == "cp1250" else None  # one of many in a byte
    return propose(path, "y", encoding=encoding)


def read(path: Path, contract: Contract) -> pd.DataFrame:
    """Return the columns that a contract keeps, as `mlops prepare` reads them."""
    kept = [name for name, _ in contract.kept()]
    found = [validated(frame, contract, kept)[0] for frame in frames([path], contract.source, 1000)]
    return pd.concat(found, ignore_index=True)


def differences(found: pd.DataFrame, contract: Contract, values: Values) -> list[str]:
    """Return where what is kept says another thing than what was written."""
    return [
        f"row {row} {name} ({contract.columns[name].type}): {value!r} was read as {held!r}"
        for name in found.columns
        for row, (held, value) in enumerate(zip(found[name], values[name], strict=True), start=1)
        if not _same(held, value)
    ]


TRUE = {True: ("true", "yes", "t", "1", "y"), False: ("false", "no", "f", "0", "n")}


def _same(held: Any, value: Any) -> bool:
    if value is None or pd.isna(held):
        return value is None and bool(pd.isna(held))
    if isinstance(value, bool):
        return str(held).lower().removesuffix(".0") in TRUE[value]
    if isinstance(value, datetime):
        return bool(pd.Timestamp(held) == value)
    if isinstance(value, int):
        return int(held) == value
    return bool(held == value) if isinstance(value, float) else str(held) == value


@pytest.mark.parametrize("part", range(4))
def test_what_was_written_is_adopted(part: int, tmp_path: Path) -> None:
    for seed in range(part, EXAMPLES, 4):
        table = awkward(random.Random(seed))
        path = tmp_path / f"t.{table.suffix}"
        contract = adopted(path, table).contract
        found = read(path, contract)
        assert differences(found, contract, table.values) == [], seed
        assert {"label", "flag", "at"} & set(table.values) <= set(found), seed


def test_a_cell_that_is_read_otherwise_is_seen(tmp_path: Path) -> None:
    table = awkward(random.Random(3))
    path = tmp_path / f"t.{table.suffix}"
    contract = adopted(path, table).contract
    found = read(path, contract)
    for name in found.columns.drop("y"):
        wrong = found.copy()
        wrong[name] = wrong[name].iloc[::-1].to_numpy()
        assert differences(wrong, contract, table.values)


@pytest.mark.parametrize("change", ["a cell less", "a cell more", "the header again"])
def test_a_line_that_does_not_fit_is_refused_by_its_row(change: str, tmp_path: Path) -> None:
    for seed in range(EXAMPLES // 4):
        rng = random.Random(seed)
        table = awkward(rng)
        if table.suffix == "parquet":
            continue
        lines = table.file.decode(str(table.encoding)).splitlines()
        place = rng.randrange(1, len(lines))
        if change == "the header again":
            lines.insert(place, lines[0].removeprefix("\ufeff"))
        else:
            mark = next(one for one in ",;|\t" if one in lines[0])
            more = f"{lines[place]}{mark}7"
            lines[place] = more if change == "a cell more" else lines[0].partition(mark)[0]
        path = tmp_path / "t.csv"
        text = "\n".join(lines) + "\n"
        broken = table._replace(file=text.encode(str(table.encoding)))
        with pytest.raises(ProjectError, match=f"(row|line)s? {place}|header"):
            adopted(path, broken)
