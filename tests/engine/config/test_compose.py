"""The experiment composes, and every way to get it wrong says how to get it right."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE

from mlops.config import compose
from mlops.config.compose import check_task, composed, digests, resolve
from mlops.config.experiment import choices
from mlops.config.settings import ConfigError, Settings

CONF = SOURCE / "conf"
PARTS = sorted(
    p.name for p in CONF.iterdir() if p.is_dir() and p.name not in ("serving", "compute")
)


def settings(experiment: dict[str, Any]) -> Settings:
    parsed = Settings.parse(composed(CONF, experiment))
    check_task(CONF, parsed)
    return parsed


def test_defaults_compose() -> None:
    assert settings({}).model.target == "lightgbm.LGBMClassifier"


@pytest.mark.parametrize(
    ("part", "name"),
    [(part, name) for part in PARTS for name in choices(CONF, part)],
)
def test_every_choice_composes(part: str, name: str) -> None:
    section: dict[str, Any] = {"use": name}
    if (part, name) == ("split", "time"):
        section["cutoff"] = "2025-10-01"
    assert Settings.parse(composed(CONF, {part: section}))


def test_override_reaches_the_estimator() -> None:
    given = {"model": {"n_estimators": 300}}
    assert settings(given).model.parameters["n_estimators"] == 300


def test_a_composition_is_known_by_what_its_files_say(tmp_path: Path) -> None:
    before = composed(CONF, {})
    copy = tmp_path / "conf"
    shutil.copytree(CONF, copy)
    assert composed(copy, {"model": {"n_estimators": 7}})["model"]["n_estimators"] == 7
    file = copy / "model/lightgbm.yaml"
    file.write_text(file.read_text("utf-8").replace("\nnum_leaves: ", "\nnum_leaves: 1"), "utf-8")
    after = composed(copy, {})
    assert after["model"]["num_leaves"] == int(f"1{before['model']['num_leaves']}")
    assert composed(CONF, {}) == before  # nor did the change of a copy stay


def test_a_change_of_another_choice_is_left_out_and_said() -> None:
    changes = {"max_iter": 300, "search": {"C": {"low": 1, "high": 2}}}
    said: list[str] = []
    resolved = composed(CONF, {"model": {"use": "forest", **changes}}, said.append)
    assert resolved == composed(CONF, {"model": {"use": "forest"}})
    assert [line.partition(" is ")[0].rpartition(".")[2] for line in said] == ["max_iter", "C"]
    assert "model.use=boosting or logistic or quantile and left out with forest" in said[0]
    assert "`max_iter: {boosting: 300}`" in said[0]


def test_a_change_by_choice_is_of_that_choice_alone() -> None:
    change = {"max_iter": {"boosting": 300, "logistic": 900}}
    said: list[str] = []
    for used, expected in (("boosting", 300), ("logistic", 900), ("forest", None)):
        model = composed(CONF, {"model": {"use": used, **change}}, said.append)["model"]
        assert model.get("max_iter") == expected
    search = {"search": {"max_iter": {"boosting": {"high": 9}}}}
    ranges = composed(CONF, {"model": {"use": "boosting", **search}})["model"]["search"]
    assert (ranges["max_iter"]["low"], ranges["max_iter"]["high"]) == (50, 9)
    assert not said


def test_what_another_choice_had_stops_no_switch() -> None:
    """Of every part, with the changes that the sample's choice could have."""
    changes: dict[str, Any] = {
        "split": {"use": "time", "cutoff": "2026-01-01"},
        "tuning": {"use": "optuna", "trials": 5, "workers": 1},
        "model": {"use": "logistic", "C": 3.0, "max_iter": 7},
        "features": {"use": "churn", "derived": {"log_usage": {"owner": "me"}}},
    }
    for part, section in changes.items():
        for name in choices(CONF, part):
            if (part, name) not in (("split", "time"), ("tuning", "optuna")):
                composed(CONF, {part: {**section, "use": name}})


def test_the_default_experiment_says_nothing_to_another_choice() -> None:
    experiment = yaml.safe_load((SOURCE / "params.yaml").read_text())
    assert set(experiment) == set(PARTS)
    for name in choices(CONF, "model"):
        switched = {**experiment["model"], "use": name}
        plain = composed(CONF, {"model": {"use": name}})
        assert composed(CONF, {**experiment, "model": switched}) == plain


def test_top_level_value() -> None:
    assert settings({"seed": 7}).seed == 7


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"modle": {}}, "no part 'modle': the parts are data"),
        ({"model": 3}, "model must be a mapping"),
        ({"model": {"use": "bosting"}}, "conf/model/ offers boosting, catboost"),
        ({"model": {"max_iter": {"forest": 3}}}, "model.max_iter is not in conf/model/forest.yaml"),
        ({"model": {"use": "forest", "max_iter": {"forest": 3}}}, "which has _target_, inputs"),
        ({"model": {"use": "forest", "max_itr": {"boosting": 3}}}, "conf/model/boosting.yaml"),
        (
            {"model": {"use": "boosting", "max_iter": {"boosting": "many"}}},
            "model.max_iter is 'many'",
        ),
        (
            {"model": {"use": "boosting", "max_iter": {"bosting": 3}}},
            "model.max_iter is given by choice, and bosting is no file of conf/model/: did you "
            "mean boosting?",
        ),
        (
            {"model": {"n_estimators": {"lightgbm": 170, "elsewhere": 3}}},
            "elsewhere is no file of conf/model/: choose from boosting",
        ),
        (
            {"model": {"use": "boosting", "max_features": {"boosting": "sqrt"}}},
            "a number belongs there",
        ),
        ({"model": {"n_estimator": 3}}, "model.n_estimator is not in"),
        ({"model": {"n_estimators": "many"}}, "model.n_estimators is 'many'"),
        ({"evaluation": {"slices": {"min_row": 3}}}, "which has min_rows, max_categories"),
        ({"evaluation": {"metrics": "accuracy"}}, "a list belongs there"),
        ({"split": {"use": "time"}}, "leaves cutoff open"),
        ({"split": {"holdout": 1.5}}, "share between 0 and 1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"training": {"folds": 1}}, "0 for none, or 2 or more"),
        ({"tuning": {"use": "optuna", "workers": 0}}, "must be 1 or more"),
        ({"seed": True}, "seed is True"),
        ({"training": {"calibration": "iso"}}, "choose from isotonic, none, sigmoid"),
        ({"model": {"use": "ridge"}}, "set model.use to one of boosting, catboost, dummy, ebm"),
    ],
)
def test_mistakes_are_refused_with_the_remedy(experiment: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(experiment)
    assert said in str(error.value).replace(f"{CONF.parent}/", "")


def test_resolved_holds_values_and_no_interpolation(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("model: {use: logistic, C: 0.5}\n")
    out = tmp_path / "resolved.yaml"
    resolve(CONF, tmp_path / "params.yaml", out)
    text = out.read_text()
    assert "${" not in text
    assert yaml.safe_load(text)["model"]["C"] == 0.5


def test_digests_change_with_their_part_alone() -> None:
    resolved = composed(CONF, {})
    before = digests(resolved)
    assert digests(composed(CONF, {})) == before
    resolved["model"]["n_estimators"] = 7
    assert {name for name, value in digests(resolved).items() if value != before[name]} == {"all"}
    resolved["data"]["owner"] = "another"
    changed = {name for name, value in digests(resolved).items() if value != before[name]}
    assert changed == {"all", "data"}


def test_refused_experiment_leaves_resolved_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("model: {use: nothing}\n")
    out = tmp_path / "resolved.yaml"
    out.write_text("before")
    with pytest.raises(ConfigError):
        resolve(CONF, tmp_path / "params.yaml", out)
    assert out.read_text() == "before"


@pytest.mark.parametrize("linked", [False, True])
def test_aliases_of_aliases_are_refused(tmp_path: Path, linked: bool) -> None:
    conf = shutil.copytree(CONF, tmp_path / "conf")
    lines = [f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 * (n > 0)}x]" for n in range(12)]
    (conf / "gate/standard.yaml").write_text("\n".join(lines))
    if linked:
        (conf / "gate").rename(tmp_path / "elsewhere")
        (conf / "gate").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="its aliases stand for more than"):
        composed(conf, {})


def test_interpolations_of_interpolations_end_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = shutil.copytree(CONF, tmp_path / "conf")
    lines = [f"a{n}: ${{gate.a{n - 1}}}${{gate.a{n - 1}}}" for n in range(1, 30)]
    (conf / "gate/standard.yaml").write_text("\n".join(["rules: {}", "a0: x", *lines]))
    before = signal.getsignal(signal.SIGALRM)
    with (
        monkeypatch.context() as patch,
        pytest.raises(ConfigError, match="not composed within 1 seconds"),
    ):
        patch.setattr(compose, "SECONDS", 1.0)
        composed(conf, {})
    assert signal.getsignal(signal.SIGALRM) is before
    assert composed(CONF, {})["gate"]["rules"]


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def refuse(_: Settings, used: Any) -> None:
        raise ConfigError(f"conf/features/{used['features']}.yaml")

    params, out = tmp_path / "params.yaml", tmp_path / "resolved.yaml"
    params.write_text("features: {use: columns}\n")
    out.write_text("before")
    with pytest.raises(ConfigError, match=r"conf/features/columns\.yaml"):
        resolve(CONF, params, out, refuse)
    assert out.read_text() == "before"
