"""params.yaml is read as a mapping of parts, or refused in a sentence."""

from pathlib import Path

import pytest
from baked import SOURCE

from mlops.config.experiment import Experiment, choices, read_experiment
from mlops.config.settings import ConfigError

CONF = SOURCE / "conf"


@pytest.mark.parametrize("text", ["- a\n", "model: {use: [}", "a: 1\na: 2\n"])
def test_unreadable_experiment(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        read_experiment(path)


def test_missing_experiment_names_the_folder_to_run_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root folder"):
        read_experiment(tmp_path / "params.yaml")


def test_empty_experiment_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("# nothing changed\n")
    assert read_experiment(tmp_path / "params.yaml") == {}


def test_choice_and_changes_are_told_apart() -> None:
    experiment = Experiment.parse(CONF, {"model": {"use": "logistic", "C": 2.0}, "seed": 3})
    assert experiment.used["model"] == "logistic"
    assert experiment.used["data"] == "churn"
    assert experiment.changes == {"model": {"C": 2.0}, "seed": 3}


def test_choices_are_the_files_of_the_part() -> None:
    assert choices(CONF, "split") == ["group", "hash", "time"]
    assert choices(CONF, "nothing") == []
