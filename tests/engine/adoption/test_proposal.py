from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from mlops.adoption.declaration import contract_text
from mlops.adoption.proposal import Proposal, propose
from mlops.config.settings import Features, Split
from mlops.contract import Contract
from mlops.data.prepare import prepare
from mlops.errors import ProjectError
from mlops.features.encoding import Encoder

ROWS = 300
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, ROWS),
        "income": RNG.normal(3000, 500, ROWS).round(2),
        "city": RNG.choice(["Rome", "Oslo", "Kyiv"], ROWS),
        "y": RNG.choice(["yes", "no"], ROWS, p=[0.3, 0.7]),
    }
)
CSV = TABLE.to_csv(index=False)


def put(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / "raw" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def check(proposal: Proposal, file: Path) -> None:
    """Read the contract as the pipeline does, and let it prepare and encode the table."""
    text = contract_text(proposal.contract, file.name, proposal.rows)
    resolved = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    assert msgspec.convert(resolved, Contract) == proposal.contract
    Encoder.build(proposal.contract, Features(derived=dict(proposal.derived)))
    method, cutoff = proposal.split["use"], proposal.split.get("cutoff")
    split = Split(method=method, cutoff=cutoff)  # type: ignore[arg-type]
    assert prepare(proposal.contract, split, file.parent, file.parents[1] / "prepared")


def frame(**columns: object) -> str:
    return pd.concat(
        [
            TABLE.drop(columns=[c for c in columns if c in TABLE]),
            pd.DataFrame(columns, index=TABLE.index),
        ],
        axis=1,
    ).to_csv(index=False)


AWKWARD: dict[str, tuple[str | bytes, dict[str, object]]] = {
    "semicolon": (TABLE.to_csv(index=False, sep=";", decimal=","), {}),
    "tab": (TABLE.to_csv(index=False, sep="\t"), {}),
    "bom": (b"\xef\xbb\xbf" + CSV.encode(), {}),
    "utf16": (CSV.encode("utf-16"), {}),
    "latin": (CSV.replace("Oslo", "Tromsø").encode("latin-1"), {}),
    "crlf": (CSV.replace("\n", "\r\n"), {}),
    "spaces": (CSV.replace(",", ", "), {}),
    "quoted": (frame(city=TABLE.city.replace("Rome", 'the "eternal,\ncity"')), {}),
    "question marks": (frame(age=TABLE.age.astype(object).where(TABLE.age > 30, "?")), {}),
    "NA": (frame(city=TABLE.city.where(TABLE.age > 30, "NA")), {}),
    "unknown": (frame(age=TABLE.age.astype(object).where(TABLE.age > 30, "unknown")), {}),
    "no header": (
        TABLE.to_csv(index=False, header=False),
        {"columns": ["age", "income", "city", "y"]},
    ),
    "numeric names": (TABLE.rename(columns={"age": "2019", "income": "2020"}).to_csv(), {}),
    "strange names": (
        TABLE.rename(columns={"age": "a.b: {x}", "income": "${oc.env:HOME}", "city": "größe [$]"})
        .replace({"Rome": "${a}", "Oslo": "???", "Kyiv": "\\${b}"})
        .to_csv(index=False),
        {},
    ),
    "words of YAML": (
        TABLE.rename(columns={"age": "yes", "income": "on", "city": "null"})
        .replace({"Rome": "no", "Oslo": "1e5", "Kyiv": "~"})
        .to_csv(index=False),
        {},
    ),
    "dead columns": (frame(none="", constant="x"), {}),
    "trailing separators": (CSV.replace("\n", ",\n"), {}),
    "leading zeros": (frame(zip=RNG.choice(["00712", "01234"], ROWS)), {}),
    "mixed": (frame(mixed=[str(n) if n % 5 else "abc" for n in range(ROWS)]), {}),
    "booleans": (frame(b=RNG.choice(["t", "f", ""], ROWS), c=RNG.choice(["Y", "N"], ROWS)), {}),
    "wide": (frame(**{f"x{n}": RNG.normal(size=ROWS).round(3) for n in range(200)}), {}),
    "three rows": ("a,b,y\n1,x,0\n2,y,1\n3,z,0\n", {}),
    "key": (frame(order=[f"{n:05}" for n in range(ROWS)]), {"key": "order"}),
    "group": (frame(user=RNG.integers(100, 130, ROWS)), {"group": "user"}),
    "time": (
        frame(
            start=pd.date_range("2020-01-01", periods=ROWS).strftime("%d/%m/%Y"),
            end=pd.date_range("2020-01-01", periods=ROWS, freq="25h").strftime("%m/%d/%Y %H:%M"),
        ),
        {"time": "start"},
    ),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_an_awkward_table_is_ready_for_training(tmp_path: Path, case: str) -> None:
    content, options = AWKWARD[case]
    file = put(tmp_path, content)
    proposal = propose(file, "y", **options)  # type: ignore[arg-type]
    check(proposal, file)
    assert proposal.contract.task == "binary"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    moments = pd.date_range("2020-01-01", periods=ROWS, freq="7h")
    hours = pd.to_timedelta(range(ROWS), unit="h")
    table = pa.table(
        {
            "number": pa.array([None if n % 7 == 0 else n for n in range(ROWS)], pa.int64()),
            "label": pa.array(TABLE.city).dictionary_encode(),
            "flag": pa.array([None if n % 5 == 0 else n % 2 == 0 for n in range(ROWS)]),
            "local": pa.array(moments),
            "aware": pa.array(moments + hours, pa.timestamp("us", "UTC")),
            "day": pa.array([moment.date() for moment in moments]),
            "nested": pa.array([[1]] * ROWS),
            "y": pa.array((TABLE.y == "yes").tolist()),
        }
    )
    file = put(tmp_path, b"", "t.parquet")
    pq.write_table(table, file)
    proposal = propose(file, "y")
    check(proposal, file)
    types = {name: column.type for name, column in proposal.contract.columns.items()}
    assert types == {
        "number": "integer",
        "label": "category",
        "flag": "boolean",
        "local": "datetime",
        "aware": "datetime",
        "day": "datetime",
        "nested": "text",
        "y": "category",
    }
    assert proposal.contract.labels == ("false", "true")


def test_rows_without_a_target_are_set_aside(tmp_path: Path) -> None:
    kept = TABLE.age > 20
    file = put(tmp_path, TABLE.assign(y=TABLE.y.where(kept, "")).to_csv(index=False))
    proposal = propose(file, "y")
    assert (proposal.rows, proposal.unlabelled) == (kept.sum(), (~kept).sum())
    assert proposal.contract.source.unlabelled == "drop"
    said = prepare(proposal.contract, Split(method="hash"), file.parent, tmp_path / "out")
    assert f"{(~kept).sum()} without a target are set aside" in said


REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "unknown target": (CSV, {"target": "Yy"}, "no column 'Yy': did you mean y"),
    "target of another name": (CSV, {"target": "zzzz"}, "it has age, income, city, y"),
    "unknown key": (CSV, {"key": "agee"}, "did you mean age"),
    "unknown time": (CSV, {"time": "x"}, "no column 'x'"),
    "time without dates": (CSV, {"time": "age"}, "holds no dates"),
    "target as key": (CSV, {"key": "y"}, "--key names y"),
    "two roles": (CSV, {"key": "city", "group": "city"}, "--group names city"),
    "time and group": (CSV, {"time": "age", "group": "city"}, "both decide"),
    "blank group": (frame(g=["a", ""] * (ROWS // 2)), {"group": "g"}, "missing in 150 rows"),
    "constant group": (frame(g="a"), {"group": "g"}, "same in every row"),
    "bad name": (CSV, {"name": "../x"}, "cannot be the name"),
    "name that YAML reads otherwise": (CSV, {"name": "null"}, "cannot be the name"),
    "no header": (TABLE.to_csv(index=False, header=False), {}, "--columns A,B"),
    "nothing to learn from": ("a,y\n1,0\n1,1\n", {}, "no column is left"),
    "contradicting task": (CSV, {"task": "regression"}, "needs numbers"),
    "long row": ("a,b,y\n1,2,0\n3,4,1,9\n", {}, "row 2 has 4 cells and there are 3 columns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_a_sentence(tmp_path: Path, case: str) -> None:
    content, options, message = REFUSED[case]
    with pytest.raises(ProjectError, match=message) as refusal:
        propose(put(tmp_path, content), **{"target": "y", **options})  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


def test_a_name_that_no_request_can_have_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, TABLE.rename(columns={"age": 'the "age"'}).to_csv(index=False))
    with pytest.raises(ProjectError, match="rename that column in the table"):
        propose(file, "y")


def test_time_gives_a_cutoff_and_derived_features(tmp_path: Path) -> None:
    content, options = AWKWARD["time"]
    proposal = propose(put(tmp_path, content), "y", **options)  # type: ignore[arg-type]
    assert proposal.split == {"use": "time", "cutoff": "2020-08-28"}
    assert set(proposal.derived) == {
        "start_day_of_week",
        "end_hour",
        "end_day_of_week",
        "start_to_end_hours",
    }


def test_leaves_out_a_leak_with_the_reason_beside_it(tmp_path: Path) -> None:
    proposal = propose(put(tmp_path, frame(copy=TABLE.y == "yes")), "y")
    assert proposal.contract.columns["copy"].role == "ignored"
    assert "alone tells the target" in proposal.contract.columns["copy"].reason


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("Other Table (2).csv", "other_table_2"),
        ("2020.csv", "table_2020"),
        ("null.csv", "table_null"),
        ("Ωmega.csv", "mega"),
        ("数据.csv", "table"),
        ("a.b.csv", "a"),
    ],
)
def test_the_name_follows_from_the_file(tmp_path: Path, file: str, expected: str) -> None:
    assert propose(put(tmp_path, CSV, file), "y").contract.name == expected


MONTHS = pd.date_range("1990-01-01", periods=120, freq="MS")
RISING = [f"{100 + 1.5 * n:.1f}" for n in range(len(MONTHS))]


@pytest.mark.parametrize("form", ["%Y-%m", "%b-%Y", "%m/%Y", "%d.%m.%Y"])
def test_a_series_of_months_that_rises_is_split_by_time_and_keeps_its_date(
    tmp_path: Path, form: str
) -> None:
    table = pd.DataFrame({"month": MONTHS.strftime(form), "sold": RISING})
    file = put(tmp_path, table.to_csv(index=False))
    proposal = propose(file, "sold")
    assert proposal.split == {"use": "time", "cutoff": "1998-01-01"}
    assert set(proposal.derived) == {"month_month_of_year", "month_days"}
    assert proposal.contract.columns["month"].role == ["feature", "time"]
    assert any(note.startswith("sold follows month (R² ") for note in proposal.notes)
    check(proposal, file)


def test_a_series_with_a_stray_date_is_not_split_by_it(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=200).strftime("%Y-%m-%d").tolist()
    days[7] = "soon"
    table = pd.DataFrame({"day": days, "x": range(200, 400), "sold": [n * 1.5 for n in range(200)]})
    file = put(tmp_path, table.sample(frac=1, random_state=0).to_csv(index=False))
    proposal = propose(file, "sold")
    assert proposal.split["use"] == "hash"
    assert proposal.contract.columns["day"].missing == ["soon"]
    check(proposal, file)


def test_a_stray_text_in_the_target_sets_its_row_aside(tmp_path: Path) -> None:
    prices = [f"{n * 1.7:.2f}" for n in range(ROWS - 1)] + ["$$$"]
    file = put(tmp_path, frame(price=prices))
    proposal = propose(file, "price")
    assert (proposal.contract.task, proposal.rows, proposal.unlabelled) == ("regression", 299, 1)
    assert "'$$$' in row 300" in proposal.contract.columns["price"].description
    check(proposal, file)


def test_missing_texts_are_those_that_the_user_names(tmp_path: Path) -> None:
    region = ["NA", "EU", "APAC"] * (ROWS // 3)
    file = put(tmp_path, frame(region=region))
    usual = propose(file, "region")
    assert (usual.unlabelled, usual.contract.labels) == (ROWS // 3, ("APAC", "EU"))
    assert usual.absent == {"NA": {"region": ROWS // 3}}
    named = propose(file, "region", missing=["?"])
    assert (named.unlabelled, named.contract.labels) == (0, ("APAC", "EU", "NA"))
    assert named.contract.source.missing == ["", "?"]
    check(named, file)


def test_a_guessed_encoding_is_shown_by_what_it_makes_of_texts(tmp_path: Path) -> None:
    content = CSV.replace("Oslo", "Łódź").encode("iso8859-2")
    (said,) = [n for n in propose(put(tmp_path, content), "y").notes if "encoding" in n]
    assert "read as latin-1: where texts like '£ód¼' are wrong, name its --encoding" in said
    right = propose(put(tmp_path, content), "y", encoding="iso8859-2")
    assert "Łódź" in right.contract.columns["city"].categories
    assert not [note for note in right.notes if "encoding" in note]


def test_amounts_and_sentinels_reach_the_matrix_as_they_are_meant(tmp_path: Path) -> None:
    price = [f"${1000 + 7 * n:,}" for n in range(ROWS)]
    temp = [str(-200 if n % 9 == 0 else n / 10) for n in range(ROWS)]
    file = put(tmp_path, frame(price=price, temp=temp))
    proposal = propose(file, "y")
    columns = proposal.contract.columns
    assert (columns["price"].type, columns["price"].units) == ("integer", {"$": 1})
    assert (columns["temp"].missing, columns["temp"].min) == (["-200"], 0)
    check(proposal, file)
    parts = [pq.read_table(tmp_path / f"prepared/{role}") for role in ("train", "holdout")]
    prepared = pa.concat_tables(parts).to_pandas()
    assert sorted(prepared.price) == [1000 + 7 * n for n in range(ROWS)]
    assert prepared.temp.isna().sum() == sum(n % 9 == 0 for n in range(ROWS))
