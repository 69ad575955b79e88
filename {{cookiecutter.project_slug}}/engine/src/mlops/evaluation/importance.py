"""Permutation importance: what the primary metric loses when one feature is shuffled.

Breiman, "Random forests", Machine Learning 45, 2001, section 10; model-agnostic after Fisher,
Rudin and Dominici, "All models are wrong, but many are useful", JMLR 20, 2019.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..contract import Task
from ..metrics import catalogue
from ..metrics.arrays import Array
from ..progress import progress

Predict = Callable[[NDArray[np.float32]], Array]


class Importance(NamedTuple):
    """The mean drop of the metric over the repeats, positive where the feature helps."""

    feature: str
    drop: float
    deviation: float


def importances(
    predict: Predict,
    matrix: NDArray[np.float32],
    target: NDArray[Any],
    features: Mapping[str, Sequence[int]],
    task: Task,
    metric: str,
    rows: int,
    repeats: int,
    seed: int,
    threshold: float = 0.5,
) -> list[Importance]:
    """Return the importance of every feature, the largest drop first.

    `features` are their positions in the matrix: several columns of one are shuffled together.
    Looks at `rows` randomly chosen rows where there are more. Correlated features share what
    they know: each of them alone can look unimportant.
    """
    generator = np.random.default_rng(seed)
    if len(matrix) > rows:
        chosen = np.sort(generator.choice(len(matrix), rows, replace=False))
        matrix, target = matrix[chosen], target[chosen]
    sign = 1 if catalogue.known()[metric].greater_is_better else -1

    def score(predictions: Array) -> float:
        found = catalogue.compute(task, [metric], target, predictions, threshold=threshold)
        return sign * found[metric]

    baseline = score(predict(matrix))
    shuffled = matrix.copy()
    found = []
    for name, places in progress(features.items(), "importance", unit="feature"):
        drops = []
        for _ in range(repeats):
            shuffled[:, places] = generator.permutation(matrix[:, places])
            drops.append(baseline - score(predict(shuffled)))
        shuffled[:, places] = matrix[:, places]
        found.append(Importance(name, float(np.mean(drops)), float(np.std(drops))))
    return sorted(found, key=lambda one: -one.drop)
