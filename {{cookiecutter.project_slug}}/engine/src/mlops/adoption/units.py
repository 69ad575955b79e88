"""Units of the amounts in a column, and what one of each is worth in one of them."""

import unicodedata
from collections.abc import Mapping

import pandas as pd

from ..amounts import split

CODES = {"USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "SEK", "NOK", "DKK", "PLN"}
CODES |= {"Rs", "Rs.", "R$", "US$", "A$", "C$", "CA$", "AU$", "kr", "Kr", "zł"}
MAGNITUDES = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "mn": 1e6, "B": 1e9, "b": 1e9, "bn": 1e9}
MAGNITUDES |= {"million": 1e6, "billion": 1e9, "thousand": 1e3, "T": 1e12}
DAY = 86_400.0
_DURATIONS = (
    (("s", "sec", "secs", "second", "seconds"), 1.0),
    (("min", "mins", "minute", "minutes"), 60.0),
    (("h", "hr", "hrs", "hour", "hours"), 3600.0),
    (("d", "day", "days"), DAY),
    (("w", "wk", "wks", "week", "weeks"), 7 * DAY),
    (("mo", "mos", "month", "months"), 365.25 / 12 * DAY),
    (("y", "yr", "yrs", "year", "years"), 365.25 * DAY),
)
DURATIONS = {word: seconds for words, seconds in _DURATIONS for word in words}
BYTES = {f"{letter}B": 1024.0**power for power, letter in enumerate(("", "K", "M", "G", "T"))}
BYTES |= {"kB": 1024.0}


def units_of(counts: pd.Series, decimal: str) -> dict[str, float] | None:
    """Return the factor of each unit where every text is an amount, None where one is not.

    `counts` are the rows of each text. Of several durations, the one that most rows have counts 1.
    Empty for several currencies, which cannot be added up.
    """
    rows: dict[str, int] = {}
    for text, count in counts.items():
        parts = split(str(text), decimal)
        if parts is None or not _is_currency_or_suffix(str(text), parts[1]):
            return None
        rows[parts[1]] = rows.get(parts[1], 0) + int(count)
    if set(rows) == {""}:
        return {"": 1.0}
    named = {unit: count for unit, count in rows.items() if unit}
    if len(named) == 1:
        (unit,) = named
        magnitude = MAGNITUDES.get(_without_currency(unit), 1.0)
        return None if "" in rows and unit.lower() in DURATIONS else {unit: magnitude}
    return _common(rows)


def _common(rows: Mapping[str, int]) -> dict[str, float] | None:
    """Return the factors of several units, None where they are of no family that is known."""
    named = {unit: count for unit, count in rows.items() if unit}
    if len({_currency(unit) for unit in named}) == 1:
        bare = {unit: _without_currency(unit) for unit in named}
        if all(word in MAGNITUDES or not word for word in bare.values()):
            return {unit: MAGNITUDES.get(word, 1.0) for unit, word in bare.items()}
    for family, lower in ((DURATIONS, True), (BYTES, False)):
        worth = {unit: family.get(unit.lower() if lower else unit) for unit in named}
        if "" in rows or None in worth.values():
            continue
        most = worth[max(named, key=lambda unit: named[unit])] or 1.0
        return {unit: (value or 0.0) / most for unit, value in worth.items()}
    if len({unit.lower().rstrip("s.") for unit in named}) == 1:
        return dict.fromkeys(named, 1.0)
    return {} if all(map(_currency, named)) else None


def _is_currency_or_suffix(text: str, unit: str) -> bool:
    """Say whether what stands before the digits is a currency: other letters there make a code."""
    lead = text.strip().lstrip("(+-\u2212 ")
    return not unit or lead[:1].isdigit() or lead[:1] in ".," or bool(_currency(unit))


def _currency(unit: str) -> str:
    """Return the currency that a unit begins with, or nothing."""
    if unicodedata.category(unit[0]) == "Sc":
        return unit[0]
    return max((code for code in CODES if unit.startswith(code)), key=len, default="")


def _without_currency(unit: str) -> str:
    return unit.removeprefix(_currency(unit)).strip()
