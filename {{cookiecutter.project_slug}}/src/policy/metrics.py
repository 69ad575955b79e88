"""Your metrics, each a function under `@metric`; conf/evaluation and conf/gate call it by its name.

`weights` says how often each row counts: intervals come from drawing the rows again, so leave it
out nowhere. More, and a vectorised one, in engine/docs/gate.md.
"""

import numpy as np
from numpy.typing import NDArray

from mlops.metrics.catalogue import metric


@metric(title="Recall in the top tenth", greater_is_better=True, tasks=["binary"], unit=True)
def recall_in_top_tenth(target: NDArray, predictions: NDArray, weights: NDArray) -> float:
    """Return the share of positive rows among the tenth that the model ranks highest."""
    order = np.argsort(-predictions, kind="stable")
    hits, counted = (target * weights)[order], weights[order]
    within = np.cumsum(counted) <= 0.1 * counted.sum()
    return hits[within].sum() / hits.sum()
