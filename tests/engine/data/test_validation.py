"""Every broken cell is named by file, row, column and value, all at once."""

from pathlib import Path

import pandas as pd
import pytest

from mlops.contract import Column, Contract, Source
from mlops.data.sources import DataError, Frame, frames
from mlops.data.validation import check_names, refuse, validated

CONTRACT = Contract(
    name="people",
    task="binary",
    source=Source(format="csv"),
    columns={
        "age": Column("integer", min=0, max=120),
        "height": Column("number", nullable=True),
        "city": Column("category", categories=["Bern", "Oslo"]),
        "since": Column("datetime", role="time", format="%d.%m.%Y"),
        "member": Column("boolean"),
        "note": Column("text", role="ignored"),
        "left": Column("boolean", role="target"),
    },
)
GOOD = "31,1.8,Bern,01.02.2024,yes,x,no"


def frame(tmp_path: Path, *rows: str, start: int = 1) -> Frame:
    path = tmp_path / "people.csv"
    path.write_text("\n".join([",".join(CONTRACT.columns), *rows]) + "\n")
    read = next(frames([path], CONTRACT.source))
    return Frame(read.path, start, read.frame)


def test_good_rows_parse_to_the_declared_types(tmp_path: Path) -> None:
    values, findings = validated(frame(tmp_path, GOOD, "0,,Oslo,31.12.2023,0,,1"), CONTRACT)
    assert findings == []
    assert values["age"].tolist() == [31.0, 0.0]
    assert values["height"].isna().tolist() == [False, True]
    assert values["since"].dt.year.tolist() == [2024, 2023]
    assert values["member"].tolist() == [1.0, 0.0]
    assert "note" not in values


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        ("old,1.8,Bern,01.02.2024,yes,x,no", "age", "'old'", "is not a whole number"),
        ("3.5,1.8,Bern,01.02.2024,yes,x,no", "age", "'3.5'", "is not a whole number"),
        ("-1,1.8,Bern,01.02.2024,yes,x,no", "age", "'-1'", "is below the minimum 0"),
        ("121,1.8,Bern,01.02.2024,yes,x,no", "age", "'121'", "is above the maximum 120"),
        (",1.8,Bern,01.02.2024,yes,x,no", "age", "the cell", "is missing"),
        ("31,inf,Bern,01.02.2024,yes,x,no", "height", "'inf'", "is not a number"),
        ("31,1e400,Bern,01.02.2024,yes,x,no", "height", "'1e400'", "is not a number"),
        ("31,1.8,Rome,01.02.2024,yes,x,no", "city", "'Rome'", "is not one of Bern, Oslo"),
        ("31,1.8,Bern,2024-02-01,yes,x,no", "since", "'2024-02-01'", "is not a date or time"),
        ("31,1.8,Bern,31.02.2024,yes,x,no", "since", "'31.02.2024'", "is not a date or time"),
        ("31,1.8,Bern,01.02.2024,maybe,x,no", "member", "'maybe'", "is not true or false"),
        ("31,1.8,Bern,01.02.2024,yes,x,", "left", "the cell", "is missing"),
    ],
)
def test_a_broken_cell_is_found_once(
    tmp_path: Path, row: str, column: str, value: str, reason: str
) -> None:
    _, findings = validated(frame(tmp_path, GOOD, row, start=11), CONTRACT)
    assert [(f.row, f.column, f.value) for f in findings] == [(12, column, value)]
    assert reason in str(findings[0])


def test_all_broken_cells_come_at_once_in_row_order(tmp_path: Path) -> None:
    _, findings = validated(frame(tmp_path, "x,y,z,w,v,u,q", GOOD, "-5,1,Rome,,,,"), CONTRACT)
    assert [f.row for f in findings] == [1] * 6 + [3] * 5


def refusal(tmp_path: Path, *rows: str) -> list[str]:
    _, findings = validated(frame(tmp_path, *rows), CONTRACT)
    with pytest.raises(DataError) as refused:
        refuse(findings, CONTRACT)
    return [line.strip().removeprefix(f"{tmp_path}/") for line in str(refused.value).split("\n")]


def test_a_new_label_is_one_line_with_its_rows_and_what_would_allow_it(tmp_path: Path) -> None:
    rows = [GOOD.replace("Bern", city) for city in ("Bern", *["Rome"] * 30, "Kyiv", "Rome")]
    assert refusal(tmp_path, *rows) == [
        "32 cells break the contract: correct the data, or conf/data/people.yaml",
        "people.csv row 2, column city: 'Rome' is not one of Bern, Oslo, in 31 rows",
        "people.csv row 32, column city: 'Kyiv' is not one of Bern, Oslo",
        "to allow it: city: {categories: [Bern, Oslo, Rome, Kyiv]}",
    ]


def test_numbers_out_of_bounds_are_one_line_with_the_bound_that_would_allow_them(
    tmp_path: Path,
) -> None:
    rows = [f"{age}{GOOD[2:]}" for age in (121, 130, 199, 125, 140, -3)]
    assert refusal(tmp_path, *rows)[1:] == [
        "people.csv row 1, column age: '121' is above the maximum 120, in 5 rows with '130', "
        "'199', '125', …",
        "people.csv row 6, column age: '-3' is below the minimum 0",
        "to allow it: age: {max: 199, min: -3}",
    ]


def test_missing_and_unreadable_cells_have_no_line_that_would_allow_them(tmp_path: Path) -> None:
    said = refusal(tmp_path, "old" + GOOD[2:], GOOD[2:], GOOD[2:])
    assert said[1:] == [
        "people.csv row 1, column age: 'old' is not a whole number",
        "people.csv row 2, column age: the cell is missing, and the column is not nullable, in 2 "
        "rows",
    ]


def test_refusal_counts_all_and_shows_the_first(tmp_path: Path) -> None:
    rows = [GOOD.replace("Bern", f"city {n}") for n in range(30)]
    said = refusal(tmp_path, *rows)
    assert said[0].startswith("30 cells break")
    assert said[20].startswith("people.csv row 20,")
    assert said[21] == "and 10 more"
    assert said[22].startswith("to allow it: city: add city 0, city 1")


def test_without_strict_only_unreadable_cells_count(tmp_path: Path) -> None:
    _, findings = validated(
        frame(tmp_path, "-1,x,Rome,,yes,,"), CONTRACT, ["age", "height", "city"], strict=False
    )
    assert [f.column for f in findings] == ["height"]


def test_undeclared_and_absent_columns_are_named() -> None:
    columns = {name: ["1"] for name in [*CONTRACT.columns, "extra"]}
    del columns["age"]
    table = Frame(Path("p.csv"), 1, pd.DataFrame(columns))
    with pytest.raises(DataError, match="lacks age and has the undeclared extra"):
        check_names(table, CONTRACT)


def test_a_table_to_score_may_have_more_but_not_less() -> None:
    table = Frame(Path("p.csv"), 1, pd.DataFrame({"age": ["1"], "extra": ["1"]}))
    check_names(table, CONTRACT, required=["age"])
    with pytest.raises(DataError, match="lacks city"):
        check_names(table, CONTRACT, required=["age", "city"])
