"""A model that is worse, unfair, or made from bad rows is blocked, however clean its papers are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from parts import put
from sweeps import some

PARAMS = "params.yaml"
CONTRACT = "conf/data/churn.yaml"
Harm = Callable[[Any], None]


def worse(bench: Any) -> None:
    bench.replace(PARAMS, "max_iter: 60", "max_iter: 2")
    bench.remake(prepare=False)


def constant(bench: Any) -> None:
    bench.write(PARAMS, "model: {use: dummy}\nevaluation: {resamples: 50}\n")
    bench.remake(prepare=False)


def miscalibrated(bench: Any) -> None:
    text = (bench.root / PARAMS).read_text()
    bench.write(PARAMS, text + "training: {class_weight: balanced}\n")
    bench.remake(prepare=False)


def slow(bench: Any) -> None:
    bench.write(PARAMS, "model: {use: forest, n_estimators: 150}\ntraining: {runtime: skops}\n")
    bench.replace("conf/gate/standard.yaml", "one_row_ms: 20", "one_row_ms: 2")
    bench.remake(prepare=False)


def degraded_slice(bench: Any) -> None:
    bench.remake(lambda prepared: flip(prepared / "train", "plan", "premium", 1.0))


def unfair_slice(bench: Any) -> None:
    bench.remake(lambda prepared: flip(prepared / "train", "age_band", "51-65", 1.0))


def leaked(bench: Any) -> None:
    def leak(rows: pa.Table, _: np.random.Generator) -> pa.Table:
        calls = pc.multiply(pc.cast(rows["churned"], pa.int64()), 9)
        return replaced(rows, "support_calls", pc.add(calls, pc.min_element_wise(calls, 1)))

    bench.raw(leak)
    bench.remake()


def encoded_with_the_target(bench: Any) -> None:
    """As target encoding of a key does it: it knows the training labels and no others."""

    def encode(prepared: Path) -> None:
        rows = pq.read_table(prepared / "train")
        noise = np.random.default_rng(1).normal(size=len(rows))
        known = np.clip(50 + 20 * (rows["churned"].to_numpy().astype(float) + noise), 0, 100)
        put(replaced(rows, "monthly_fee", pa.array(known)), prepared / "train")

    bench.remake(encode)


def training_rows_in_the_holdout(bench: Any) -> None:
    def copy(prepared: Path) -> None:
        rows = pq.read_table(prepared / "train").slice(0, 60)
        held = pq.read_table(prepared / "holdout")
        both = pa.concat_tables([held, rows.cast(held.schema)])
        put(both, prepared / "holdout")

    bench.remake(copy)


def holdout_rows_in_training(bench: Any) -> None:
    def copy(prepared: Path) -> None:
        held = pq.read_table(prepared / "holdout")
        rows = pq.read_table(prepared / "train")
        put(pa.concat_tables([rows, held.cast(rows.schema)]), prepared / "train")

    bench.remake(copy)


def copies_under_other_keys(bench: Any) -> None:
    """Customers of the holdout appear in the raw data again, under other names."""
    held = pq.read_table(bench.root / "data/prepared/holdout")["customer_id"]

    def copy(rows: pa.Table, _: np.random.Generator) -> pa.Table:
        mine = rows.filter(pc.is_in(rows["customer_id"], held.combine_chunks()))
        for letter in "XYZ":
            again = pc.binary_join_element_wise(letter, mine["customer_id"], "")
            rows = pa.concat_tables([rows, replaced(mine, "customer_id", again)])
        return rows

    bench.raw(copy)
    bench.remake()


def swapped(bench: Any) -> None:
    def swap(prepared: Path) -> None:
        (prepared / "train").rename(prepared / "kept")
        (prepared / "holdout").rename(prepared / "train")
        (prepared / "kept").rename(prepared / "holdout")

    bench.remake(swap)


def easier_split(bench: Any) -> None:
    text = (bench.root / PARAMS).read_text()
    bench.write(PARAMS, text + "split: {salt: lucky}\n")
    bench.remake()


def hard_rows_removed(bench: Any) -> None:
    def remove(rows: pa.Table, _: np.random.Generator) -> pa.Table:
        hard = pc.and_(rows["churned"], pc.equal(rows["contract"].cast(pa.string()), "yearly"))
        return rows.filter(pc.invert(hard))

    bench.raw(remove)
    bench.remake()


def appended_then_removed(bench: Any) -> None:
    (bench.root / "data/raw/2025-02.parquet").unlink()
    bench.remake()


def relabelled_holdout(bench: Any) -> None:
    bench.remake(lambda prepared: flip(prepared / "holdout", "plan", "basic", 0.1))


def removed_feature(bench: Any) -> None:
    remove(bench, "payment_method")


def removed_column(bench: Any) -> None:
    remove(bench, "gender")


def retyped_column(bench: Any) -> None:
    bench.replace(CONTRACT, "support_calls: {type: integer", "support_calls: {type: number")
    bench.remake()


def target_inverted(bench: Any) -> None:
    bench.raw(lambda rows, _: replaced(rows, "churned", pc.invert(rows["churned"])))
    bench.remake()


def no_longer_sensitive(bench: Any) -> None:
    bench.replace(CONTRACT, "gender: {type: category, role: sensitive", "gender: {type: category")
    bench.remake()


def out_of_bounds(bench: Any) -> None:
    def exceed(prepared: Path) -> None:
        rows = pq.read_table(prepared / "holdout")
        fees = pc.add(rows["monthly_fee"], 1000.0)
        put(replaced(rows, "monthly_fee", fees), prepared / "holdout")

    bench.remake(exceed)


@pytest.mark.parametrize(
    ("harm", "entries"),
    some(
        [
            (
                constant,
                {"better_than_baseline dummy": "of the dummy", "metric": "must be at least"},
            ),
            (miscalibrated, {"calibration ece": "above 0.05"}),
            (slow, {"latency 1 row": "above 2"}),
            (leaked, {"leakage support_calls": "support_calls"}),
            (encoded_with_the_target, {"leakage monthly_fee": "in training"}),
            (
                training_rows_in_the_holdout,
                {"split_kept holdout": "60 of", "duplicates": "have a twin in training"},
            ),
            (holdout_rows_in_training, {"split_kept training": "do not belong"}),
            (copies_under_other_keys, {"duplicates": "have a twin in training"}),
            (unfair_slice, {"fairness age_band": "error_gap"}),
            (out_of_bounds, {"contract_kept holdout monthly_fee": "are above 100"}),
        ],
        every=2,
    ),
)
def test_what_no_first_model_may_be_is_rejected(
    bench: Any, harm: Harm, entries: dict[str, str]
) -> None:
    harm(bench)
    assert_blocked(bench.outcome("start"), entries)


@pytest.mark.parametrize(
    ("harm", "entries"),
    some(
        [
            (worse, {"non_inferiority roc_auc": "must be at least -0.02"}),
            (degraded_slice, {"slices plan=premium": "for a loss beyond"}),
            (
                swapped,
                {"split_kept holdout": "not belong", "holdout_unchanged rows": "gone or changed"},
            ),
            (easier_split, {"holdout_unchanged split": "salt='lucky'"}),
            (hard_rows_removed, {"holdout_unchanged rows": "gone or changed"}),
            (appended_then_removed, {"holdout_unchanged rows": "gone or changed"}),
            (relabelled_holdout, {"holdout_unchanged rows": "have another label"}),
            (removed_feature, {"champion": "no column payment_method"}),
            (removed_column, {"contract_kept gender": "was removed"}),
            (retyped_column, {"contract_kept support_calls": "is of type number"}),
            (target_inverted, {"holdout_unchanged rows": "have another label"}),
            (no_longer_sensitive, {"fairness gender": "no longer calls it sensitive"}),
        ],
        every=3,
    ),
)
def test_what_is_no_better_than_the_champion_is_rejected(
    bench: Any, harm: Harm, entries: dict[str, str]
) -> None:
    harm(bench)
    assert_blocked(bench.outcome(), entries)


LABELS = """
seed: 0
resamples: 200
confidence: 0.95
rules:
  label_quality:
    at_most: 0.01
    new_at_most: 0.03
    significance: 0.04
    rows: 50000
    folds: 3
    min_rows: 50
"""


@pytest.mark.parametrize(
    ("column", "labels", "share", "part"),
    some(
        [
            ("plan", ["basic", "standard", "premium"], 0.05, ""),
            ("plan", ["premium"], 0.3, "plan=premium"),
            ("plan", ["premium"], 0.0, None),
        ],
        every=2,
    ),
)
def test_wrong_training_labels_are_rejected_and_others_are_not(
    bench: Any, column: str, labels: list[str], share: float, part: str | None
) -> None:
    bench.write("conf/gate/standard.yaml", LABELS)
    bench.sample(4, rows=16_000)

    def mislabel(prepared: Path) -> None:
        for label in labels:
            flip(prepared / "train", column, label, share)

    bench.remake(mislabel)
    found = bench.outcome("start")
    if part is None:
        assert found == {}
    else:
        assert "label" in found[f"label_quality {part}".strip()], found


def assert_blocked(outcome: dict[str, str], entries: dict[str, str]) -> None:
    for entry, said in entries.items():
        assert said in outcome[entry]


def flip(path: Path, column: str, label: str, share: float) -> None:
    """Flip the labels of a share of the rows with this label of a column."""
    rows = pq.read_table(path)
    mine = pc.equal(rows[column].cast(pa.string()), label).to_numpy()
    drawn = mine & (np.random.default_rng(5).random(len(rows)) < share)
    labels = rows["churned"].to_numpy() != drawn
    put(replaced(rows, "churned", pa.array(labels)), path)


def replaced(rows: pa.Table, name: str, values: Any) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(
        place, rows.schema.field(name), values.cast(rows.schema.field(name).type)
    )


def remove(bench: Any, column: str) -> None:
    """Take a column out of the contract and out of the raw data."""
    text = (bench.root / CONTRACT).read_text()
    (line,) = (line for line in text.splitlines() if line.startswith(f"  {column}:"))
    bench.replace(CONTRACT, f"{line}\n", "")
    bench.raw(lambda rows, _: rows.drop_columns([column]))
    bench.remake()
