"""Of several labels, a row gets the action that is worth most by its probabilities, everywhere."""

import json
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from in_process import in_process
from valued import BIDDING

from mlops.bundle.reading import load as read
from mlops.cli import main
from mlops.config.settings import ConfigError
from mlops.config.settings import load as settings_of
from mlops.config.value import Value
from mlops.data import prepared
from mlops.features.agreement import check
from mlops.gate.case import Case, Judged
from mlops.gate.rule import configured
from mlops.git.repository import Repository
from mlops.runtime.expectation import Expected
from mlops.serving.endpoints.model import described
from mlops.serving.loading import load
from mlops.serving.protocol import outputs


def holdout(root: Path) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the columns, the target and what the bundle says of them."""
    contract = settings_of(root / "resolved.yaml").data
    columns = prepared.read(root / "data/prepared/holdout", contract)
    target = prepared.target(columns, contract)
    return columns, target, read(root / "candidate").answer(columns)


def test_the_action_is_that_of_a_search_alone_and_among_others() -> None:
    random = np.random.default_rng(2)
    expected = Expected(("a", "b", "c"), "EUR", random.normal(size=(3, 4)))
    p = random.dirichlet(np.ones(4), 500)
    codes = expected.codes(p)
    worth = expected.worth
    for row, code in zip(p, codes, strict=True):
        each = [sum(row[k] * one[k] for k in range(4)) for one in worth]
        assert each[code] == pytest.approx(max(each))
        assert expected.codes(row[None, :])[0] == code
    level = Expected(("a", "b"), "EUR", np.ones((2, 4)))
    assert (level.codes(p) == 0).all()  # of equals, the one that is declared first


def test_the_holdout_says_what_it_is_worth_against_each_action(bidding: Path) -> None:
    figures = json.loads((bidding / "reports/metrics.json").read_text())["value"]
    _, target, p = holdout(bidding)
    expected = read(bidding / "candidate").expected
    assert expected is not None
    assert expected.worth.tolist() == [[0, 0, 0], [-2, 4, 6], [-21, -3, 13]]
    codes = expected.codes(p)
    assert figures["per_row"]["value"] == pytest.approx(expected.worth[codes, target].mean(), 1e-4)
    assert set(figures["otherwise"]) == {"pass", "visit", "bid", "by the likeliest label"}
    assert all(figures["gain"][name]["low"] > 0 for name in BIDDING["actions"])
    assert sum(figures["acted"].values()) == pytest.approx(1, abs=1e-4)
    report = (bidding / "reports/report.html").read_text()
    assert "It is what is worth most by the probabilities and the value table" in report
    assert "bid for everyone" in report
    assert "worth most by the probabilities" in (bidding / "candidate/card.md").read_text()
    assert not (bidding / "candidate/decision.json").exists()


def test_server_protocol_and_table_take_the_same_action(
    bidding: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = load(bidding / "candidate")
    rows = [{"size": s, "kind": "flat", "new": True} for s in (0.5, 4.0, 5.5, 9.5)]
    decoded = predictor.decode(msgspec.json.encode(rows))
    p = predictor.answered(decoded)
    assert predictor.loaded.expected is not None
    names = [list(BIDDING["actions"])[code] for code in predictor.loaded.expected.codes(p)]
    said = json.loads(predictor.answer(p, "a", decoded))
    assert [one["action"] for one in said["predictions"]] == names
    assert {"pass", "bid"} <= set(names)
    assert "threshold" not in said
    schema = predictor.answer_schema()["properties"]["predictions"]["items"]
    assert schema["properties"]["action"]["enum"] == ["pass", "visit", "bid"]
    contract = predictor.loaded.contract
    given = {"actions": predictor.loaded.actions, "acted": predictor.loaded.acted(p)}
    found = {one.name: one.values.tolist() for one in outputs(p, contract, 0.5, **given)}
    assert found["action"] == names
    assert described(predictor).actions == ["pass", "visit", "bid"]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    with chdir(bidding):
        assert main(["predict", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "a.csv")]) == 0
    assert pd.read_csv(tmp_path / "a.csv")["action"].tolist() == names


def test_the_gate_judges_money_by_its_own_table(bidding: Path) -> None:
    columns, target, p = holdout(bidding)
    settings = settings_of(bidding / "resolved.yaml")
    judged = Judged(bidding / "candidate", in_process(bidding / "candidate"), p)
    case = Case(Repository(bidding), settings, judged, None, columns, target)

    def verdicts(table: dict[str, Any], by: Judged = judged) -> list[str]:
        section = {"table": table, "at_least": 1.0, "sides": "two"}
        return [
            one.verdict for one in configured("value", section).judge(replace(case, candidate=by))
        ]

    assert verdicts(BIDDING) == ["passed"]
    shuffled = np.random.default_rng(1).permutation(p)
    assert verdicts(BIDDING, replace(judged, predictions=shuffled)) == ["rejected"]
    two = {"currency": "EUR", "actions": {"a": {"brings": {True: 1, False: 0}},
                                          "b": {"brings": {True: 0, False: 1}}}}  # fmt: skip
    assert verdicts(two) == ["rejected"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"capacity": {"share": 0.1}}, "capacity is of a target of two labels"),
        ({"actions": {"pass": {"brings": {"low": 0, "middle": 0, "high": "size"}},
                      "bid": {"brings": {"low": 0, "middle": 0, "high": 0}}}}, "write numbers"),
        ({"actions": {"pass": {"brings": {"low": 0, "high": 0}},
                      "bid": {"brings": {"low": 0, "high": 0}}}}, "give each an amount"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(
    bidding: Path, change: dict[str, Any], said: str
) -> None:
    settings = settings_of(bidding / "resolved.yaml")
    value = msgspec.convert(BIDDING | change, Value)
    asked = msgspec.structs.replace(settings.evaluation, value=value)
    with pytest.raises(ConfigError, match=said):
        check(msgspec.structs.replace(settings, evaluation=asked), {})
