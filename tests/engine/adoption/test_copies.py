"""Exact copies of rows are said where rows are not alike by chance."""

from pathlib import Path

import numpy as np
import pandas as pd

from mlops.adoption.copies import copies
from mlops.adoption.inference import infer
from mlops.adoption.proposal import propose
from mlops.adoption.statistics import statistics
from mlops.contract import Source

CSV = Source(format="csv")
ROWS = 300


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "customer_id": [f"c{n:04}" for n in range(ROWS)],
            "income": random.normal(3000, 500, ROWS).round(2).astype(str),
            "city": random.choice(["Rome", "Oslo"], ROWS),
            "left": random.choice(["yes", "no"], ROWS),
        },
        dtype="str",
    )


def said(frame: pd.DataFrame) -> list[str]:
    return copies(frame, statistics(frame, CSV))


def doubled(rows: int) -> pd.DataFrame:
    return pd.concat([table(), table().iloc[:rows]], ignore_index=True)


def test_copies_are_counted_with_the_id_that_they_hide() -> None:
    assert said(doubled(1)) == [
        "1 row is an exact copy of another: take it out of the file where nothing happened twice; "
        "customer_id then differs in every row"
    ]
    assert said(doubled(3))[0].startswith("3 rows are exact copies: take them out")


def test_without_copies_or_among_labels_alone_nothing_is_said() -> None:
    assert said(table()) == []
    assert said(doubled(2)[["city", "left"]]) == []  # alike by chance
    again = table()
    again.loc[1, "customer_id"] = again.loc[0, "customer_id"]  # one customer twice is no copy
    assert said(again) == []


def test_an_adoption_says_it_and_what_it_says_to_do_makes_the_id(tmp_path: Path) -> None:
    path = tmp_path / "left.csv"
    doubled(1).to_csv(path, index=False)
    found = propose(path, "left")
    assert any(note.startswith("1 row is an exact copy") for note in found.notes)
    assert found.contract.names("id") == ()
    doubled(1).drop_duplicates().to_csv(path, index=False)  # the remedy
    found = propose(path, "left")
    assert not any("copy" in note for note in found.notes)
    assert found.contract.names("id") == ("customer_id",)


def test_beside_an_id_that_repeats_what_is_left_out_is_said_as_it_is() -> None:
    frame = table().assign(visit=[f"v{n:04}" for n in range(ROWS)], cust=["a", "b", "c"] * 100)
    facts = statistics(frame.drop(columns=["customer_id", "left"]), CSV)
    columns = infer(facts, {}, {"cust": "id"})
    assert columns["visit"].reason == (
        "differs in every row; the id is cust, which has 3 values in 300 rows"
    )
    columns = infer(statistics(frame, CSV), {}, {"customer_id": "id"})
    assert columns["visit"].reason == "differs in every row, as customer_id does, which is the id"
