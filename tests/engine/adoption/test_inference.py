import numpy as np
import pandas as pd
import pytest

from mlops.adoption.inference import bounds, feature, infer
from mlops.adoption.statistics import Statistics, statistics
from mlops.contract import Column, Source
from mlops.data.parsing import parse

CSV = Source(format="csv")
ROWS = 600


def column(values: object, name: str = "x", dtype: str | None = "str") -> Column:
    return feature(Statistics(name, pd.Series(values, dtype=dtype), CSV))


def cycle(*labels: str | None) -> list[str | None]:
    return [labels[row % len(labels)] for row in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (cycle("1.5", "2.5", "9"), Column("number", min=0, max=16.5)),
        (cycle("1", "2", "9"), Column("integer", min=0, max=17)),
        (cycle("130.0", None, "165.0"), Column("integer", nullable=True, min=95, max=200)),
        (cycle("yes", "no"), Column("boolean")),
        (cycle("T", "F", None), Column("boolean", nullable=True)),
        (cycle("b", "a"), Column("category", categories=["a", "b"])),
        (cycle("00712", "01234"), Column("category", categories=["00712", "01234"])),
        (cycle("101", "205", "310"), Column("category", categories=["101", "205", "310"])),
        (cycle("100", "250", "500"), Column("integer", min=0, max=900)),
        (cycle("1999", "2008"), Column("integer", min=1990, max=2017)),
        (cycle("2020-01-01", "2020-01-02"), Column("datetime")),
        (cycle("13/01/2020", "02/01/2020"), Column("datetime", format="%d/%m/%Y")),
        (cycle("vip", None), Column("category", nullable=True, categories=["vip"])),
    ],
)
def test_infers_a_column(values: list[str | None], expected: Column) -> None:
    found = column(values)
    assert found == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (cycle(None), "no value"),
        (cycle("x"), "nothing but 'x'"),
        ([f"the {n} texts" for n in range(ROWS)], "600 different texts in 600 rows"),
        ([f"a {n % 400}" for n in range(ROWS)], "400 different texts in 600 rows"),
        ([str(n) if n % 5 else "abc" for n in range(ROWS)], "numbers beside 'abc'"),
        ([str(n) for n in range(ROWS)], "counts the rows"),
        (
            [f"P{n % 5001}" for n in range(15003)],
            "5,001 different texts in 15,003 rows: a category",
        ),
    ],
)
def test_leaves_out_what_says_nothing(values: list[str | None], reason: str) -> None:
    found = column(values)
    assert found.role == "ignored"
    assert reason in found.reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("product", [f"P{n % 3000}" for n in range(9000)]),
        ("zip", [str(10001 + 7 * (n % 3000)) for n in range(9000)]),
        ("postal_code", [f"0{n % 3000 + 1000}" for n in range(9000)]),
    ],
)
def test_a_code_of_many_labels_is_a_category(name: str, values: list[str]) -> None:
    found = column(values, name)
    assert found.type == "category"
    assert len(found.categories) == 3000


def test_numbers_of_no_code_stay_numbers() -> None:
    values = [str(10001 + 7 * (n % 3000)) for n in range(9000)]
    assert column(values, "mileage").type == "integer"
    few = [str(10001 + 7 * (n % 3000)) for n in range(6000)]
    assert column(few, "zip").type == "integer"


@pytest.mark.parametrize(
    ("name", "step", "counts"),
    [("Unnamed: 0", 2, True), ("seqno", 1, True), ("row", 30, False), ("mileage", 2, False)],
)
def test_a_counter_of_rows_may_have_lost_some(name: str, step: int, counts: bool) -> None:
    gone = [str(n * step - n % step) for n in range(5, ROWS)]
    assert (column(gone, name).reason == "counts the rows") is counts


def test_leaves_out_nested_values() -> None:
    assert column([[1], [2]] * 50, dtype="object").role == "ignored"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("customer_id", [f"C{n:04}" for n in range(ROWS)], "text"),
        ("token", [f"C{n:04}" for n in range(ROWS)], "text"),
        ("PassengerId", [str(n) for n in range(1, ROWS + 1)], "integer"),
        ("account", [str(10**17 + n) for n in range(ROWS)], "text"),
    ],
)
def test_finds_the_id(name: str, values: list[str], kind: str) -> None:
    assert column(values, name) == Column(kind, role="id", unique=True)  # type: ignore[arg-type]


def test_unique_measures_and_small_tables_have_no_id() -> None:
    numbers = np.random.default_rng(0).permutation(5000)[:ROWS]
    assert column([str(n) for n in numbers], "salary").role == "feature"
    assert column(["a", "b", "c"]).role == "feature"


def test_an_identifier_that_repeats_little_is_a_group_and_no_feature() -> None:
    found = column([f"C{n % 200}" for n in range(ROWS)], "customer_id")
    assert found.role == "ignored"
    assert "--group" in found.reason
    many = [f"{100 + n % 12}" for n in range(ROWS)]
    assert column(many, "zone_id").type == "category"


def test_takes_one_id_and_the_roles_that_are_given() -> None:
    frame = pd.DataFrame(
        {
            "a_id": [f"a{n}" for n in range(ROWS)],
            "b_id": [f"b{n}" for n in range(ROWS)],
            "user": cycle("u1", "u2", "u3"),
            "day": cycle("2020-01-01", "2020-02-01"),
            "y": cycle("0", "1"),
        }
    ).astype("str")
    target = Column("category", role="target", categories=["0", "1"])
    found = infer(statistics(frame, CSV), {"y": target}, {"user": "group", "day": "time"})
    assert found["a_id"] == Column("text", role="id", unique=True)
    assert found["b_id"].role == "ignored"
    assert found["user"] == Column("text", role="group")
    assert found["day"] == Column("datetime", role="time")
    assert found["y"] is target
    found = infer(statistics(frame, CSV), {"y": target}, {"b_id": "id"})
    assert found["a_id"].role == "ignored"
    assert found["b_id"].role == "id"
    assert infer(statistics(frame, CSV), {"y": target}, {"user": "id"})["user"].unique is False


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.42, 80], (0, 160)),
        ([0, 512.3], (0, 1030)),
        ([-3, 4], (-10, 11)),
        ([0.001, 0.002], (0, 0.003)),
        ([5, 5], (0, 10)),
        ([0, 0], (0, 1)),
        ([-7.5, -7.5], (-15, 0)),
        ([1e15, 3e15], (0, 5e15)),
        ([1999, 2008], (1990, 2017)),
    ],
)
def test_bounds_leave_room_and_are_tidy(values: list[float], expected: tuple[float, float]) -> None:
    assert bounds(np.array(values, dtype=np.float64)) == expected


def test_every_inferred_column_reads_its_own_cells() -> None:
    rng = np.random.default_rng(1)
    raw = {
        "n": [f"{v:.3f}" for v in rng.normal(size=ROWS)],
        "i": [str(v) for v in rng.integers(-5, 99, ROWS)],
        "c": cycle("a", None, "${x}"),
        "d": cycle("31/01/2020 10:00", "01/02/2020 11:30"),
        "e": cycle("1e3", "2e-3"),
    }
    for name, values in raw.items():
        series = pd.Series(values, dtype="str")
        parsed = parse(series, feature(Statistics(name, series, CSV)), CSV)
        assert not parsed.bad.any(), name


def test_amounts_in_several_currencies_are_named_and_never_an_id() -> None:
    amounts = [f"{'$€'[n % 2]}{1000 + n}" for n in range(60)]
    column = infer(statistics(pd.DataFrame({"amount": amounts}), CSV), {}, {})["amount"]
    assert column.role == "ignored"
    assert "several currencies, like '$1000' and '€1001'" in column.reason
