"""A value table decides: chosen on training rows, confirmed on the holdout, served as it is."""

import json
import re
import shutil
from argparse import Namespace
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from baked import SOURCE
from valued import TABLE, small

from mlops.bundle.contents import read as verified
from mlops.bundle.manifest import BundleError
from mlops.bundle.reading import load as loaded
from mlops.cli import stages
from mlops.config.compose import resolve
from mlops.config.settings import ConfigError, Settings
from mlops.config.settings import load as settings_of
from mlops.config.value import Value
from mlops.contract import Contract
from mlops.evaluation.decision import capacity
from mlops.evaluation.evaluate import evaluate
from mlops.features.agreement import check
from mlops.files import parse_yaml
from mlops.runtime.decision import HELD_OUT, DecisionError
from mlops.serving.endpoints.model import described
from mlops.serving.loading import load
from mlops.serving.protocol import outputs


def changed(valued: Path, root: Path, table: dict[str, Any] | None) -> Path:
    """Return a copy of the project with another table, evaluated anew."""
    shutil.copytree(valued, root)
    (root / "params.yaml").write_text(small(table))
    with chdir(root):
        resolve(say=lambda _: None)
        evaluate(settings_of())
    return root


def figures(root: Path) -> Any:
    return json.loads((root / "reports/metrics.json").read_text())["value"]


def test_the_threshold_is_near_what_costs_and_losses_say(valued: Path) -> None:
    """A call saves 40 less a fee of 10 in the mean, of who would leave, and costs 5: 1 in 6."""
    found = figures(valued)
    assert 0.08 < found["threshold"] < 0.27
    assert found["gain"]["nothing"]["low"] > 0
    assert found["gain"]["default"]["low"] > 0
    assert found["per_row"]["value"] == pytest.approx(
        found["otherwise"]["everyone"]["value"] + found["gain"]["everyone"]["value"], rel=1e-4
    )
    assert set(found["otherwise"]) == {"nothing", "everyone", "default"}


def test_the_holdout_has_no_say(valued: Path, tmp_path: Path) -> None:
    """With every label of the holdout turned round, the same threshold is chosen."""
    root = tmp_path / "turned"
    shutil.copytree(valued, root)
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in (root / "data/prepared/holdout").rglob("*.parquet"):
        table = pq.read_table(part)
        turned = pa.array([not one for one in table["left"].to_pylist()], pa.bool_())
        place = table.column_names.index("left")
        pq.write_table(table.set_column(place, "left", turned), part)
    with chdir(root):
        evaluate(settings_of())
    assert figures(root)["threshold"] == figures(valued)["threshold"]
    assert figures(root)["per_row"] != figures(valued)["per_row"]


def test_the_stage_says_what_it_is_worth(
    valued: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "said"
    shutil.copytree(valued, root)
    with chdir(root):
        stages.evaluate(Namespace())
    found = figures(valued)
    assert (
        f"call above {found['threshold']:g}: a row brings {found['per_row']['value']} EUR, "
        f"{found['gain']['nothing']['value']} (" in capsys.readouterr().out
    )


def test_bundle_card_and_report_show_it(valued: Path) -> None:
    bundle, found = valued / "candidate", figures(valued)
    decision = json.loads((bundle / "decision.json").read_text())
    assert decision["actions"] == ["nothing", "call"]
    assert decision["threshold"] == found["threshold"]
    assert decision["costs"] == [0, 5]
    assert not (bundle / HELD_OUT).exists()
    card = (bundle / "card.md").read_text()
    assert f"Above a probability of {found['threshold']:g} it is call, else nothing" in card
    html = (valued / "reports/report.html").read_text()
    assert "What its decisions are worth" in html
    assert re.search(r"nothing for everyone</td>", html)
    rows = re.findall(
        r'<tr><td>([^<]*)</td><td class="n">([^<]*)</td><td class="n">([^<]*)</td></tr>', html
    )
    assert rows[-3:] == [
        ("left is false", "0", "0"),
        ("left is true", "-40", "-1 times fee"),
        ("cost", "0", "5"),
    ]
    # What is decided elsewhere follows from it as well.
    assert loaded(bundle).settings.evaluation.threshold == found["threshold"]


def test_the_server_answers_with_the_decision(valued: Path) -> None:
    predictor = load(valued / "candidate")
    threshold = figures(valued)["threshold"]
    row = {"risk": 0.0, "fee": 3.0, "other": None}
    rows = predictor.decode(msgspec.json.encode([row | {"risk": r} for r in (-3.0, 0.2, 3.0)]))
    predictions = predictor.answered(rows)
    said = json.loads(predictor.answer(predictions, "a", rows))
    assert said["threshold"] == threshold
    for one, p in zip(said["predictions"], predictions, strict=True):
        assert one["action"] == ("call" if p > threshold else "nothing")
        assert one["prediction"] == ("true" if p > threshold else "false")
    assert {one["action"] for one in said["predictions"]} == {"call", "nothing"}
    schema = predictor.answer_schema()["properties"]["predictions"]["items"]
    assert schema["properties"]["action"]["enum"] == ["nothing", "call"]
    assert "action" in schema["required"]


def test_the_protocol_and_the_page_of_the_model_say_it_as_well(valued: Path) -> None:
    predictor = load(valued / "candidate")
    decision = predictor.loaded.decision
    assert decision is not None
    p = np.array([0.0, decision.threshold, np.nextafter(decision.threshold, 1)])
    contract = predictor.loaded.contract
    found = {
        one.name: one.values.tolist()
        for one in outputs(
            *(p, contract, predictor.threshold),
            actions=decision.actions,
            acted=predictor.loaded.acted(p),
        )
    }
    assert found["action"] == ["nothing", "nothing", "call"]
    assert found["prediction"] == ["false", "false", "true"]
    assert described(predictor).actions == ["nothing", "call"]


def test_a_table_is_scored_with_its_actions(valued: Path, tmp_path: Path) -> None:
    from mlops.cli import main

    with chdir(valued):
        given = ["data/raw/customers.csv", "--out", str(tmp_path / "scored.csv")]
        assert main(["predict", *given]) == 0
    scored = pd.read_csv(tmp_path / "scored.csv")
    above = scored["probability_true"] > figures(valued)["threshold"]
    assert ((scored["action"] == "call") == above).all()


def test_a_capacity_is_kept_and_costs(valued: Path, tmp_path: Path) -> None:
    free = figures(valued)
    limit = {"most": 10, "per": "day"}  # of 100 rows
    bound = figures(changed(valued, tmp_path / "bound", TABLE | {"capacity": limit}))
    assert bound["share"] == pytest.approx(0.1)
    assert bound["acted"] < 0.15 < free["acted"]
    assert bound["threshold"] > free["threshold"] == bound["break_even"]
    assert free["break_even"] is None
    assert bound["per_row"]["value"] < free["per_row"]["value"]
    spent = {"spend": 50, "per": "day"}
    same = figures(changed(valued, tmp_path / "spent", TABLE | {"capacity": spent}))
    assert same == bound  # a call costs 5


def test_its_weeks_are_those_of_predict(valued: Path, tmp_path: Path) -> None:
    """A Sunday and the Monday after it are two weeks, of 100 rows each."""
    contract = settings_of(valued / "resolved.yaml").data
    days = pa.array(["2026-01-04", "2026-01-05"]).cast(pa.timestamp("us"))
    for part in (valued / "data/prepared").rglob("*.parquet"):
        kept = tmp_path / part.relative_to(valued / "data/prepared")
        kept.parent.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(part)
        pq.write_table(table.filter(pc.field("day").isin(days)), kept)
    for per, share in (("day", 0.1), ("week", 0.1), ("month", 0.05)):
        value = msgspec.convert(TABLE | {"capacity": {"most": 10, "per": per}}, Value)
        assert capacity(value, tmp_path, contract) == pytest.approx(share)


def test_where_nothing_is_gained_everyone_is_left_alone(valued: Path, tmp_path: Path) -> None:
    table = json.loads(json.dumps({"actions": {}, "currency": "EUR"}))
    table["actions"] = {
        "nothing": {"brings": {True: 0, False: 0}},
        "call": {"brings": {True: 0, False: 0}, "cost": 5},
    }
    root = changed(valued, tmp_path / "idle", table)
    assert figures(root)["threshold"] == 1.0
    assert figures(root)["acted"] == 0
    report = (root / "reports/report.html").read_text()
    assert "no row is worth call by the value table" in report


def test_another_table_runs_no_fit_again(valued: Path, tmp_path: Path) -> None:
    """What each stage names of resolved.yaml is what DVC compares."""
    other = json.loads(json.dumps(TABLE | {"currency": "USD"}).replace("true", "True"))
    other["actions"] = TABLE["actions"]
    root = changed(valued, tmp_path / "dollars", other)
    declared = yaml.safe_load((SOURCE / "dvc.yaml").read_text())["stages"]

    def named(folder: Path, stage: str) -> list[Any]:
        resolved = yaml.safe_load((folder / "resolved.yaml").read_text())
        found = []
        for part in declared[stage]["params"]:
            for key in part.get("resolved.yaml") or ():
                node: Any = resolved
                for step in key.split("."):
                    node = node[step]
                found.append(node)
        return found

    again = [
        s for s in ("prepare", "train", "evaluate", "bundle") if named(valued, s) != named(root, s)
    ]
    assert again == ["evaluate", "bundle"]


def test_a_decision_of_another_table_is_refused(valued: Path, tmp_path: Path) -> None:
    from served import resign

    bundle = tmp_path / "bundle"
    shutil.copytree(valued / "candidate", bundle)
    text = (bundle / "decision.json").read_text()
    for wrong in (text.replace("call", "gift"), text.replace("EUR", "USD"), "{}", "[" * 9999):
        (bundle / "decision.json").write_text(wrong)
        resign(bundle)
        with pytest.raises(BundleError, match=r"decision.json of the bundle cannot be used"):
            loaded(bundle)
    (bundle / "decision.json").unlink()
    resign(bundle)
    with pytest.raises(BundleError, match="rebuild it with `dvc repro`"):
        load(bundle)


def test_without_predictions_of_folds_nothing_is_chosen(valued: Path, tmp_path: Path) -> None:
    root = tmp_path / "bare"
    shutil.copytree(valued, root)
    (root / "model" / HELD_OUT).unlink()
    with chdir(root), pytest.raises(DecisionError, match="run `dvc repro`"):
        evaluate(settings_of())


def parsed(valued: Path, **parts: Any) -> Settings:
    return msgspec.structs.replace(settings_of(valued / "resolved.yaml"), **parts)


def refused(valued: Path, change: Callable[[dict[str, Any]], Any]) -> str:
    table = json.loads(json.dumps(TABLE))
    table["actions"] = {
        name: {**one, "brings": dict(one["brings"])} for name, one in TABLE["actions"].items()
    }
    change(table)
    settings = settings_of(valued / "resolved.yaml")
    asked = msgspec.structs.replace(settings.evaluation, value=msgspec.convert(table, Value))
    with pytest.raises(ConfigError) as error:
        check(msgspec.structs.replace(settings, evaluation=asked), {})
    return str(error.value)


def test_tables_that_do_not_fit_are_sentences(valued: Path) -> None:
    def column(name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda table: table["actions"]["call"].update(cost=name)

    assert "fee" not in refused(valued, column("nowhere"))
    for name in ("nowhere", "other", "day", "left"):
        assert f"reads amounts from {name}, which is no number" in refused(valued, column(name))
    said = refused(valued, lambda t: t["actions"]["call"]["brings"].update(maybe=1))
    assert "brings has true, false, maybe, and left is false or true" in said
    settings = settings_of(valued / "resolved.yaml")
    untrained = msgspec.structs.replace(settings.training, folds=0)
    with pytest.raises(ConfigError, match=r"set training.folds to 5 in params.yaml"):
        check(msgspec.structs.replace(settings, training=untrained), {})


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (-12, "cost is -12, and a cost is 0 or more, .*: write 12, or add"),
        ({"column": "fee", "times": -2}, "cost is -2 times fee, .*: write times 2, or add"),
    ],
)
def test_a_cost_below_0_is_refused_with_what_to_write(valued: Path, cost: Any, said: str) -> None:
    assert re.search(said, refused(valued, lambda t: t["actions"]["call"].update(cost=cost)))


def test_a_cost_of_a_column_that_may_be_below_0_is_taken(valued: Path) -> None:
    settings = settings_of(valued / "resolved.yaml")
    columns = dict(settings.data.columns)
    columns["fee"] = msgspec.structs.replace(columns["fee"], min=None)
    cheap = TABLE["actions"]["nothing"] | {"cost": {"column": "fee", "times": -1}}
    actions = {**TABLE["actions"], "nothing": cheap}
    msgspec.convert(TABLE | {"actions": actions}, Value).check(
        msgspec.structs.replace(settings.data, columns=columns), 5
    )


def _words(brings: str) -> tuple[Value, Contract]:
    """Return a table as it is written, for a target whose labels are the texts no and yes."""
    actions = f"{{nothing: {{{brings}}}, call: {{{brings}}}}}"
    target = {"type": "category", "categories": ["no", "yes"], "role": "target"}
    columns = {"n": {"type": "number"}, "churned": target}
    table = parse_yaml(f"{{currency: EUR, actions: {actions}}}")
    contract = {"name": "c", "task": "binary", "source": {"format": "csv"}, "columns": columns}
    return msgspec.convert(table, Value), msgspec.convert(contract, Contract)


def test_labels_that_yaml_reads_as_true_belong_in_quotes() -> None:
    value, contract = _words("brings: {yes: -120, no: 0}")
    said = 'write "no" and "yes" in quotes, since YAML reads no as false and yes as true'
    with pytest.raises(
        ValueError, match=f"brings has true, false, and churned is no or yes: {said}"
    ):
        value.check(contract, 5)
    value, contract = _words('brings: {"yes": -120, "no": 0}')  # the remedy
    value.check(contract, 5)


def test_a_regression_decides_nothing(promising: Callable[[str], Path]) -> None:
    settings = settings_of(promising("regression") / "resolved.yaml")
    asked = msgspec.structs.replace(settings.evaluation, value=msgspec.convert(TABLE, Value))
    with pytest.raises(ConfigError, match="target of labels, and price is a number: leave it"):
        check(msgspec.structs.replace(settings, evaluation=asked), {})


def test_three_actions_of_two_labels_are_refused(valued: Path) -> None:
    settings = settings_of(valued / "resolved.yaml")
    gift = {"gift": {"brings": {True: 1, False: 1}}}
    table = TABLE | {"actions": TABLE["actions"] | gift}
    asked = msgspec.structs.replace(settings.evaluation, value=msgspec.convert(table, Value))
    with pytest.raises(ConfigError, match=r"two labels are two.* and not 3: compare more of them"):
        check(msgspec.structs.replace(settings, evaluation=asked), {})


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "euro"},
        {"actions": {"nothing": {"brings": {True: 1}}}},
        {"actions": {"a": {"brings": {True: float("inf")}}, "b": {"brings": {}}}},
        {"capacity": {"most": 5}},
        {"capacity": {"share": 0.1, "per": "day"}},
        {"capacity": {"share": 0.1, "most": 5, "per": "day"}},
        {"capacity": {"share": 1.5}},
        {"capacity": {"most": 5, "per": "year"}},
    ],
)
def test_tables_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(TABLE | change, Value)


def test_the_digest_of_a_bundle_holds_the_decision(valued: Path) -> None:
    assert "decision.json" in verified(valued / "candidate").manifest["files"]
