import msgspec
import numpy as np

from mlops.config.settings import Slices
from mlops.contract import Contract
from mlops.evaluation.slices import slices

CONTRACT = msgspec.convert(
    {
        "name": "t",
        "task": "binary",
        "columns": {
            "plan": {"type": "category", "categories": ["a", "b", "never"]},
            "city": {"type": "category", "categories": ["k", "l", "m", "n"]},
            "group": {"type": "category", "categories": ["p", "q"], "role": "group"},
            "sex": {"type": "boolean", "role": "sensitive"},
            "dropped": {"type": "boolean", "role": "ignored"},
            "size": {"type": "number"},
            "y": {"type": "boolean", "role": "target"},
        },
    },
    Contract,
)
COLUMNS = {
    "plan": np.array([0, 0, 0, 1, np.nan, 3]),
    "city": np.zeros(6),
    "group": np.ones(6),
    "sex": np.array([0.0, 1, 1, 1, 1, 1]),
    "size": np.zeros(6),
    "y": np.ones(6),
}


def test_slices_are_the_labels_of_short_declared_columns() -> None:
    found = slices(COLUMNS, CONTRACT, Slices(min_rows=3, max_categories=3))
    assert {part.name: len(part.rows) for part in found} == {
        "plan=a": 3,
        "plan=b": 1,
        "plan=(not declared)": 1,
        "plan=(missing)": 1,
        "group=q": 6,
        "sex=false": 1,
        "sex=true": 5,
    }


def test_only_slices_of_enough_rows_are_judged() -> None:
    found = slices(COLUMNS, CONTRACT, Slices(min_rows=3, max_categories=3))
    assert [part.name for part in found if part.judged] == ["plan=a", "group=q", "sex=true"]
