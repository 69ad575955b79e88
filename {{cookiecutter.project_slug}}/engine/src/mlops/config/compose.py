"""params.yaml + conf/ -> resolved.yaml, through Hydra's compose API."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..files import check_yaml, write_text
from ..metrics.catalogue import check as check_metrics
from .expansion import expanded
from .experiment import EXPERIMENT, Experiment, choices, plain, read_experiment
from .settings import LOCK, RESOLVED, ConfigError, Settings

CONF = Path("conf")
LONG = ("data", "features")
POLICY = ("gate", "monitoring")  # the gate reads that of the base branch
SECONDS = 60.0
KEPT = 8  # compositions
HEADER = "# Written by `mlops resolve` from params.yaml and conf/: change those, not this.\n"

_composed: dict[str, DictConfig] = {}


class _LateError(BaseException):
    """Composing takes too long; no Exception, which OmegaConf would take for one of its own."""


def resolve(
    conf: Path = CONF,
    experiment: Path = EXPERIMENT,
    out: Path | None = RESOLVED,
    check: Callable[[Settings, Mapping[str, str]], None] | None = None,
    say: Callable[[str], object] = print,
) -> Settings:
    """Compose the experiment, check it, and write it to `out`, if anywhere.

    `check` gets the settings and the choice of each part, and raises where they do not fit; `say`
    gets what was left out of the experiment.
    """
    asked = read_experiment(experiment)
    if (unsaid := Experiment.parse(conf, asked).unsaid) is not None:
        say(f"check: {unsaid}")
    resolved = composed(conf, asked, say)
    settings = Settings.parse(resolved, Experiment.parse(conf, asked).place)
    check_task(conf, settings)
    check_metrics(settings.evaluation.measured, settings.data.task)
    if check is not None:
        check(settings, Experiment.parse(conf, asked).used)
    if out is not None:
        content = written(resolved)
        body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        write_text(out, HEADER + body)
    return settings


def settings_of(conf: Path, content: Mapping[str, Any]) -> Settings:
    """Return the settings of an experiment; an error names the file in which it was written."""
    return Settings.parse(composed(conf, content), Experiment.parse(conf, content).place)


def written(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what resolved.yaml holds: no policy, which makes no other candidate."""
    read = {part: section for part, section in resolved.items() if part not in POLICY}
    return {**read, "digests": digests(read)}


def digests(resolved: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of the long parts, and of all.

    A stage that depends on one as a DVC parameter spares dvc.lock a copy of the contract, and
    `dvc exp show` a column for each of its entries.
    """
    parts = {name: resolved[name] for name in LONG} | {"all": dict(resolved)}
    return {name: sha256(json.dumps(part).encode()).hexdigest() for name, part in parts.items()}


def composed(
    conf: Path, content: Mapping[str, Any], say: Callable[[str], object] = str
) -> dict[str, Any]:
    """Return the experiment with every choice loaded, overridden and interpolated.

    `say` gets a sentence for each change that is left out, since it is one of another choice.
    Raises ConfigError, naming file, key and allowed values, for a part, choice or key that
    does not exist, a value of another type, and a value that must be given and is not.
    """
    experiment = Experiment.parse(conf, content)
    OmegaConf.register_new_resolver("task", _by_task, replace=True)
    OmegaConf.register_new_resolver("lock", partial(_lock, conf.parent), replace=True)
    try:
        with _in_time():
            config = _chosen(conf, experiment.used)
            for left in experiment.apply(config):
                say(f"check: {left}")
            _check_given(conf, config, experiment.used)
            whole = dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    except _LateError as error:
        raise ConfigError(
            f"{conf}/ and params.yaml are not composed within {SECONDS:g} seconds: look for "
            "`${…}` that stands for more `${…}`"
        ) from error
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{conf}/ and params.yaml cannot be composed: {reason}") from error
    return expanded(conf, whole)


def _chosen(conf: Path, used: Mapping[str, str]) -> DictConfig:
    """Return the choices as conf/ has them, a copy of its own.

    Kept by what the files hold: the gate composes three times, mostly from the same choices.
    """
    texts = {}
    for file in {*conf.glob("*/*.yaml"), *conf.rglob("*.yaml")}:  # that may be links to folders
        text = texts[file.relative_to(conf).as_posix()] = file.read_text(encoding="utf-8")
        check_yaml(text)  # before Hydra writes its aliases out
    named = [f"{part}='{name}'" for part, name in used.items()]
    known = sha256(json.dumps([sorted(texts.items()), named]).encode()).hexdigest()
    if known not in _composed:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            while len(_composed) >= KEPT:
                del _composed[next(iter(_composed))]
            _composed[known] = compose("config", overrides=named)
    return deepcopy(_composed[known])


@contextmanager
def _in_time() -> Iterator[None]:
    """Raise _LateError after SECONDS: a chain of interpolations doubles with every link.

    Where signals cannot tell the time, nothing does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise _LateError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_task(conf: Path, settings: Settings) -> None:
    """Raise ConfigError where the chosen model does not suit the task that the target sets."""
    task = settings.data.task
    if task in settings.model.tasks:
        return
    suiting = [
        name
        for name in choices(conf, "model")
        if task in plain(conf / "model" / f"{name}.yaml").get("tasks", ())
    ]
    raise ConfigError(
        f"params.yaml: this model does {', '.join(settings.model.tasks)}, and "
        f"conf/data/{settings.data.name}.yaml sets the task {task}: "
        f"set model.use to one of {', '.join(suiting)}"
    )


def _by_task(binary: Any, multiclass: Any, regression: Any, *, _root_: DictConfig) -> Any:
    """Resolve `${task:a,b,c}` to the value for the task that the data sets."""
    return {"binary": binary, "multiclass": multiclass, "regression": regression}[_root_.data.task]


def _lock(root: Path, name: str) -> str:
    """Resolve `${lock:name}` to the lock of that name and its digest: another one is a change."""
    file = LOCK.with_stem(name)
    if not (root / file).is_file():
        raise ConfigError(f"{file} is missing: run `make lock`")
    return f"{name}@{sha256((root / file).read_bytes()).hexdigest()}"


def _check_given(conf: Path, config: DictConfig, used: Mapping[str, str]) -> None:
    """Raise ConfigError where a value that a choice leaves open (`???`) is still open."""
    for missing in sorted(OmegaConf.missing_keys(config)):
        part, _, key = missing.partition(".")
        raise ConfigError(
            f"{conf}/{part}/{used.get(part)}.yaml leaves {key} open: "
            f"give {missing} a value in params.yaml"
        )
