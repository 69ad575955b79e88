import pandas as pd
import pytest

from mlops.adoption.statistics import Statistics
from mlops.adoption.target import decide
from mlops.contract import Column, Source, Task
from mlops.data.sources import DataError

CSV = Source(format="csv")


def facts(values: list[object], dtype: str = "str") -> Statistics:
    return Statistics("y", pd.Series(values, dtype=dtype), CSV)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["0", "1", "1"], ["0", "1"]),
        (["1", "-1", "1"], ["-1", "1"]),
        (["yes", "no", "yes"], ["no", "yes"]),
        (["True", "False", "True"], ["False", "True"]),
        (["N", "Y", "Y"], ["N", "Y"]),
        (["neg", "pos", "pos"], ["neg", "pos"]),
        (["no", "maybe", "maybe"], ["no", "maybe"]),
        (["1", "2", "2", "2"], ["2", "1"]),
        (["2", "1", "1", "1"], ["1", "2"]),
        ([">50K", "<=50K", "<=50K"], ["<=50K", ">50K"]),
        (["good", "bad", "good"], ["good", "bad"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_the_positive_label_is_the_last(values: list[object], labels: list[str]) -> None:
    column, task = decide(facts(values))
    assert (task, column) == ("binary", Column("category", role="target", categories=labels))


def test_booleans_of_parquet_are_labels_too() -> None:
    assert decide(facts([True, False], "bool"))[0].categories == ["false", "true"]


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "c"] * 5, "multiclass"),
        (["1", "2", "3"] * 50, "multiclass"),
        (["1.5", "2", "3"] * 50, "regression"),
        ([str(n) for n in range(30)] * 50, "regression"),
        (["1", "2", "3"] * 10, "regression"),
        ([f"{n}.5" for n in range(30)], "regression"),
    ],
)
def test_the_task_follows_from_the_target(values: list[object], task: Task) -> None:
    assert decide(facts(values))[1] == task


def test_the_task_can_be_asked_for() -> None:
    assert decide(facts(["0", "1"] * 9), "regression")[0].type == "integer"
    column, task = decide(facts(["2", "10", "3"] * 3), "multiclass")
    assert (task, column.categories) == ("multiclass", ["2", "3", "10"])


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([None, None], None, "holds no value"),
        (["a"] * 5, None, "nothing to predict"),
        (["2020-01-01", "2020-01-02", "2020-01-05"], None, "dates"),
        ([f"the {n} text" for n in range(50)], None, "free text"),
        ([f"c{n % 1001}" for n in range(9000)], None, "at most 1,000"),
        (["a", "b", "c"], "regression", "needs numbers"),
        (["a", "b", "c"], "binary", "needs two"),
        (["a", "b"], "multiclass", "needs more"),
        (["1.5", "2.5", "3.5"], "multiclass", "fractions"),
    ],
)
def test_refuses_what_cannot_be_predicted(
    values: list[object], task: Task | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        decide(facts(values), task)
