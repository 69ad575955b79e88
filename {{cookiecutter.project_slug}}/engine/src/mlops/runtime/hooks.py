"""`before` and `after` of src/project/serving.py: found, called, and what they return checked.

They see the columns that features see, but for categories, which are labels and not codes.
"""

import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, Self, SupportsInt

import numpy as np

from .. import owner
from ..contract import Contract
from ..errors import ProjectError
from ..features.encoding import Encoder
from ..features.functions import UNDECLARED

MODULE = "project.serving"
FILE = "src/project/serving.py"
TOLERANCE = 1e-6  # that the probabilities of a row may miss 1 by

Columns = Mapping[str, np.ndarray]


class HookError(ProjectError):
    """A function of src/project/serving.py failed, or returned what is no answer."""


class Veto(Exception):  # noqa: N818 (it is no error, but an answer)
    """What `before` raises to refuse a request; its reason is told to the client.

    `row` is the index of the row that it is about.
    """

    def __init__(self, reason: str, row: SupportsInt | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = None if row is None else int(row)


class Before(NamedTuple):
    """The `before` of a project, which may refuse the rows of a request."""

    function: Callable[[dict[str, np.ndarray]], object]
    contract: Contract

    @classmethod
    def find(cls, contract: Contract) -> Self | None:
        """Return it, where the project has one."""
        function = find("before")
        return None if function is None else cls(function, contract)

    def __call__(self, columns: Columns) -> None:
        """Raise Veto where the rows are refused, HookError where that cannot be told."""
        try:
            self.function(shown(columns, self.contract))
        except Veto:
            raise
        except Exception as error:
            _failed("before", error)


class After(NamedTuple):
    """The `after` of a project, which may change the answers."""

    function: Callable[[dict[str, np.ndarray], np.ndarray], Any]
    contract: Contract

    @classmethod
    def find(cls, contract: Contract) -> Self | None:
        """Return it, where the project has one."""
        function = find("after")
        return None if function is None else cls(function, contract)

    def __call__(self, columns: Columns, predictions: np.ndarray) -> np.ndarray:
        """Return what is answered in place of the predictions; raises HookError.

        A row for which the model has no finite number stays as it is, for others to refuse.
        """
        finite = np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1)
        if finite.all():
            return self._changed(columns, predictions)
        answers = predictions.copy()
        if finite.any():
            some = {name: values[finite] for name, values in columns.items()}
            answers[finite] = self._changed(some, predictions[finite])
        return answers

    def _changed(self, columns: Columns, predictions: np.ndarray) -> np.ndarray:
        try:
            returned = self.function(shown(columns, self.contract), predictions.copy())
            answers = np.asarray(returned, dtype=np.float64)
        except Exception as error:
            _failed("after", error)
        if fault := _fault(answers, predictions, self.contract):
            raise HookError(f"`after` of {FILE} {fault}")
        return answers


def answering(
    contract: Contract, encoder: Encoder, predict: Callable[[np.ndarray], np.ndarray]
) -> Callable[[Columns], np.ndarray]:
    """Return what answers columns as they are served: the model, and `after` where there is one."""
    after = After.find(contract)

    def answer(columns: Columns) -> np.ndarray:
        predictions = predict(encoder.matrix(columns))
        if after is None:
            return predictions
        return after({name: columns[name] for name in encoder.inputs}, predictions)

    return answer


def find(name: str) -> Callable[..., Any] | None:
    """Return a function of the owner's serving.py, None where it has none of that name."""
    module = owner.module(MODULE)
    function = getattr(module, name, None)
    if function is not None and not callable(function):
        raise HookError(f"`{name}` of {FILE} is no function: define it with `def {name}(…)`")
    return function


def shown(columns: Columns, contract: Contract) -> dict[str, np.ndarray]:
    """Return columns as owners see them: copies, categories as labels."""
    return {name: _shown(values, contract, name) for name, values in columns.items()}


def _shown(values: np.ndarray, contract: Contract, name: str) -> np.ndarray:
    column = contract.columns[name]
    if column.type != "category":
        return values.copy()
    labels = np.array([*column.categories, UNDECLARED, None], dtype=object)
    codes: np.ndarray = np.where(np.isnan(values), len(labels) - 1, values).astype(np.intp)
    return labels[codes]


def _fault(answers: np.ndarray, predictions: np.ndarray, contract: Contract) -> str:
    """Return what is wrong with the answers, or nothing."""
    if answers.shape != predictions.shape:
        return (
            f"returned the shape {answers.shape} for predictions of {predictions.shape}: return "
            "one answer for each"
        )
    if not np.isfinite(answers).all():
        return "returned what is no finite number: return one for every row"
    if contract.task == "regression":
        return ""
    if answers.min(initial=0) < 0 or answers.max(initial=0) > 1:
        return "returned what is no probability: keep to 0 to 1"
    if contract.task == "multiclass" and np.abs(answers.sum(axis=1) - 1).max(initial=0) > TOLERANCE:
        return "returned probabilities that do not sum to 1 in each row: divide them by their sum"
    return ""


def _failed(name: str, error: Exception) -> NoReturn:
    """Say where a function failed without its message, which may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f.lineno for f in frames if f.filename.replace("\\", "/").endswith(FILE)]
    line = f" in line {places[-1]}" if places else ""
    kind = type(error).__name__
    raise HookError(f"`{name}` of {FILE} raised {kind}{line}: mend it there") from error
