"""What settings refuse is said by file, key, value and remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from baked import SOURCE

from mlops.config.compose import resolve, settings_of
from mlops.config.settings import ConfigError, SearchRange, Settings
from mlops.config.value import Value
from mlops.contract import Column, Contract
from mlops.refusal import refusal

CONF = SOURCE / "conf"
ACTIONS = {name: {"brings": {True: -1, False: 0}} for name in ("nothing", "call")}
VALUE = {"currency": "EUR", "actions": ACTIONS}


def said(experiment: dict[str, Any], conf: Path = CONF) -> str:
    with pytest.raises(ConfigError) as error:
        settings_of(conf, experiment)
    return str(error.value).replace(f"{conf.parent}/", "")


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (
            {"evaluation": {"value": {"currencey": "EUR", "actions": ACTIONS}}},
            "params.yaml: evaluation.value.currencey is an unknown field: did you mean currency?",
        ),
        (
            {"evaluation": {"value": {"zzz": 1}}},
            "params.yaml: evaluation.value.zzz is an unknown field: choose from currency, actions, "
            "capacity",
        ),
        (
            {"evaluation": {"value": {"actions": ACTIONS}}},
            "params.yaml: evaluation.value lacks `currency`: add it",
        ),
        (
            {"evaluation": {"value": {**VALUE, "currency": "euro"}}},
            "params.yaml: evaluation.value.currency is 'euro': Expected `str` matching regex "
            "'^[A-Z]{3}$'",
        ),
        (
            {"split": {"holdout": -0.2}},
            "params.yaml: split.holdout is -0.2: `holdout` is a share between 0 and 1",
        ),
        (
            {"split": {"holdout": {"hash": 2}}},
            "params.yaml: split.holdout is 2: `holdout` is a share between 0 and 1",
        ),
        (
            {"tuning": {"use": "optuna", "workers": 0}},
            "params.yaml: tuning: `trials`, `patience`, `workers` and `batch` must "
            "be 1 or more (trials 50, patience 15, workers 0, batch 5)",
        ),
    ],
)
def test_it_names_file_key_value_and_remedy(experiment: dict[str, Any], expected: str) -> None:
    assert said(experiment) == expected


def test_what_conf_says_is_refused_there(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    file = conf / "split/hash.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(content | {"holdout": 3}))
    assert said({}, conf).startswith("conf/split/hash.yaml: split.holdout is 3: ")
    assert said({"split": {"holdout": 4}}, conf).startswith("params.yaml: split.holdout is 4: ")
    file.write_text(yaml.safe_dump(content | {"holdouts": 0.3}))
    assert said({}, conf) == (
        "conf/split/hash.yaml: split.holdouts is an unknown field: did you mean holdout?"
    )


@pytest.mark.parametrize(
    ("change", "keys", "expected"),
    [
        (lambda c: c["columns"]["a"].update(categories=[False, True]), "columns.a.categories.0",
         "is false: Expected `str`, got `bool`: write it in quotes"),
        (lambda c: c["columns"]["a"].update(typ="text"), "columns.a.typ", "did you mean type?"),
        (lambda c: c["columns"]["b"].update(min="low"), "columns.b.min",
         "is 'low': Expected `float | null`, got `str`"),
        (lambda c: c.pop("name"), "", "it lacks `name`: add it"),
        (lambda c: c["source"].update(format="cvs"), "source.format", "choose from csv, parquet"),
    ],
)  # fmt: skip
def test_of_mappings_and_lists_the_wrong_one_is_found(
    change: Callable[[dict[str, Any]], Any], keys: str, expected: str
) -> None:
    contract: dict[str, Any] = {
        "name": "c",
        "task": "binary",
        "source": {"format": "csv"},
        "columns": {
            "b": {"type": "number"},
            "a": {"type": "category", "categories": ["x", "y"], "role": "target"},
        },
    }
    assert msgspec.convert(contract, Contract)
    change(contract)
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(contract, Contract)
    found = refusal(error.value, contract, Contract)
    assert (".".join(found.keys), expected in found.said) == (keys, True), found.said


def test_a_key_that_yaml_reads_as_a_number_belongs_in_quotes() -> None:
    table = {"currency": "EUR", "actions": {**ACTIONS, "call": {"brings": {1.5: 2}}}}
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(table, Value)
    found = refusal(error.value, table, Value)
    assert found.said.startswith(
        "actions.call.brings: one of its keys: Expected `bool | int | str`"
    )
    assert "write it in quotes" in found.said


def test_a_long_value_is_cut_and_a_bare_error_is_said() -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert({"type": "x" * 500}, Column)
    assert len(refusal(error.value, {"type": "x" * 100}, Column).said) < 700
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert({}, SearchRange)
    assert (
        refusal(error.value, {}, SearchRange).said == "give either `low` and `high`, or `choices`"
    )


@pytest.mark.parametrize("text", ["", "model: {use: ridge}\n", "seed: 3\n"])
def test_an_experiment_without_data_says_what_it_takes(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    told: list[object] = []
    try:
        resolve(CONF, tmp_path / "params.yaml", None, say=told.append)
    except ConfigError:
        assert "ridge" in text  # the churn sample is no regression
    (line,) = told
    assert "params.yaml names no data: by " in str(line)
    assert "conf/config.yaml, data=churn, split=hash" in str(line)
    assert ("model=lightgbm" in str(line)) == ("ridge" not in text)


def test_the_default_experiment_says_nothing(tmp_path: Path) -> None:
    told: list[object] = []
    assert isinstance(resolve(CONF, SOURCE / "params.yaml", None, say=told.append), Settings)
    assert not told
