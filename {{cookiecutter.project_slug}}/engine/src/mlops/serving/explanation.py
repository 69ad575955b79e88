"""Why a row is answered as it is: a share of the answer for each feature.

Shapley values by sampled permutations (Castro, Gomez and Tejada 2009; Strumbelj and Kononenko
2014). Walking from a background row to the row asked about, one feature after another takes the
value of the row; what the answer moves by is credited to the feature. Every background row is
walked from equally often, and every permutation also in reverse, which makes the result exact
where features act alone or in pairs, and the shares of a row sum to its answer less the base.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..contract import Task
from ..runtime.terms import Terms

SEED = 0
PAIRS = 8  # permutations and their reverses, for each background row
POINTS = 8192  # rows of the matrix that one explanation may ask the model about
CELLS = 1 << 20  # of the matrix of one call of the model: 4 MiB
TINY = 1e-7  # float32 cannot tell what is nearer to certain: it counts as this near

Scale = Literal["log_odds", "centred_log_probability", "prediction", "log_prediction"]
SCALES: dict[Task, Scale] = {
    "binary": "log_odds",
    "multiclass": "centred_log_probability",
    "regression": "prediction",
}


class Explanation(NamedTuple):
    """One answered row on the scale of its task.

    `output` is the answer and `base` the mean answer of the background; `contributions`
    (features,) sum to their difference. `errors` are the standard errors of sampling, NaN where
    one permutation a background row allows no estimate. `label` is the code of the class that
    is explained: the last of a binary model, the likeliest of a multiclass one.
    """

    label: int | None
    base: float
    output: float
    contributions: np.ndarray
    errors: np.ndarray


class Summed:
    """Explains rows of a model that is a sum of terms: each contribution is exact.

    `base` is the intercept. What is explained of a multiclass model is the class that `predict`
    finds likeliest.
    """

    def __init__(
        self,
        terms: Terms,
        predict: Callable[[np.ndarray], np.ndarray],
        task: Task,
        names: Sequence[str],
    ) -> None:
        self._terms = terms
        self._predict = predict
        self._task = task
        self._names = names
        self.scale: Scale = "log_prediction" if terms.link == "exp" else SCALES[task]

    def explain(self, row: np.ndarray) -> Explanation:
        """Explain one row (features,) of the matrix by its terms, in their order."""
        values = row.astype(np.float64)[:, np.newaxis]
        column = 0
        if self._task == "multiclass":
            column = int(self._predict(row[np.newaxis])[0].argmax())
        found = self._terms.contributions(dict(zip(self._names, values, strict=True)))
        contributions, base = found[0, :, column], float(self._terms.base[column])
        return Explanation(
            label={"regression": None, "binary": 1}.get(self._task, column),
            base=base,
            output=base + float(contributions.sum()),
            contributions=contributions,
            errors=np.zeros(len(contributions)),
        )


class Explainer:
    """Explains rows of one model against background rows (rows, features).

    Which permutations are drawn depends on `seed` and the background alone: a row gets the same
    explanation whatever is asked beside it. `places` are the columns of each feature, where some
    have several: they take the row's values together, and have one contribution.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        task: Task,
        background: np.ndarray,
        places: Sequence[Sequence[int]] = (),
        *,
        pairs: int = PAIRS,
        points: int = POINTS,
        seed: int = SEED,
    ) -> None:
        self._predict = predict
        self._task = task
        self._background = background
        rows, features = len(background), len(places) or background.shape[1]
        self._of = np.repeat(np.arange(features), [*map(len, places)] if places else 1)
        self._features = features
        self.pairs = max(1, min(pairs, points // max(1, 2 * rows * (features - 1))))
        generator = np.random.default_rng(seed)
        order = np.tile(np.arange(features), (rows * self.pairs, 1))
        drawn = generator.permuted(order, axis=1)
        # Walk 2i + 1 is walk 2i in reverse; walks of a background row stand together.
        walks = np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, features)
        self._position = np.argsort(walks, axis=1)  # of each feature in its walk
        self._start = np.repeat(np.arange(rows), 2 * self.pairs)
        self._ground = self._outputs(background)

    def explain(self, row: np.ndarray) -> Explanation:
        """Explain one row (features,) of the matrix."""
        ends = self._outputs(row[np.newaxis])[0]
        column = int(ends.argmax()) if self._task == "multiclass" else 0
        ground, end = self._ground[:, column], float(ends[column])
        samples = self._samples(row, column, ground, end)
        rows, features = len(self._background), self._features
        # (background row, pair, feature): a pair of walks is one draw of lower variance
        draws = samples.reshape(rows, self.pairs, 2, features).mean(axis=2)
        spread = (
            draws.var(axis=1, ddof=1) / self.pairs
            if self.pairs > 1
            else np.full((rows, features), np.nan)
        )
        return Explanation(
            label={"regression": None, "binary": 1}.get(self._task, column),
            base=float(ground.mean()),
            output=end,
            contributions=draws.mean(axis=(0, 1)),
            errors=np.sqrt(spread.sum(axis=0)) / rows,
        )

    def _samples(self, row: np.ndarray, column: int, ground: np.ndarray, end: float) -> np.ndarray:
        """Return what each step of each walk moved the answer by, (walks, features)."""
        walks, features = self._position.shape
        block = max(1, CELLS // max(1, len(self._of) * (features - 1)))
        samples = np.empty((walks, features))
        for first in range(0, walks, block):
            part = slice(first, first + block)
            samples[part] = self._moves(row, column, ground, end, part)
        return samples

    def _moves(
        self, row: np.ndarray, column: int, ground: np.ndarray, end: float, part: slice
    ) -> np.ndarray:
        position, start = self._position[part], self._start[part]
        count, features = position.shape
        taken = position[:, np.newaxis, :] < np.arange(1, features)[:, np.newaxis]
        if len(self._of) > features:
            taken = taken[:, :, self._of]
        points = np.where(taken, row, self._background[start][:, np.newaxis, :])
        answers = np.empty((count, features + 1))
        answers[:, 0], answers[:, -1] = ground[start], end
        if features > 1:
            flat = points.reshape(-1, len(self._of))
            answers[:, 1:-1] = self._outputs(flat)[:, column].reshape(count, features - 1)
        return np.take_along_axis(np.diff(answers, axis=1), position, axis=1)

    def _outputs(self, matrix: np.ndarray) -> np.ndarray:
        """Return the answers on the scale on which contributions add up, (rows, 1 or classes)."""
        answers = self._predict(np.ascontiguousarray(matrix, dtype=np.float32))
        if self._task == "regression":
            return answers[:, np.newaxis]
        if self._task == "binary":
            kept = np.clip(answers, TINY, 1 - TINY)
            return np.log(kept / (1 - kept))[:, np.newaxis]
        logs = np.log(np.maximum(answers, TINY))
        return logs - logs.mean(axis=1, keepdims=True)
