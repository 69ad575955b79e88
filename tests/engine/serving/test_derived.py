"""A text, two datetimes and large numbers, from a table to an answer: alike on every way."""

import json
import random
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from baked import SOURCE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.adoption.declaration import contract_text, features_text, with_choices
from mlops.adoption.proposal import propose
from mlops.serving.batch import predict
from mlops.serving.endpoints.explain import explained
from mlops.serving.loading import load
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem

ROWS = 500
SMALL = (
    "model: {use: lightgbm, n_estimators: 15}\nevaluation: {resamples: 50, importance_repeats: 1}\n"
)
BAD = ["cancel the contract", "third outage this week", "still no refund 😡"]
GOOD = ["question about the app", "ordered a second router", "praised the technician"]
WHERE = ["in the shop", "by mail", "on the phone", "at the café"]


def made() -> pd.DataFrame:
    chance, numbers = random.Random(0), np.random.default_rng(0)
    left = numbers.random(ROWS) < 0.4
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(numbers.integers(0, 9e6, ROWS), unit="s")
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(numbers.integers(0, 18000, ROWS), unit="D")
    said = [
        f"{chance.choice(BAD if x else GOOD)} {chance.choice(WHERE)}, day {n}"
        for n, x in enumerate(left)
    ]
    return pd.DataFrame(
        {
            "called_at": at.strftime("%Y-%m-%d %H:%M:%S"),
            "birth_date": born.strftime("%Y-%m-%d"),
            "ticket": numbers.permutation(2_000_000_000 + 3 * np.arange(ROWS)),
            "opened": 1_700_000_000 + numbers.integers(0, 90_000_000, ROWS),
            "comment": ["" if n % 25 == 0 else text for n, text in enumerate(said)],
            "churned": np.where(left, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has adopted the table and made its candidate."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.data.prepare import prepare
    from mlops.evaluation.evaluate import evaluate
    from mlops.features.agreement import check
    from mlops.training.fitting import train

    root = tmp_path_factory.mktemp("calls")
    for name in ("conf", "requirements", "engine", "src"):
        shutil.copytree(SOURCE / name, root / name)
    (root / "data/raw").mkdir(parents=True)
    table = root / "data/raw/calls.csv"
    made().to_csv(table, index=False)
    found = propose(table, "churned")
    (root / "conf/data/calls.yaml").write_text(contract_text(found.contract, table.name, ROWS))
    features = features_text("calls", found.derived, found.exclude)
    (root / "conf/features/calls.yaml").write_text(features)
    use = {"data": {"use": "calls"}, "features": {"use": "calls"}, "split": found.split}
    (root / "params.yaml").write_text(with_choices(SMALL, use, fresh=False))
    with chdir(root):
        asked = resolve(check=check)
        prepare(asked.data, asked.split)
        train(asked)
        evaluate(asked)
        bundle(asked)
    return root


@pytest.fixture(scope="module")
def answering(project: Path) -> Predictor:
    return load(project / "candidate")


@pytest.fixture(scope="module")
def row(project: Path) -> dict[str, Any]:
    content = json.loads((project / "candidate/golden.json").read_text())
    return dict(content[0]["row"])


@pytest.fixture
def offline(project: Path, tmp_path: Path) -> Callable[[pd.DataFrame, str], np.ndarray]:
    """Score a table with `mlops predict`."""

    def score(table: pd.DataFrame, suffix: str) -> np.ndarray:
        file, out = tmp_path / f"rows{suffix}", tmp_path / "scores.csv"
        table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
        predict(file, out, project / "candidate")
        return pd.read_csv(out)["probability_yes"].to_numpy()

    return score


def asked(answering: Predictor, rows: list[dict[str, Any]]) -> np.ndarray:
    return answering.answered(answering.decode(json.dumps(rows).encode()))


def test_what_was_adopted_is_in_the_model(answering: Predictor, project: Path) -> None:
    encoder = answering.loaded.encoder
    assert [*encoder.features] == [
        *("opened", "called_at_hour", "called_at_day_of_week", "birth_date_to_called_at_hours"),
        *("ticket_above", "opened_rounded_off", "comment_words"),
    ]
    assert len(encoder.names) == 6 + 64
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert metrics["holdout"]["roc_auc"]["value"] > 0.85
    importance = pd.read_csv(project / "reports/plots/importance.csv", index_col="feature")
    assert importance["drop"].idxmax() == "comment_words"
    assert set(importance.index) == {*encoder.features}
    content = json.loads((project / "candidate/manifest.json").read_text())
    assert content["features"] == [*encoder.features]
    profile = json.loads((project / "candidate/profile.json").read_text())
    assert [*profile["features"]] == [*encoder.features]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_and_a_request_are_answered_alike(
    answering: Predictor, offline: Callable[..., np.ndarray], suffix: str
) -> None:
    table = made()
    rows = table.drop(columns="churned").replace({"comment": {"": None}}).to_dict("records")
    whole = offline(table, suffix)
    np.testing.assert_array_equal(asked(answering, rows), whole)
    alone = np.concatenate([asked(answering, [one]) for one in rows[:30]])
    np.testing.assert_array_equal(alone, whole[:30])


def test_neighbours_that_float32_takes_for_one_stay_apart(
    answering: Predictor, row: dict[str, Any]
) -> None:
    tickets = [2_000_000_001, 2_000_000_002, 2_000_000_003]
    assert len(np.unique(np.float32(tickets))) == 1
    rows = [{**row, "ticket": n, "opened": n} for n in tickets]
    matrix = answering.matrix(answering.decode(json.dumps(rows).encode()))
    encoder = answering.loaded.encoder
    for names in (["ticket_above"], ["opened", "opened_rounded_off"]):
        places = [encoder.names.index(name) for name in names]
        assert len(np.unique(matrix[:, places], axis=0)) == 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
        | st.sampled_from(
            [
                "😡👍🏽",
                "e\u0301\u0323",
                "",
                " ",
                "\u00a0",
                "\u200b",
                "\x1c",
                "a\0b",
                "NA",
                "x" * 10**5,
            ]
        ),
        min_size=1,
        max_size=25,
    )
)
def test_any_text_is_the_same_to_a_table_and_a_request(
    answering: Predictor,
    offline: Callable[..., np.ndarray],
    row: dict[str, Any],
    suffix: str,
    texts: list[str],
) -> None:
    if suffix == ".csv":  # which has no such cells
        texts = ["".join(c for c in text if c.isprintable()) for text in texts]
    rows = [{**row, "comment": text} for text in texts]
    np.testing.assert_array_equal(asked(answering, rows), offline(pd.DataFrame(rows), suffix))


def test_half_a_character_is_refused(answering: Predictor, row: dict[str, Any]) -> None:
    with pytest.raises(Problem) as raised:
        answering.decode(json.dumps({**row, "comment": "\ud83d"}).encode())
    assert raised.value.status in (400, 422)


def test_a_text_is_explained_as_one_feature(answering: Predictor, row: dict[str, Any]) -> None:
    text = "third outage this week 😡 " * 20
    body = json.dumps({**row, "comment": text, "opened": 1_700_000_001}).encode()
    (found,) = explained(answering, body, "id").explanations
    values = {each.feature: each.value for each in found.contributions}
    assert set(values) == {*answering.loaded.encoder.features}
    assert values["comment_words"] == text[:200]
    assert values["opened"] == 1_700_000_001
    assert values["opened_rounded_off"] == 1_700_000_001 - int(np.float32(1_700_000_001))
    total = sum(each.contribution for each in found.contributions)
    assert total == pytest.approx(found.output - found.base, abs=1e-6)
