"""A transformer that replaces codes of categories by what their rows' targets average to."""

# ruff: noqa: N803 (scikit-learn calls a matrix X)
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

FOLDS = 5


class TargetEncoded(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The matrix with a target encoding in the place of each of `columns`, in float32.

    The encoding is scikit-learn's: the mean target of a category's rows, shrunk towards that of all
    rows (empirical Bayes). A missing value is a category of its own, and a code that no row had is
    encoded as the mean of all. Of more than two `classes` each has an encoding: the first stands in
    the place of the codes, the others after the last column of the matrix.

    `fit_transform` is what a pipeline fits by. It encodes each row by rows of other `folds` alone:
    by its own target among them, a label of few rows would tell it.
    """

    def __init__(self, columns: tuple[int, ...] = (), classes: int = 2) -> None:
        self.columns = columns
        self.classes = classes

    def fit(self, X: Any, y: Any, folds: Any = None) -> Self:
        """Fit the encodings of all rows."""
        self.fit_transform(X, y, folds)
        return self

    def fit_transform(self, X: Any, y: Any, folds: Any = None) -> np.ndarray:
        """Fit the encodings of all rows, and return each row by the encodings of other folds.

        `folds` has a number for each row; None deals the rows out in turn.
        """
        from sklearn.preprocessing import TargetEncoder

        matrix, target = np.asarray(X, np.float32), np.asarray(y)
        self.n_features_in_ = matrix.shape[1]
        assigned = np.arange(len(target)) % FOLDS if folds is None else np.asarray(folds)
        numbers = np.unique(assigned)
        if len(numbers) < 2:
            raise ValueError("a target encoding needs rows with two keys or more")
        cv = [(np.flatnonzero(assigned != n), np.flatnonzero(assigned == n)) for n in numbers]
        every = range(self.classes)
        told = [target] if self.classes <= 2 else [target == number for number in every]
        encoders = [TargetEncoder(target_type="continuous", cv=cv) for _ in told]
        chosen = matrix[:, self.columns]
        crossed = np.stack(
            [
                encoder.fit_transform(chosen, one.astype(np.float64))
                for encoder, one in zip(encoders, told, strict=True)
            ],
            axis=2,
        )
        # Of each column its codes in order, NaN last, and their encodings with that of all others.
        self.codes_ = [np.asarray(codes, np.float32) for codes in encoders[0].categories_]
        self.encodings_ = [
            np.stack([np.append(e.encodings_[at], e.target_mean_) for e in encoders], axis=1)
            for at in range(len(self.columns))
        ]
        return self._placed(matrix, list(crossed.swapaxes(0, 1)))

    def transform(self, X: Any) -> np.ndarray:
        """Return the matrix with the encodings of all rows."""
        matrix = np.asarray(X, np.float32)
        encoded = []
        for column, codes, encodings in zip(
            self.columns, self.codes_, self.encodings_, strict=True
        ):
            asked = matrix[:, column]
            places = np.searchsorted(codes, asked).clip(max=len(codes) - 1)
            known = (codes[places] == asked) | (np.isnan(codes[places]) & np.isnan(asked))
            encoded.append(encodings[np.where(known, places, len(codes))])
        return self._placed(matrix, encoded)

    def _placed(self, matrix: np.ndarray, encoded: list[np.ndarray]) -> np.ndarray:
        """Return the matrix with (rows, classes) encodings of each column in its place."""
        placed = np.hstack([matrix, *(values[:, 1:] for values in encoded)], dtype=np.float32)
        for column, values in zip(self.columns, encoded, strict=True):
            placed[:, column] = values[:, 0]
        return placed
