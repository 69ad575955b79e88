"""Contract columns inferred from the cells of a table."""

import math
from collections.abc import Mapping

import numpy as np

from ..contract import Column, Role, Type
from ..progress import progress
from .prose import TOLD, is_prose
from .statistics import KEYS, Statistics, shortened
from .units import units_of

MOST_CATEGORIES = 5000  # labels of one: models encode many of them by the target
FEW_TEXTS = 12  # so few different texts are categories however small the table is
ROWS_A_CATEGORY = 3
FEWEST_ROWS = 20  # in a smaller table it says nothing that all values differ
MOST_CODES = 50
ROWS_A_CODE = 10
LEAST_CODE = 100
NAMES_OF_CODES = {"zip", "zipcode", "postcode", "postal", "postalcode", "plz", "sku"}
SPARSE = 0.25
ROWS_AN_IDENTITY = 20
MANY_IDENTITIES = 50
COUNTERS = {
    "index",
    "idx",
    "row",
    "rownum",
    "rownames",
    "nr",
    "no",
    "obs",
    "unnamed",
    "seq",
    "seqno",
}
COUNTED = 0.1  # of the numbers that a counter by its name passes: rows were taken out since


def infer(
    facts: Mapping[str, Statistics], decided: Mapping[str, Column], roles: Mapping[str, Role]
) -> dict[str, Column]:
    """Return a contract column for each column of the table.

    `decided` are columns that are known already (the target), `roles` what the user gave (id,
    time, group). Without an id among them the first column that looks like one becomes it, and
    the others are left out.
    """
    columns: dict[str, Column] = {}
    key = next((name for name, role in roles.items() if role == "id"), None)
    for name, one in progress(facts.items(), "infer", total=len(facts)):
        if name in decided:
            columns[name] = decided[name]
        elif name in roles:
            columns[name] = _named(one, roles[name])
        else:
            columns[name] = column = feature(one)
            if column.role == "id" and key is not None:
                columns[name] = ignored(_other_id(facts[key]))
            elif column.role == "id":
                key = name
    return columns


def _other_id(key: Statistics) -> str:
    """Say why a column that differs in every row is left out beside the id."""
    if key.unique:
        return f"differs in every row, as {key.name} does, which is the id"
    return (
        f"differs in every row; the id is {key.name}, which has {key.distinct:,} values in "
        f"{key.present:,} rows"
    )


def feature(facts: Statistics) -> Column:
    """Return the column as a feature, as the id of the rows, or as ignored with the reason."""
    if facts.unreadable:
        return ignored("holds lists, bytes or durations")
    if not facts.present:
        return ignored("holds no value")
    if facts.distinct == 1 and not facts.blank:
        return ignored(f"holds nothing but {shortened(facts.texts[0])}")
    if facts.moment is not None:
        return _datetime(facts)
    if facts.boolean:
        return Column("boolean", nullable=facts.blank)
    if not facts.numeric and _in_many_currencies(facts):
        told = " and ".join(shortened(text) for text in facts.texts[:2])
        return ignored(
            f"holds amounts in several currencies, like {told}: convert them to use them"
        )
    if not facts.numeric and _too_many(facts) and is_prose(facts):
        return Column("text", nullable=facts.blank, description=TOLD)
    if (identity := _identity(facts)) is not None:
        return identity
    if facts.numeric and not _is_code(facts):
        low, high = bounds(facts.numbers)
        return Column(_kind(facts), nullable=facts.blank, min=low, max=high)
    return _labelled(facts)


def ignored(reason: str) -> Column:
    """Return a column that is left out, and why."""
    return Column("text", role="ignored", reason=reason)


def bounds(numbers: np.ndarray) -> tuple[float, float]:
    """Return the observed range widened by its width on each side, in tidy figures.

    The lower bound stays 0 where nothing is negative.
    """
    low, high = float(numbers.min()), float(numbers.max())
    width = (high - low) or abs(high) or 1.0
    step = 10.0 ** (math.floor(math.log10(width)) - 1)
    least = math.floor((low - width) / step) * step
    if low >= 0:
        least = max(least, 0.0)
    most = math.ceil((high + width) / step) * step
    # The products above end in digits like ...0001.
    return float(f"{least:.12g}"), float(f"{most:.12g}")


def _named(facts: Statistics, role: Role) -> Column:
    """Return the column in the role that the user gave it, open to tomorrow's values."""
    if role == "time":
        return _datetime(facts, role)
    kind: Type = "integer" if facts.numeric and facts.integral else "text"
    unique = role == "id" and facts.unique
    return Column(kind, role=role, nullable=facts.blank, unique=unique)


def _datetime(facts: Statistics, role: Role = "feature") -> Column:
    form = facts.moment
    text, doubt = (form.text, form.doubt) if form else (None, "")
    return Column("datetime", role=role, nullable=facts.blank, format=text, description=doubt)


def _identity(facts: Statistics) -> Column | None:
    """Return the column as id or ignored where it tells rows (or things) apart, else None."""
    whole = facts.numeric and facts.integral
    if (facts.numeric and not whole) or facts.distinct < FEWEST_ROWS:
        return None
    called = bool(facts.words & KEYS)
    if facts.unique:
        if whole and not called:
            return ignored("counts the rows") if _counts_rows(facts) else None
        if called or not facts.texts.str.contains(r"\s").any():
            kind: Type = "integer" if whole else "text"
            return Column(kind, role="id", unique=True)
    elif called and _repeats_little(facts):
        return ignored(
            f"identifies {facts.distinct:,} things in {facts.present:,} rows: with --group "
            f"{facts.name} each would stay on one side of the split"
        )
    return None


def _in_many_currencies(facts: Statistics) -> bool:
    return facts.written and units_of(facts.counts, facts.source.decimal) == {}


def _counts_rows(facts: Statistics) -> bool:
    first, last, steps = facts.numbers[0], facts.numbers[-1], np.diff(facts.numbers)
    if facts.words and facts.words <= COUNTERS:
        return bool((steps > 0).all()) and len(facts.numbers) >= COUNTED * (last - first + 1)
    return bool((steps == 1).all()) and first in (0, 1)


def _repeats_little(facts: Statistics) -> bool:
    return facts.distinct > MANY_IDENTITIES and facts.present / facts.distinct < ROWS_AN_IDENTITY


def _is_code(facts: Statistics) -> bool:
    """Say whether whole numbers are names: few, often repeated, large, and off any regular grid."""
    if not facts.integral:
        return False
    rows_a_value = facts.present / facts.distinct
    if facts.words & KEYS and facts.distinct <= MOST_CATEGORIES:
        return rows_a_value >= ROWS_AN_IDENTITY
    if facts.words & NAMES_OF_CODES and facts.distinct <= MOST_CATEGORIES:
        return rows_a_value >= ROWS_A_CATEGORY
    values = np.unique(facts.numbers)
    if len(values) > MOST_CODES or rows_a_value < ROWS_A_CODE or values[0] < LEAST_CODE:
        return False
    if values[0] >= 1900 and values[-1] <= 2100:
        return False
    grid = np.gcd.reduce(np.diff(values).astype(np.int64))
    return bool(len(values) / ((values[-1] - values[0]) / grid + 1) < SPARSE)


def _labelled(facts: Statistics) -> Column:
    """Return texts as a category, or as ignored where they hardly repeat."""
    if _too_many(facts):
        odd = facts.odd
        what = f"numbers beside {shortened(odd[0])}" if odd else "texts"
        return ignored(
            f"{facts.distinct:,} different {what} in {facts.present:,} rows: a category has at "
            f"most {MOST_CATEGORIES:,}, and {ROWS_A_CATEGORY} rows or more of each on average"
        )
    return Column("category", nullable=facts.blank, categories=facts.labels)


def _too_many(facts: Statistics) -> bool:
    """Say whether texts are more than categories can be."""
    rows_a_text = facts.present / facts.distinct
    few = facts.distinct <= FEW_TEXTS or rows_a_text >= ROWS_A_CATEGORY
    return facts.distinct > MOST_CATEGORIES or not few


def _kind(facts: Statistics) -> Type:
    return "integer" if facts.integral else "number"
