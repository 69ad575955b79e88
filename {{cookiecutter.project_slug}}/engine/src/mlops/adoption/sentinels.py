"""Numbers that stand for no value: -200, 999, 999999."""

import numpy as np

from .statistics import Statistics

MOST = 3  # in one column
ROWS = 0.002  # share of the rows
FEW = 3
DIFFERENT = 12  # numbers beside which one can be known to lie far off


def sentinels(facts: Statistics) -> tuple[list[str], list[str]]:
    """Return the numbers at an end of a column that stand for no value, and what to check.

    Each is repeated, farther from all others than those are from each other, and written in
    nines, the only one below zero, or the most frequent of all.
    """
    values, counts = np.unique(facts.numbers, return_counts=True)
    rows, total = dict(zip(values, counts, strict=True)), counts.sum()
    found: list[str] = []
    said: list[str] = []
    while len(values) > DIFFERENT and len(found) < MOST:
        chosen = next(
            (
                float(end)
                for end, rest in ((values[-1], values[:-1]), (values[0], values[1:]))
                if rows[end] >= max(FEW, ROWS * total)
                and min(abs(end - rest[-1]), abs(end - rest[0])) > rest[-1] - rest[0]
                and (
                    set(f"{abs(end):.15g}") <= set("9.")
                    or end < 0 <= rest[0]
                    or rows[end] > max(rows[one] for one in rest)
                )
            ),
            None,
        )
        if chosen is None:
            break
        values = values[values != chosen]
        found.append(f"{chosen:.15g}")
        said.append(
            f"{chosen:.15g} in {rows[chosen]:,} rows lies far from {values[0]:.6g} to "
            f"{values[-1]:.6g} and is read as missing"
        )
    if len(values) > DIFFERENT and values[0] < 0 <= values[1] and rows[values[0]] >= FEW:
        said.append(
            f"{values[0]:.15g} in {rows[values[0]]:,} rows is its only number below 0: where it "
            f'means no value, declare `missing: ["{values[0]:.15g}"]`'
        )
    if facts.source.decimal == ",":
        found = [text.replace(".", ",") for text in found]
    return found, said
