"""The terms of a model that adds them up: what each adds to the answer for a row, exactly.

Generalised additive models with pairs: Lou, Caruana, Gehrke and Hooker, "Accurate intelligible
models with pairwise interactions", KDD 2013. A term is a table of scores by the bins of one
feature, or of several.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from ..contract import Contract, Task
from ..errors import ProjectError
from .model import Predict, farthest

TERMS = "terms.json"
JOINED = " & "
BLOCK = 4096  # bins of several features that the model is asked about at once
TOLERANCE = 1e-5  # between sums of terms and the model's answers, relative above 1

Link = Literal["logistic", "softmax", "identity", "exp"]
LINKS: Mapping[Task, tuple[Link, ...]] = {
    "binary": ("logistic",),
    "multiclass": ("softmax",),
    "regression": ("identity", "exp"),
}
Columns = Mapping[str, np.ndarray]


class TermsError(ProjectError):
    """The terms of a model cannot be read, or are not what the model adds up."""


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """One feature of a term, a column of the matrix: a number by `edges`, or a category by `codes`.

    Its bins are that of a missing value, that below the first edge, and one from each edge to below
    the next; of codes, that of a missing value, one of each code, and that of every other.
    """

    feature: str
    edges: list[float] | None = None
    codes: list[float] | None = None

    def __post_init__(self) -> None:
        if (self.edges is None) == (self.codes is None):
            raise ValueError(f"{self.feature} has either edges or codes")
        if not all(map(math.isfinite, self.steps)) or any(a >= b for a, b in pairwise(self.steps)):
            raise ValueError(f"what divides {self.feature} is finite and in order")

    @cached_property
    def steps(self) -> np.ndarray:
        """The edges, or the codes."""
        return np.asarray(self.codes if self.edges is None else self.edges, np.float64)

    @property
    def size(self) -> int:
        """How many bins there are."""
        return len(self.steps) + 2

    def bins(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value."""
        if self.codes is None:
            found = np.searchsorted(self.steps, values, side="right") + 1
        else:
            place = np.searchsorted(self.steps, values)
            known = np.append(self.steps, np.nan)[place] == values
            found = np.where(known, place, len(self.steps)) + 1
        found[np.isnan(values)] = 0
        return found

    def values(self) -> np.ndarray:
        """Return a float32 value for each bin, of the nearest bin where none lies in it."""
        steps = self.steps.astype(np.float32)
        if self.codes is None:
            below = np.nextafter(np.append(steps, np.float32(0))[:1], np.float32(-np.inf))
            above = np.nextafter(steps, np.float32(np.inf))
            return np.concatenate([[np.nan], below, above]).astype(np.float32)
        other = steps.max(initial=-1) + 1
        return np.concatenate([[np.nan], steps, [other]]).astype(np.float32)


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """One or more features, and for each class the scores of their bins.

    A binary classifier and a regression have one list of scores. Of several features the bins of
    the last one follow each other.
    """

    axes: list[Axis]
    scores: list[list[float]]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ValueError("a term has a feature")
        cells = math.prod(axis.size for axis in self.axes)
        if any(len(scores) != cells for scores in self.scores):
            raise ValueError(f"{self.name} has {cells} bins, and as many scores of each class")
        if not np.isfinite(self.scores).all():
            raise ValueError(f"a score of {self.name} is a finite number")

    @property
    def name(self) -> str:
        """Its features: `a`, or `a & b`."""
        return JOINED.join(axis.feature for axis in self.axes)

    @cached_property
    def table(self) -> np.ndarray:
        """The scores, with a dimension for each feature and the classes last.

        Those of several classes are centred: only how they differ changes an answer.
        """
        shape = [axis.size for axis in self.axes]
        return _centred(np.asarray(self.scores).T).reshape(*shape, len(self.scores))

    def contributions(self, columns: Columns) -> np.ndarray:
        """Return what the term adds for each row, (rows, 1 or classes)."""
        place = tuple(axis.bins(columns[axis.feature]) for axis in self.axes)
        found: np.ndarray = self.table[place]
        return found


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a model adds up: `intercept`, one number or one of each class, and its terms.

    The `link` leads from the sum to the answer: from log-odds (logistic), from log-probabilities up
    to a constant (softmax), from the number itself (identity) or its logarithm (exp).
    """

    link: Link
    intercept: list[float]
    terms: list[Term]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.intercept)):
            raise ValueError("an intercept is a finite number")
        if any(len(term.scores) != len(self.intercept) for term in self.terms):
            raise ValueError("a term has scores for each intercept")

    @cached_property
    def base(self) -> np.ndarray:
        """The intercepts, (1 or classes,), centred as scores are."""
        return _centred(np.asarray(self.intercept))

    @property
    def features(self) -> set[str]:
        """The columns of the matrix that terms ask for."""
        return {axis.feature for term in self.terms for axis in term.axes}

    def contributions(self, columns: Columns) -> np.ndarray:
        """Return what each term adds for each row, float64 (rows, terms, 1 or classes)."""
        rows = len(next(iter(columns.values())))
        found = np.empty((rows, len(self.terms), len(self.intercept)))
        for place, term in enumerate(self.terms):
            found[:, place] = term.contributions(columns)
        return found

    def answers(self, columns: Columns) -> np.ndarray:
        """Return the answer for each row, in the shape of runtime.model.Model.predict."""
        raw = self.contributions(columns).sum(axis=1) + self.base
        with np.errstate(over="ignore"):
            match self.link:
                case "logistic":
                    return 1 / (1 + np.exp(-raw[:, 0]))
                case "softmax":
                    grown = np.exp(raw - raw.max(axis=1, keepdims=True))
                    return grown / grown.sum(axis=1, keepdims=True)
                case "exp":
                    return np.exp(raw[:, 0])
                case "identity":
                    return raw[:, 0]

    def apart(self, predict: Predict, names: Sequence[str], task: Task) -> float:
        """Return how far the answers are from those of a model, asked for every bin."""
        found = []
        with np.errstate(all="ignore"):  # what overflows is far apart
            for matrix in self._rows(names):
                answers = self.answers(dict(zip(names, matrix.T.astype(np.float64), strict=True)))
                found.append(farthest(answers, predict(matrix), task))
        return float(np.max(found))

    def _rows(self, names: Sequence[str]) -> Iterable[np.ndarray]:
        """Yield matrices that stand in every bin of every feature, and of every pair."""
        alone: dict[str, np.ndarray] = dict.fromkeys(names, np.zeros(1, np.float32))
        for axis in (axis for term in self.terms for axis in term.axes):
            alone[axis.feature] = np.concatenate([alone[axis.feature], axis.values()])
        rows = max(map(len, alone.values()))
        yield np.stack([np.resize(alone[name], rows) for name in names], axis=1)
        for term in (term for term in self.terms if len(term.axes) > 1):
            shape = [axis.size for axis in term.axes]
            cells = math.prod(shape)
            asked = np.unique(np.linspace(0, cells - 1, min(cells, BLOCK)).astype(np.int64))
            places = np.unravel_index(asked, shape)
            told = {n: np.resize(alone[n], len(asked)) for n in names}
            for axis, place in zip(term.axes, places, strict=True):
                told[axis.feature] = axis.values()[place]
            yield np.stack([told[name] for name in names], axis=1)


def parsed(
    content: bytes | None, contract: Contract, names: Sequence[str], predict: Predict
) -> Terms | None:
    """Return the terms of a bundle's file; None where it has none.

    Raises TermsError for those that `predict`, for a matrix of the columns `names`, does not add
    up.
    """
    if content is None:
        return None
    try:
        terms = msgspec.json.decode(content, type=Terms)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise TermsError(f"{TERMS} cannot be read ({reason}): run `dvc repro`") from error
    if fault := _contradiction(terms, contract, names, predict):
        raise TermsError(f"{TERMS} {fault}: rebuild the bundle with `dvc repro`")
    return terms


def load(folder: Path, contract: Contract, names: Sequence[str], predict: Predict) -> Terms | None:
    """Return the terms of a folder (model/ or a bundle) as `parsed` does."""
    path = folder / TERMS
    content = path.read_bytes() if path.is_file() else None
    return parsed(content, contract, names, predict)


def _contradiction(
    terms: Terms, contract: Contract, names: Sequence[str], predict: Predict
) -> str | None:
    """Return what of the terms is not as contract, features or model have it."""
    if terms.link not in LINKS[contract.task]:
        return f"has the link {terms.link}, and the task is {contract.task}"
    wanted = len(contract.labels) if contract.task == "multiclass" else 1
    if len(terms.intercept) != wanted:
        return f"has scores of {len(terms.intercept)} classes, and the contract of {wanted}"
    if unknown := sorted(terms.features - set(names)):
        return f"asks for {', '.join(unknown)}, which is no feature"
    try:
        far = terms.apart(predict, names, contract.task)
    except ProjectError:
        raise
    except Exception as error:  # whatever a model that takes other rows raises
        return f"and the model do not belong together ({type(error).__name__})"
    if not far <= TOLERANCE:
        return f"does not add up to what the model answers (up to {far:.2g} away)"
    return None


def _centred(scores: np.ndarray) -> np.ndarray:
    """Return scores less their mean over the classes, the last dimension, where there are some."""
    return scores - scores.mean(axis=-1, keepdims=True) if scores.shape[-1] > 1 else scores
