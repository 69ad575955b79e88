"""Values of personal data, planted in every kind of column: none is in anything that leaves."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import stages
import yaml

from mlops.bundle.reading import load
from mlops.cli import main
from mlops.config.settings import load as settings
from mlops.contract import HIDDEN, Contract
from mlops.data.errors import DataError
from mlops.data.sources import Frame
from mlops.data.validation import refuse, validated
from mlops.serving.endpoints.model import examples
from mlops.serving.loading import load as served
from mlops.serving.telemetry.metrics import Metrics
from mlops.tracking.registry import mirrored, track

# MLflow calls what its own dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("default")

ROWS = 400
CONTRACT = """
name: loans
task: binary
licence: CC-BY-4.0
retention: 365 days
purpose: credit decisions
source: {{format: csv}}
columns:
  person: {{type: text, role: id{pii}}}
  household: {{type: text, role: group{pii}}}
  phone: {{type: text, role: ignored{pii}, reason: not needed}}
  income: {{type: number, nullable: true{pii}, reason: what a loan is paid from}}
  born: {{type: datetime{pii}, reason: age}}
  asked: {{type: datetime, role: [feature, time]}}
  note: {{type: text{pii}, reason: says why}}
  amount: {{type: number, min: 0}}
  bad: {{type: boolean, role: target}}
"""
FEATURES = """
derived:
  age: {function: elapsed_days, columns: [born, asked], owner: tests}
  words: {function: text_ngrams, columns: [note], owner: tests, arguments: {width: 8}}
"""
SMALL = "model: {use: boosting, max_iter: 5}\nevaluation: {resamples: 20, importance_rows: 50}\n"


def planted() -> pd.DataFrame:
    """Return rows in which every value of a person is hers alone."""
    rng = np.random.default_rng(5)
    number = np.arange(ROWS)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(number * 13 * 86_400 + number * 61, "s")
    income = 731_000.0 + number * 37.53125 + 0.0625 * (number % 7)
    bad = income + rng.normal(0, 3000, ROWS) > np.median(income)
    return pd.DataFrame(
        {
            "person": [f"zq7p{n:05d}" for n in number],
            "household": [f"zq7h{n:05d}" for n in number],
            "phone": [f"zq7t{n:05d}" for n in number],
            "income": income,
            "born": born.strftime("%Y-%m-%dT%H:%M:%S"),
            "asked": "2026-02-03",
            "note": [f"zq7n{n:05d} asks" for n in number],
            "amount": rng.uniform(0, 9, ROWS),
            "bad": np.where(bad, "true", "false"),
        }
    )


SAID, DATABASE = "said.txt", "mlflow.db"
COMMANDS = [
    "predict data/raw/loans.csv --out scored/answers.parquet --ids --log log --at 2026-02-03T12:00",
    "monitor --log log --bundle candidate --at 2026-02-03",
    "features served --log log --out scored/served.parquet",
    "explain-nothing",  # what is refused says no more
    "predict data/raw/loans.csv --out nowhere/answers.parquet",
]


def made(root: Path, pii: str, database: Path) -> Path:
    """Run the pipeline with MLflow, score a table with a log, judge that; keep all that is said."""
    stages.copied(root)
    (root / "conf/data/loans.yaml").write_text(CONTRACT.format(pii=pii))
    (root / "conf/features/told.yaml").write_text(FEATURES)
    (root / "params.yaml").write_text("data: {use: loans}\nfeatures: {use: told}\n" + SMALL)
    (root / "data/raw").mkdir(parents=True)
    (root / "scored").mkdir()
    planted().to_csv(root / "data/raw/loans.csv", index=False)
    shutil.copy(database, root / DATABASE)
    with (
        chdir(root),
        (root / SAID).open("w") as said,
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        stages.run(root)
        track(settings(root / "resolved.yaml"), "demo", root / "candidate")
        for command in COMMANDS:
            try:
                print(command, main(command.split()))
            except SystemExit as error:  # argparse's
                print(command, error)
    return root


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once: MLflow takes seconds for it."""
    folder = tmp_path_factory.mktemp("mlflow")
    mirrored("demo", "champion", folder)
    return folder / DATABASE


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """What a project of personal data wrote."""
    return made(tmp_path_factory.mktemp("private"), ", pii: true", database)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """The same, without a word of that."""
    return made(tmp_path_factory.mktemp("public"), "", database)


def leaves(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the content of every file that leaves the machine, unpacked, and all that was said."""
    for name in (SAID, DATABASE):
        yield name, (root / name).read_bytes()
    for folder in ("candidate", "reports", "log", "scored", "mlartifacts"):
        for path in sorted((root / folder).rglob("*")):
            if not path.is_file():
                continue
            yield path.relative_to(root).as_posix(), path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                yield f"{path.name}, unpacked", json.dumps(table.to_pydict(), default=str).encode()


def found(root: Path) -> dict[str, set[str]]:
    """Return which columns have values in which files."""
    rows = planted()
    numbers = rows["income"].to_numpy()
    marks = {
        name: [b"zq7" + letter] for name, letter in
        {"person": b"p", "household": b"h", "phone": b"t", "note": b"n"}.items()
    }  # fmt: skip
    # Numbers of so many digits are nobody else's, as text or as bytes.
    marks["income"] = [f"{one:.4f}".rstrip("0").encode() for one in numbers]
    marks["income"] += [
        one.astype(kind).tobytes() for one in numbers for kind in ("<f8", ">f8", "<f4")
    ]
    marks["born"] = [text[:16].encode() for text in rows["born"]]
    marks["born"] += [text[:16].replace("T", " ").encode() for text in rows["born"]]
    return {
        name: hits
        for name, texts in marks.items()
        if (hits := {file for file, content in leaves(root) if any(t in content for t in texts)})
    }


def test_no_value_of_a_person_is_in_what_leaves(private: Path) -> None:
    where = found(private)
    # What scores a table has the ids that it came with: those answers are its owner's.
    assert where.pop("person") == {"scored/answers.parquet", "answers.parquet, unpacked"}
    # Trees cut numbers where rows lie: the model itself is what was learned of them.
    models = {name for name, _ in leaves(private) if name.endswith("/model.onnx")}
    assert len(models) == 2  # with the one that MLflow keeps
    assert {name: files - models for name, files in where.items()} in ({}, {"income": set()})


def test_what_is_searched_is_there(private: Path) -> None:
    """Every command ran, and MLflow has the run."""
    said = (private / SAID).read_text()
    codes = [
        line.rsplit(" ", 1)[1] for line in said.splitlines() if line.startswith(tuple(COMMANDS))
    ]
    assert codes == ["0", "0", "0", "2", "2"]
    assert "400 rows scored" in said
    names = {name for name, _ in leaves(private)}
    assert any(name.endswith("/report.html") and name.startswith("mlartifacts") for name in names)
    assert b"roc_auc" in (private / DATABASE).read_bytes()


def test_the_search_finds_what_is_not_declared(public: Path) -> None:
    where = found(public)
    assert {"person", "income", "born", "note"} <= set(where)
    assert "scored/answers.parquet" in where["person"] | {
        f.partition(",")[0] for f in where["person"]
    }
    for column in ("income", "born", "note"):
        assert any("golden.json" in file for file in where[column])
    assert any("reference.json" in file or "profile.json" in file for file in where["income"])


def test_the_bundle_still_proves_itself_and_is_served(private: Path) -> None:
    with chdir(private):
        predictor = served(private / "candidate")  # its golden rows answered as recorded
        golden = json.loads((private / "candidate/golden.json").read_text())
        rows = [one["row"] for one in golden]
        assert {row["note"] for row in rows} == {"nobody"}
        assert {row["income"] for row in rows} == {None}
        assert len({row["amount"] for row in rows}) == len(rows)
        assert {row["income"] for row in examples(predictor)} == {None}
        profile = json.loads((private / "candidate/profile.json").read_text())["features"]
        assert set(profile["income"]) == set(profile["age"]) == {"missing"}
        assert "edges" in profile["amount"]
        metrics = Metrics()
        sent = json.dumps([{**rows[0], "income": 731037.59375}]).encode()
        decoded = predictor.decode(sent)
        matrix = predictor.matrix(decoded)
        metrics.distributed(predictor, matrix, predictor.predict(matrix))
        told = metrics.render()[0].decode()
        (amount,) = re.findall(r'_sum{feature="amount",.*} (.*)', told)
        assert float(amount) == pytest.approx(rows[0]["amount"])
        assert re.findall(r'_sum{feature="income",.*} (.*)', told) == ["NaN"]
        assert "731037" not in told


def test_the_card_tells_terms_and_personal_data(private: Path) -> None:
    card = (private / "candidate/card.md").read_text()
    assert "- `loans`: licence CC-BY-4.0; retention 365 days; purpose credit decisions" in card
    assert "Personal data, whose values are not shown: `person`, `household`, `income`" in card


@pytest.mark.parametrize("pii", ["", ", pii: true"])
def test_an_error_shows_no_cell_of_a_person(pii: str, tmp_path: Path) -> None:
    contract = msgspec.convert(yaml.safe_load(CONTRACT.format(pii=pii)), Contract)
    rows = planted().assign(income="zq7 much", amount=-1.5)
    path = tmp_path / "loans.csv"
    _, findings = validated(Frame(path, 1, rows), contract)
    with pytest.raises(DataError) as error:
        refuse(findings, contract)
    assert ("zq7" in str(error.value)) is not bool(pii)
    assert "row 1, column income: " in str(error.value)
    assert "'-1.5' is below the minimum 0" in str(error.value)
    assert contract.shown("amount", 3) == "'3'"
    assert (contract.shown("income", 3) == HIDDEN) is bool(pii)


def test_a_restricted_table_shows_no_value_of_any_column(private: Path) -> None:
    contract = msgspec.structs.replace(load(private / "candidate").contract, restricted=True)
    assert all(contract.is_private(name) for name in contract.columns)
