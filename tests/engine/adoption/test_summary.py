from pathlib import Path

from mlops.adoption.proposal import Proposal
from mlops.adoption.summary import summary
from mlops.config.settings import Split
from mlops.contract import Column, Contract, Source

TARGET = Column("category", role="target", categories=["no", "yes"])


def lines(
    absent: dict[str, dict[str, int]] | None = None,
    split: Split = Split("hash"),  # noqa: B008
    **columns: Column,
) -> list[str]:
    contract = Contract("t", "binary", {"x": Column("number"), **columns, "y": TARGET}, Source())
    proposal = Proposal(contract, 1200, 0, {}, {"use": "hash"}, absent or {}, ("look here",))
    written = [Path("conf/data/t.yaml")]
    return summary(Path("t.csv"), proposal, split, written).splitlines()


def test_says_what_the_table_is_and_what_to_do_next() -> None:
    said = lines(x=Column("number", description="odd"))
    assert said == [
        "t.csv is t: 1,200 rows, binary, target y (positive: yes, not no)",
        "features: x",
        "split: by hash",
        "check: x: odd",
        "check: look here",
        "written: conf/data/t.yaml",
        "next: commit that, then dvc repro",
    ]


def test_many_columns_left_out_for_one_reason_are_one_line() -> None:
    dead = {f"n{n}": Column("text", role="ignored", reason="holds no value") for n in range(276)}
    other = Column("text", role="ignored", reason="counts the rows")
    said = [line for line in lines(**dead, row=other) if line.startswith("left out")]
    assert said == [
        "left out: 276 columns, n0, n1, n2, n3, n4 and 271 more: holds no value",
        "left out: row: counts the rows",
    ]


def test_what_was_read_as_missing_is_named_and_a_word_may_be_a_label() -> None:
    region = Column("category", nullable=True, categories=["EU"])
    said = lines({"": {"x": 3}, "NA": {"region": 98, "x": 1}}, region=region)
    assert "read as missing: '' 3 in x" in said
    assert "read as missing: 'NA' 98 in region, 1 in x" in said
    assert any(line.startswith("check: NA of region could be a label: --missing") for line in said)


def test_categories_of_many_labels_are_said_with_what_becomes_of_them() -> None:
    labels = [f"P{n}" for n in range(3000)]
    many = Column("category", categories=labels)
    few = Column("category", categories=labels[:49])
    said = [line for line in lines(product=many, plan=few) if line.startswith("many labels")]
    assert said == [
        "many labels: product (3,000): model.target_encoded says which models get their target "
        "encoding"
    ]
    assert not [line for line in lines(plan=few) if line.startswith("many labels")]
