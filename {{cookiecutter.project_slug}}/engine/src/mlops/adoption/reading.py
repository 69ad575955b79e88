"""What the cells of a new table mean: numbers with units, and what stands for no value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from ..amounts import split
from ..contract import Column, Source
from ..data import header
from ..data.parsing import NUMBERS, parse, present
from ..data.sources import DataError
from ..progress import progress
from .dates import fewest_bad
from .sentinels import sentinels
from .statistics import KEYS, Statistics, shortened
from .units import units_of

INFINITE = re.compile(r"[+-]?(inf|infinity|\d+(\.\d*)?[eE][+-]?\d+)", re.IGNORECASE)
RARE = 0.01  # share of the rows
FEW = 3  # rows that are rare in a table of any size that has
FEWEST = 40  # of them
DIFFERENT = 12  # numbers beside which a stray text is no label
MOST_STRAYS = 5
SHOWN = 5


@dataclass(frozen=True)
class Reading:
    """How a column is read: its `missing` and `units`, and what is to be checked about it.

    `strays` are the rows, from 0, of texts that stand where all others are numbers or dates.
    """

    missing: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    strays: Mapping[int, str] = field(default_factory=dict)

    def of(self, column: Column) -> Column:
        """Return a column of the contract with this reading declared."""
        if self == Reading() or column.role == "ignored":
            return column
        typed = column.type in ("number", "integer")
        said = "; ".join(filter(None, [column.description, *self.said]))
        return msgspec.structs.replace(
            column,
            missing=list(self.missing),
            units=dict(self.units) if typed else {},
            nullable=column.nullable or (bool(self.missing) and "target" not in column.roles),
            description=said,
        )


def read(
    file: Path, frame: pd.DataFrame, source: Source, named: Sequence[str]
) -> tuple[dict[str, Statistics], dict[str, Reading]]:
    """Return each column as it is meant, amounts as numbers, and its reading.

    `named` columns (an id, a group) are left as they are. Raises DataError for a row that is no
    row of data.
    """
    header.check_rows(file, frame)
    meant: dict[str, Statistics] = {}
    readings: dict[str, Reading] = {}
    for name in progress(frame.columns, "read", total=frame.shape[1]):
        facts = Statistics(str(name), frame[name], source)
        meant[name], readings[name] = (facts, Reading()) if name in named else _meant(facts)
    _check_strays(file, readings)
    return meant, readings


def _meant(facts: Statistics) -> tuple[Statistics, Reading]:
    """Return a column without its strays and sentinels, amounts as numbers, and its reading."""
    if not facts.present or facts.unreadable or facts.boolean:
        return facts, Reading()
    strays, said = list[str](), list[str]()
    units: dict[str, float] = {}
    if facts.written and not facts.numeric:
        strays, kind = _strays(facts)
        rest = facts.counts.drop(strays)
        if kind == "amount":
            units = units_of(rest, facts.source.decimal) or {}
            told = ", ".join(shortened(str(text)) for text in rest.index[:2])
            said.append(f"texts like {told} are read as {_measured(units)}")
    rows = _rows(facts, strays)
    if strays:
        said.append(_said_of(facts, strays, rows))
    column = Column("number" if units else "text", "ignored", missing=strays, nullable=True)
    raw = present(facts.raw, column, facts.source)
    if units:
        raw = parse(raw, msgspec.structs.replace(column, units=units), facts.source).values
        raw = raw.astype("int64") if _is_whole(raw) else raw
    left = facts if raw is facts.raw else Statistics(facts.name, raw, facts.source)
    numbers, more = sentinels(left) if left.numeric else ([], [])
    if numbers:
        column = Column("number", "ignored", missing=numbers, nullable=True)
        raw = present(raw, column, facts.source)
        left = Statistics(facts.name, raw, facts.source)
    return left, Reading((*strays, *numbers), units, (*said, *more), rows)


def _strays(facts: Statistics) -> tuple[list[str], str]:
    """Return the few texts of a column that are not of the kind of all others, and that kind."""
    decimal = facts.source.decimal
    texts = facts.texts
    numeric = texts.str.fullmatch(NUMBERS[decimal]).to_numpy(bool)
    infinite = texts.str.fullmatch(INFINITE).to_numpy(bool) & ~_is_finite(texts, decimal)
    if numeric.any() and (numeric | infinite).all() and infinite.any():
        return [str(text) for text in texts[infinite]], "number"
    odd = [str(text) for text in texts[~numeric | infinite]]
    if _are_rare(facts, odd):
        return odd, "number"
    if not facts.words & KEYS and (others := _no_amounts(facts)) is not None:
        return others, "amount"
    odd = fewest_bad(texts) or []
    return (odd, "date") if _are_rare(facts, odd) else ([], "")


def _no_amounts(facts: Statistics) -> list[str] | None:
    """Return the strays of a column of amounts, those in a rare unit too; None for another."""
    decimal = facts.source.decimal
    if not facts.texts.str.contains(r"\d", regex=True).mean() > 0.5:
        return None
    parts = {str(text): split(str(text), decimal) for text in facts.texts}
    odd = [text for text, part in parts.items() if part is None]
    if (not odd or _are_rare(facts, odd)) and units_of(facts.counts.drop(odd), decimal):
        return odd
    rows: dict[str, int] = {}
    for text, part in parts.items():
        if part is not None:
            rows[part[1]] = rows.get(part[1], 0) + int(facts.counts[text])
    most = max(rows, key=lambda unit: rows[unit], default="")
    odd = [text for text, part in parts.items() if part is None or part[1] not in ("", most)]
    fits = _are_rare(facts, odd) and units_of(facts.counts.drop(odd), decimal)
    return odd if fits else None


def _are_rare(facts: Statistics, odd: list[str]) -> bool:
    """Say whether texts are few enough, beside many of another kind, to be strays."""
    if not odd:
        return False
    rows = int(facts.counts[odd].sum())
    few = rows <= RARE * facts.present or (rows <= FEW and facts.present >= FEWEST)
    many = facts.distinct - len(odd) > DIFFERENT
    codes = facts.texts.str.fullmatch(r"0\d+").any()
    return len(odd) <= MOST_STRAYS and few and many and not codes


def _check_strays(file: Path, readings: Mapping[str, Reading]) -> None:
    """Raise DataError where one row holds texts in columns where all others hold numbers."""
    holds: dict[int, list[str]] = {}
    for name, reading in readings.items():
        for row, text in reading.strays.items():
            holds.setdefault(row, []).append(f"{shortened(text)} in {name}")
    for row, told in sorted(holds.items()):
        if len(told) > 1:
            raise DataError(
                f"{file} row {row + 1} holds {', '.join(told[:SHOWN])}, where all other rows hold "
                "numbers or dates: delete that row from the file, or empty these cells"
            )


def _rows(facts: Statistics, strays: Sequence[str]) -> dict[int, str]:
    """Return the first rows of each stray."""
    if not strays:
        return {}
    texts = facts.values("text")
    where = np.flatnonzero(texts.isin(strays))
    return {int(row): str(texts.iat[int(row)]) for row in where[: 10 * SHOWN]}


def _said_of(facts: Statistics, strays: Sequence[str], rows: Mapping[int, str]) -> str:
    count = int(facts.counts[list(strays)].sum())
    shown = ", ".join(shortened(text) for text in strays[:SHOWN])
    where = ", ".join(str(row + 1) for row in list(rows)[:SHOWN]) + ", …" * (count > SHOWN)
    return f"{shown} in {'row' if count == 1 else 'rows'} {where} is read as missing"


def _measured(units: Mapping[str, float]) -> str:
    one = next((unit for unit, factor in units.items() if factor == 1), "")
    return f"numbers in {one}" if one else "numbers"


def _is_finite(texts: pd.Series, decimal: str) -> np.ndarray:
    plain = texts.str.replace(",", ".") if decimal == "," else texts
    return np.isfinite(pd.to_numeric(plain, errors="coerce").to_numpy(np.float64))


def _is_whole(numbers: pd.Series) -> bool:
    return bool(numbers.notna().all() and (numbers == np.floor(numbers)).all())
