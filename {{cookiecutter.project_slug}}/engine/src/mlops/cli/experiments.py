"""Experiments beside the pipeline."""

import argparse
from pathlib import Path

from .verb import Arguments, Verb

FOLDS = 5


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(compare, "fit every model of conf/model to the training rows, and say which is best")
    add.add_argument("models", nargs="*", metavar="MODEL", help="these alone (default: all)")
    add.add_argument("--folds", type=_folds, default=FOLDS, metavar="N", help=f"default: {FOLDS}")
    add.add_argument("--out", type=Path, default=Path("reports/models.html"))


def compare(arguments: Arguments) -> None:
    from ..config.compose import CONF, settings_of
    from ..config.experiment import EXPERIMENT, Experiment, choices, read_experiment
    from ..config.settings import ConfigError
    from ..errors import ProjectError
    from ..evaluation.report.models import page
    from ..files import write_text
    from ..metrics.catalogue import known
    from ..progress import progress
    from ..training.comparison import compare, shown
    from ..training.fitting import DATA

    asked = read_experiment(EXPERIMENT)
    used = Experiment.parse(CONF, asked).used["model"]
    suiting = {}
    for name in arguments.models or choices(CONF, "model"):
        # What params.yaml changes is meant for the choice that it has.
        model = asked.get("model", {}) if name == used else {"use": name}
        settings = settings_of(CONF, {**asked, "model": model})
        if settings.data.task in settings.model.tasks:
            suiting[name] = settings
    if not suiting:
        raise ConfigError("none of these models does the task: name one of `mlops compare` alone")
    if not DATA.is_dir():
        raise ProjectError("there are no prepared rows: run `dvc repro prepare`")
    with progress(title="models", total=len(suiting) * arguments.folds, unit="fit") as bar:
        rows = compare(suiting, arguments.folds, say=print, done=lambda: bar.update(1))
    if not rows:
        raise ProjectError("no model could be fitted: see above")
    settings = suiting[rows[0].name]
    write_text(arguments.out, page(settings, rows, arguments.folds))
    print(shown(rows, known()[settings.evaluation.primary].title))
    print(f"As a picture: {arguments.out}")


def _folds(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError("give 2 or more")
    return int(text)
