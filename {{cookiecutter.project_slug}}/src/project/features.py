"""Features of this project: conf/features names them under `derived`, with their columns.

A function takes an array for each of its columns and returns one number for each row, NaN where
there is none, or with `@feature(..., width=2)` two. `@feature` says what each column is:

    "number"    float64: numbers, counts, booleans as 0 and 1; NaN is missing
    "datetime"  datetime64[us], in UTC; NaT is missing
    "category"  labels, as objects; None is missing, "" none of the contract's
    "text"      texts, as objects; None is missing

It runs in training, in the gate and in every request, row by row independent: numpy is there,
pandas is not. The engine brings ratio, log1p, elapsed_days, text_ngrams and others (owning.md).
"""

import numpy as np

from mlops.features.functions import Floats, feature


@feature("number", "number")
def per_unit(amount: Floats, units: Floats) -> Floats:
    """Return what one unit costs; missing where there was none."""
    return np.where(units > 0, amount / units, np.nan)
