"""Wrong labels among the training rows are found, overall and in a slice, and clean ones pass."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baked import ROOT

from mlops.bundle.reading import Loaded
from mlops.config.settings import Evaluation, Features, Model, Settings, Split, Training, Tuning
from mlops.contract import Column, Contract
from mlops.data import prepared
from mlops.data.fingerprints import digest, fingerprints, in_order
from mlops.features.encoding import Encoder
from mlops.gate.case import Case, Judged
from mlops.gate.rule import Finding
from mlops.gate.rules.labels import LabelQuality, _probability
from mlops.git.repository import Repository
from mlops.runtime import model as runtime

SETTINGS: dict[str, Any] = {
    "at_most": 0.01,
    "new_at_most": 0.03,
    "significance": 0.04,
    "folds": 5,
    "min_rows": 50,
}
RULE = LabelQuality(rows=50_000, **SETTINGS)
SCRIPT = ROOT / "benchmarks/gate/label_flips.py"
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "boolean", "role": "target"},
    "multiclass": {"type": "category", "categories": ["a", "b", "c"], "role": "target"},
    "regression": {"type": "number", "role": "target"},
}
Flip = Callable[[dict[str, np.ndarray], np.random.Generator], np.ndarray]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("label_flips", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rates_on_the_sample_data(benchmark: ModuleType) -> None:
    scenarios = ("none", "5 % of all", "30 % of plan=premium")
    found = benchmark.rates(RULE, range(2), 12_000, 0.0, scenarios)
    assert not any(found.pop("none"))
    assert len(found) == 3
    assert all(all(hits) for hits in found.values())


def drawn(task: str, rows: int, rng: np.random.Generator, noise: bool) -> dict[str, np.ndarray]:
    """Return columns that tell the target fairly well, or (`noise`) not at all."""
    columns = {
        "x": rng.normal(size=rows),
        "z": rng.normal(size=rows),
        "kind": rng.choice([0.0, 1.0, 2.0, 3.0], rows, p=[0.5, 0.3, 0.19, 0.01]),
        "who": np.arange(rows) + rng.integers(1e9) + 0.0,
    }
    score = 3 * columns["x"] + columns["z"] * (columns["kind"] == 1)
    if noise:
        score = rng.normal(size=rows)
    if task == "regression":
        return columns | {"y": score + rng.normal(size=rows)}
    if task == "binary":
        return columns | {"y": (rng.random(rows) < 1 / (1 + np.exp(-score))) + 0.0}
    weights = np.exp(np.column_stack([score, -score, np.zeros(rows)]))
    shares = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return columns | {"y": (rng.random((rows, 1)) > shares[:, :2]).sum(axis=1) + 0.0}


def wrong(task: str, labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the labels with the chosen ones made wrong."""
    if task == "regression":
        return np.where(chosen, np.roll(labels, 1), labels)
    return np.where(chosen, (labels + 1) % (2 if task == "binary" else 3), labels)


def write(
    path: Path, contract: Contract, columns: dict[str, np.ndarray], hashes: np.ndarray
) -> None:
    """Write rows as the prepare stage leaves them."""
    arrays = {"row_hash": pa.array(hashes)}
    for name, column in contract.columns.items():
        values = pa.array(columns[name])
        if column.type == "category":
            codes = values.cast(pa.int32())
            arrays[name] = pa.DictionaryArray.from_arrays(codes, column.categories)
        else:
            arrays[name] = values.cast(prepared.ARROW[column.type])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path)


def build(
    folder: Path,
    task: str = "binary",
    flip: Flip | None = None,
    rows: tuple[int, int] = (6000, 2000),
    seed: int = 0,
    noise: bool = False,
) -> Case:
    """Return a case whose training labels are wrong where `flip` says so."""
    rng = np.random.default_rng(seed)
    declared: dict[str, Any] = {
        "x": {"type": "number"},
        "z": {"type": "number"},
        "kind": {"type": "category", "categories": ["a", "b", "c", "d"]},
        "who": {"type": "integer", "role": "id"},
        "y": TARGETS[task],
    }
    contract = msgspec.convert({"name": "t", "task": task, "columns": declared}, Contract)
    train, holdout = (drawn(task, count, rng, noise) for count in rows)
    if flip is not None:
        train["y"] = wrong(task, train["y"], flip(train, rng))
    for side, columns in (("train", train), ("holdout", holdout)):
        hashes = rng.permutation(len(columns["y"])).astype(np.uint64)
        write(folder / f"data/prepared/{side}", contract, columns, hashes)
    encoder = Encoder.build(contract, Features())
    model = runtime.Model("none", "binary", lambda matrix: np.zeros(len(matrix)))
    target = prepared.target(holdout, contract)
    settings = Settings(
        seed=0,
        data=contract,
        split=Split("hash"),
        features=Features(),
        model=Model("sklearn.dummy.DummyClassifier", "codes", ["binary"], {}),
        training=Training(),
        tuning=Tuning(),
        evaluation=Evaluation("rmse", ["rmse"]),
    )
    bundle = Loaded({}, contract, encoder, model, settings)
    return Case(
        repository=Repository(folder),
        settings=settings,
        candidate=Judged(folder, bundle, np.zeros(len(target))),
        champion=None,
        columns=holdout,
        target=target,
    )


def some(share: float) -> Flip:
    return lambda columns, rng: rng.random(len(columns["y"])) < share


def in_kind_c(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return (columns["kind"] == 2) & (rng.random(len(columns["y"])) < 0.3)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_clean_labels_pass(
    tmp_path: Path, task: str, rejected: Callable[[list[Finding]], set[str]]
) -> None:
    findings = RULE.judge(build(tmp_path, task))
    assert not rejected(findings)
    assert [one.part for one in findings] == ["", "slices"]
    assert "4 slices" in findings[1].reason or "3 slices" in findings[1].reason
    assert findings[0].value is not None
    assert abs(findings[0].value) < 0.03


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_wrong_labels_are_rejected_and_counted(
    tmp_path: Path, task: str, rejected: Callable[[list[Finding]], set[str]]
) -> None:
    findings = RULE.judge(build(tmp_path, task, some(0.08)))
    assert "" in rejected(findings)
    assert findings[0].value == pytest.approx(0.08, abs=0.03)
    assert findings[0].low is not None
    assert 0.01 < findings[0].low < findings[0].value
    tolerant = LabelQuality(rows=50_000, **(SETTINGS | {"at_most": 0.3}))
    assert not rejected(tolerant.judge(build(tmp_path, task, some(0.08))))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_wrong_labels_in_one_slice_are_found_there(
    tmp_path: Path, task: str, rejected: Callable[[list[Finding]], set[str]]
) -> None:
    assert "kind=c" in rejected(RULE.judge(build(tmp_path, task, in_kind_c)))


def test_small_slices_are_stated(tmp_path: Path) -> None:
    findings = RULE.judge(build(tmp_path))
    assert "1 have too few rows" in findings[1].reason


def test_columns_that_tell_nothing_are_rejected(tmp_path: Path) -> None:
    """Since wrong labels would not show, that none is seen means nothing."""
    finding = RULE.judge(build(tmp_path, noise=True))[0]
    assert finding.verdict == "rejected"
    assert "would not show" in finding.reason


def with_champion(case: Case, folder: Path, known: int) -> Case:
    """Return the case with a champion that was measured on the first `known` holdout rows."""
    prints = fingerprints(case.holdout, case.settings.data)
    first = in_order(case.holdout, case.settings.data)[:known]
    folder.mkdir()
    known = prints[np.isin(prints[:, 0], first)]
    np.save(folder / "holdout.npy", known)
    about = {"holdout": {"digest": digest(known)}}
    bundle = msgspec.structs.replace(case.candidate.bundle, manifest=about)
    return replace(case, champion=Judged(folder, bundle, case.candidate.predictions))


def test_a_champion_that_does_not_tell_its_rows_is_rejected(
    tmp_path: Path, rejected: Callable[[list[Finding]], set[str]]
) -> None:
    case = with_champion(build(tmp_path), tmp_path / "champion", 1200)
    (tmp_path / "champion/holdout.npy").unlink()
    assert rejected(RULE.judge(case)) == {"new rows"}


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "passed"), (0.25, "rejected")])
def test_new_holdout_rows_are_compared_with_the_champions(
    tmp_path: Path, share: float, verdict: str
) -> None:
    case = build(tmp_path)
    labels = case.columns["y"].copy()
    chosen = np.random.default_rng(3).random(len(labels)) < share
    chosen[:1200] = False
    case.columns["y"] = wrong("binary", labels, chosen)
    write(case.holdout, case.settings.data, case.columns, prepared.row_hashes(case.holdout))
    case = with_champion(replace(case, target=case.columns["y"].astype(int)), tmp_path / "c", 1200)
    findings = RULE.judge(case)
    assert findings[-1].part == "new rows"
    assert findings[-1].verdict == verdict
    assert findings[-1].value == pytest.approx(share, abs=0.06)


def test_few_new_rows_are_not_compared(tmp_path: Path) -> None:
    case = with_champion(build(tmp_path), tmp_path / "champion", 1960)
    finding = RULE.judge(case)[-1]
    assert finding.verdict == "not applicable"
    assert "40 of 2000" in finding.reason


@pytest.mark.parametrize("rows", [(6000, 49), (49, 2000)])
def test_too_few_rows_are_rejected(tmp_path: Path, rows: tuple[int, int]) -> None:
    (finding,) = RULE.judge(build(tmp_path, rows=rows))
    assert finding.verdict == "rejected"


def test_only_so_many_rows_are_looked_at(tmp_path: Path) -> None:
    few = LabelQuality(rows=1000, **SETTINGS)
    case = build(tmp_path, flip=some(0.1))
    assert few.judge(case) == few.judge(case)
    assert few.judge(replace(case, seed=1)) != few.judge(case)
    assert few.judge(case)[0].value != RULE.judge(case)[0].value


def test_rows_of_one_key_are_not_independent(tmp_path: Path) -> None:
    """Forty copies of each row tell no more than one: the error stays that of one."""
    case = build(tmp_path, rows=(600, 300))
    single = RULE.judge(case)[0]
    repeated = {name: np.repeat(values, 40) for name, values in case.columns.items()}
    train = {name: np.repeat(values, 40) for name, values in case.train_columns.items()}
    for path, columns in ((case.train, train), (case.holdout, repeated)):
        hashes = np.repeat(prepared.row_hashes(path), 40)
        write(path, case.settings.data, columns, hashes)
    copied = RULE.judge(replace(case, columns=repeated, target=np.repeat(case.target, 40)))[0]
    errors = [one.value - one.low for one in (single, copied) if one.value and one.low]
    assert len(errors) == 2
    assert errors[1] > errors[0] / 2


@pytest.mark.parametrize(
    "settings", [{"significance": 0.0}, {"significance": 0.6}, {"folds": 1}, {"min_rows": 1}]
)
def test_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|share"):
        LabelQuality(rows=100, **(SETTINGS | settings))


def test_the_test_is_one_sided() -> None:
    assert _probability(0.01, 0.02, 0.01) == pytest.approx(0.5)
    assert _probability(0.0429, 0.02, 0.01) == pytest.approx(0.05, abs=1e-3)
    assert [_probability(value, 0.0, 0.01) for value in (0.0, 0.01, 0.02)] == [1, 1, 0]


def test_a_finding_has_its_interval_and_its_limit() -> None:
    error, level = 0.01, 0.02
    quantile = NormalDist().inv_cdf(1 - level)
    for value, verdict in ((0.05, "rejected"), (0.02, "passed")):
        found = RULE._finding("x=a", value, error, level, "x", 0.01)
        assert (found.verdict, found.part, found.threshold) == (verdict, "x=a", 0.01)
        assert (found.value, found.high) == (value, None)
        assert found.low == pytest.approx(value - quantile * error)
    seen = 0.01 + (quantile + NormalDist().inv_cdf(0.95)) * error
    assert f"a share from {seen:.1%} on would be seen" in found.reason
    lost = RULE._finding("x=a", np.nan, np.nan, level, "x", 0.01)
    assert (lost.verdict, lost.part) == ("rejected", "x=a")


def test_slices_share_their_part_of_the_significance() -> None:
    level = 0.04 / 3
    quantile = NormalDist().inv_cdf(1 - level / 2)
    clear, just = 0.01 + (quantile + 0.01) * 0.02, 0.01 + (quantile - 0.01) * 0.02
    shares = {"a": (0.0, 0.02), "b": (np.nan, np.nan), "c": (clear, 0.02)}
    (found,) = RULE._slices(shares)
    assert (found.verdict, found.part, found.value) == ("rejected", "c", clear)
    (found,) = RULE._slices(shares | {"c": (just, 0.02)})
    assert (found.verdict, found.part) == ("passed", "slices")
    assert found.reason.startswith("2 slices looked at, 1 have too few rows")
    (found,) = RULE._slices({"a": (0.0, 0.02)})
    assert found.reason == "1 slices looked at: none has more wrong labels"
    # after the first, what is left is shared among the others
    second = 0.01 + (NormalDist().inv_cdf(1 - level) + 0.01) * 0.02
    both = RULE._slices({"d": (second, 0.02), "c": (0.5, 0.02)})
    assert [one.part for one in both] == ["c", "d"]


def test_a_test_that_sees_nothing_does_not_pass() -> None:
    reach = NormalDist().inv_cdf(1 - 0.04 / 3) + NormalDist().inv_cdf(0.95)
    error = (0.5 - 0.01) / reach
    assert RULE._overall(0.0, error * 0.99).verdict == "passed"
    blind = RULE._overall(0.0, error * 1.01)
    assert (blind.verdict, blind.value, blind.threshold) == ("rejected", None, 0.01)
    assert RULE._overall(np.nan, np.nan).verdict == "rejected"


def test_slices_with_support_on_one_side_only_are_not_looked_at(tmp_path: Path) -> None:
    case = build(tmp_path)
    kinds = case.columns["kind"].copy()
    kinds[kinds == 2] = 0
    findings = RULE.judge(replace(case, columns=case.columns | {"kind": kinds}))
    assert findings[1].reason.startswith("2 slices looked at, 2 have too few rows")


def test_new_rows_cannot_be_told_without_the_champions_columns(tmp_path: Path) -> None:
    case = with_champion(build(tmp_path), tmp_path / "champion", 1200)
    assert case.champion is not None
    columns = dict(case.settings.data.columns) | {"z": Column("integer"), "gone": Column("number")}
    contract = msgspec.structs.replace(case.settings.data, columns=columns)
    bundle = msgspec.structs.replace(case.champion.bundle, contract=contract)
    champion = replace(case.champion, bundle=bundle)
    finding = RULE.judge(replace(case, champion=champion))[-1]
    assert (finding.verdict, finding.part) == ("not applicable", "new rows")
    assert "without z, gone, new rows" in finding.reason
