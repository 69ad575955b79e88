import numpy as np
import pandas as pd

from mlops.adoption.deciding import deciding
from mlops.contract import Column

RNG = np.random.default_rng(0)
ROWS = 500


def test_few_columns_that_tell_rows_apart_decide() -> None:
    frame = pd.DataFrame(
        {
            "city": RNG.choice(["a", "b"], ROWS),
            "age": RNG.integers(18, 80, ROWS),
            "income": RNG.normal(size=ROWS),
            "y": RNG.normal(size=ROWS),
        }
    )
    columns = {
        "city": Column("category", categories=["a", "b"]),
        "age": Column("integer"),
        "income": Column("number"),
        "y": Column("number", role="target"),
    }
    assert deciding(frame, columns) == ["income"]
    coarse = frame.assign(income=frame.income.round(1))
    assert deciding(coarse, columns) == ["age", "income", "city"]
    assert deciding(frame, columns | {"income": Column("number", role="ignored")}) == [
        "age",
        "city",
    ]


def test_a_text_decides_only_where_the_rest_does_not() -> None:
    frame = pd.DataFrame({"note": [f"called {n} times" for n in range(ROWS)]})
    frame = frame.assign(income=RNG.normal(size=ROWS), city=RNG.choice(["a", "b"], ROWS))
    columns = {
        "note": Column("text"),
        "income": Column("number"),
        "city": Column("category", categories=["a", "b"]),
    }
    assert deciding(frame, columns) == ["income"]
    assert deciding(frame, columns | {"income": Column("number", role="ignored")}) == ["note"]
    assert deciding(frame[["note"]], {"note": Column("text")}) == ["note"]


def test_where_it_takes_many_all_decide() -> None:
    frame = pd.DataFrame({f"b{n}": RNG.integers(0, 2, 4000) for n in range(12)})
    assert deciding(frame, {name: Column("integer") for name in frame}) == []
