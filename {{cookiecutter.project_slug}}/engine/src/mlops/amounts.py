"""Numbers written with a unit or with grouped digits: $1,200, 29 %, 36 months, 1.5M."""

import re
from collections.abc import Mapping
from functools import cache

# A unit begins with no digit, mark or sign, and holds no digit.
PREFIX = r"[^\d\s.,:;+\-\u2212()\"'/\\]{1,4}\.?"
SUFFIX = r"[^\d\s.,:;+\-\u2212()\"'/\\][^\d\"]{0,15}"
MARKS = {".": r"[,'\u2019 \u00a0\u202f]", ",": r"[.'\u2019 \u00a0\u202f]"}


def split(text: str, decimal: str) -> tuple[float, str] | None:
    """Return the number that a text writes and its unit ("" without), or None for other texts.

    Digits are grouped by three, with one mark; a number with a leading zero is a code.
    """
    found = _pattern(decimal).fullmatch(text.strip())
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    digits = re.sub(MARKS[decimal], "", found["digits"]).replace(decimal, ".")
    value = float(digits)
    minus = sum(sign in ("-", "\u2212") for sign in (found["sign"], found["inner"]))
    if minus + bool(found["open"]) > 1:
        return None
    unit = (found["prefix"] or "").strip() + (found["suffix"] or "").strip()
    return (-value if minus or found["open"] else value), unit


def number(text: str, units: Mapping[str, float], decimal: str) -> float | None:
    """Return the number that a text means by the factors of `units`, or None where it has none.

    A plain number is taken as it is.
    """
    parts = split(text, decimal)
    if parts is None:
        return None
    value, unit = parts
    factor = units.get(unit) if unit else units.get("", 1.0)
    return None if factor is None else value * factor


@cache
def _pattern(decimal: str) -> re.Pattern[str]:
    mark, point = MARKS[decimal], re.escape(decimal)
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>{mark})\d{{3}}(?:(?P=mark)\d{{3}})*"
    whole = rf"(?:{grouped}|0|[1-9]\d*)"
    return re.compile(
        rf"(?P<open>\()?\s?(?P<sign>[+\-\u2212])?\s?(?P<prefix>{PREFIX}\s?)??"
        rf"(?P<inner>[+\-\u2212])?\s?(?P<digits>{whole}(?:{point}\d*)?|{point}\d+)"
        rf"(?P<suffix>\s?{SUFFIX})?(?P<close>\))?"
    )
