import pandas as pd

from mlops.adoption.blanks import blanks, read_as_missing, without
from mlops.contract import Source

CSV = Source(format="csv")


def test_believes_a_blank_only_among_numbers() -> None:
    frame = pd.DataFrame({"a": ["1", "2", "unknown"] * 9, "b": ["x", "unknown", "x"] * 9})
    assert blanks(frame.astype("str"), CSV) == ["unknown"]
    assert blanks(frame[["b"]].astype("str"), CSV) == []


def test_every_text_that_is_read_as_missing_is_counted() -> None:
    frame = pd.DataFrame({"a": ["1", "", "NA"], "b": ["NA", "NA", "x"]}, dtype="str")
    missing = ["", "NA", "?"]
    assert read_as_missing(frame, missing) == {"": {"a": 1}, "NA": {"a": 1, "b": 2}}
    assert without(frame, missing).isna().sum().to_dict() == {"a": 2, "b": 2}
