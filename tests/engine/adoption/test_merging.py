from pathlib import Path

import pytest

from mlops.adoption.declaration import contract_text, unedited
from mlops.adoption.merging import Merged, merge
from mlops.contract import Column, Contract, ContractError, Source

PATH = Path("conf/data/t.yaml")
TARGET = Column("category", role="target", categories=["no", "yes"])
AGE = Column("integer", min=0, max=140)
CITY = Column("category", categories=["Kyiv", "Oslo"])


def contract(target: str = "y", **columns: Column) -> Contract:
    return Contract("t", "binary", {**columns, target: TARGET}, Source(format="csv"))


def text(of: Contract) -> str:
    return contract_text(of, "t.csv", 9)


BASE = text(contract(age=AGE, city=CITY))
EDITED = BASE.replace("max: 140", "max: 99")
NOW = contract(age=Column("integer", min=0, max=200), city=Column("category", categories=["Lima"]))


def merged(edited: str = EDITED, base: str | None = BASE, now: Contract = NOW) -> Merged:
    return merge(PATH, edited, base, now)


def test_edits_stay_and_the_rest_follows_the_table() -> None:
    found, told = merged()
    assert (found.columns["age"].max, found.columns["city"].categories) == (99, ["Lima"])
    assert told == ("kept as edited: age: max 99, where the table says 200",)


def test_without_a_base_all_that_differs_stays_and_is_said() -> None:
    found, told = merged(base=None)
    assert found.columns["city"] == CITY
    assert told == (
        "kept as edited: age: max 99, where the table says 200",
        "kept as edited: city: categories ['Kyiv', 'Oslo'], where the table says ['Lima']",
    )


def test_columns_come_and_go_with_the_table() -> None:
    found, told = merged(now=contract(age=AGE, size=Column("number")))
    assert set(found.columns) == {"age", "size", "y"}
    assert told[1:] == (
        "added: size, which conf/data/t.yaml did not have",
        "dropped: city, which the table lacks",
    )


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("{type: integer, min: 0, max: 140}", "{type: number}", Column("number")),
        (
            "{type: integer, min: 0, max: 140}",
            "{type: text, role: ignored}",
            Column("text", "ignored"),
        ),
        ("min: 0, max: 140", "min: 1, max: 140", Column("integer", min=1, max=200)),
        ("max: 140}", "max: 140, owner: me}", Column("integer", min=0, max=200, owner="me")),
    ],
)
def test_an_edited_setting_stays_with_what_belongs_to_it(old: str, new: str, kept: Column) -> None:
    assert old in BASE
    assert merged(BASE.replace(old, new)).contract.columns["age"] == kept


def test_a_description_and_a_source_that_were_edited_stay() -> None:
    edited = BASE.replace("source: {format: csv}", "source: {format: csv, decimal: ','}\nowner: me")
    found, told = merged(edited)
    assert (found.owner, found.source.decimal) == ("me", ",")
    assert "kept as edited: source: decimal ,, where the table says ." in told


def test_what_was_merged_still_counts_as_edited() -> None:
    written = contract_text(merged().contract, "t.csv", 9, NOW)
    assert not unedited(written)
    assert unedited(contract_text(NOW, "t.csv", 9, NOW))


@pytest.mark.parametrize(
    ("edited", "now", "said"),
    [
        (EDITED, contract("z", age=AGE), r"predicts y \(binary\), and the table .* z .*--anew"),
        (BASE.replace("max: 140", "max: ["), NOW, "cannot be read .*--anew"),
        (BASE.replace("max: 140", "most: 140"), NOW, "cannot be read .*most.*--anew"),
    ],
)
def test_what_cannot_be_merged_is_refused(edited: str, now: Contract, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        merged(edited, now=now)
