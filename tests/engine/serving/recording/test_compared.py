"""What two models answered is held against each other, by units and for every task."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from mlops.serving.comparison import Comparison
from mlops.serving.models import Arms
from mlops.serving.predictor import Predictor

ALPHA, MARGIN = 0.05, 0.1
Array = np.ndarray


class Asked(NamedTuple):
    """An answered request."""

    predictor: Predictor
    arms: Arms
    key: bytes | None
    request_id: str
    predictions: Array


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("binary", "`true` are 1 of its answers and 0 of the champion's"),
        ("multiclass", "`x` are 0 of its answers and 1 of the champion's"),
        ("regression", "numbers above"),
    ],
)
def test_every_task_is_compared_by_units(
    make: Callable[..., Predictor], task: str, said: str
) -> None:
    champion, challenger = make(task), make(task, derived=False)
    arms = Arms(challenger, 0.5, 1 << 63, b"a salt")
    low, high = {
        "binary": (0.1, 0.9),
        "multiclass": ([0.5, 0.3, 0.2], [0.1, 0.2, 0.7]),
        "regression": (-1e3, 1e3),
    }[task]

    def asked(at: int, by: Predictor, said: Any) -> Asked:
        return Asked(by, arms, b"%d" % at, "", np.array([said] * 2))

    def told(other: Any, keys: int) -> str:
        compared, found = Comparison(MARGIN, ALPHA, b"a salt"), ""
        for at in range(400):
            by, what = (champion, low) if at % 2 else (challenger, other)
            found = found or compared.count([asked(at % keys, by, what)])
        return found

    assert told(low, 400) == ""
    found = told(high, 400)
    assert said in found
    assert "(drift), and 0.1 may lie between" in found
    # A few who ask again and again tell as much as a few do.
    assert told(high, 6) == ""


def test_what_nobody_drew_is_not_compared(make: Callable[..., Predictor]) -> None:
    champion, challenger = make(), make(derived=False)
    compared = Comparison(MARGIN, ALPHA, b"a salt")
    for arms in (Arms(challenger, None), Arms(), Arms(challenger, 0.5, 1 << 63, b"another")):
        for at in range(400):
            by, what = (champion, 0.1) if at % 2 else (challenger, 0.9)
            assert compared.count([Asked(by, arms, b"%d" % at, "", np.array([what]))]) == ""
