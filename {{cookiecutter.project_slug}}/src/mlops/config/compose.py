"""params.yaml + conf/ -> resolved.yaml, through Hydra's compose API."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..files import write_text
from .settings import RESOLVED, ConfigError, Settings

CONF = Path("conf")
EXPERIMENT = Path("params.yaml")
HEADER = "# Written by `mlops resolve` from params.yaml and conf/: change those, not this.\n"


def resolve(conf: Path = CONF, experiment: Path = EXPERIMENT, out: Path = RESOLVED) -> Settings:
    """Compose the experiment, check it, and write it to `out`."""
    resolved = composed(conf, read_experiment(experiment))
    settings = Settings.parse(resolved)
    check_task(conf, settings)
    body = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=100)
    write_text(out, HEADER + body)
    return settings


def read_experiment(path: Path) -> dict[str, Any]:
    """Return what params.yaml says, or raise ConfigError where it is not a mapping of parts."""
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: run this in the project's root folder") from error
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path} is not valid YAML: {_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must map each part to its choice, like `model: {{use: …}}`")
    return {str(key): value for key, value in content.items()}


def choices(conf: Path, part: str) -> list[str]:
    """Return the choices that conf/ offers for one part, by name."""
    return sorted(path.stem for path in (conf / part).glob("*.yaml"))


def composed(conf: Path, experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiment with every choice loaded, overridden and interpolated.

    Raises ConfigError, naming file, key and allowed values, for a part, choice or key that
    does not exist, a value of another type, and a value that must be given and is not.
    """
    parts = sorted(path.name for path in conf.iterdir() if path.is_dir())
    used, overrides = _split(conf, experiment, parts)
    OmegaConf.register_new_resolver("task", _by_task, replace=True)
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            config = compose("config", overrides=[f"{part}={name}" for part, name in used.items()])
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"{conf}/ cannot be composed: {_line(error)}") from error
    selected = _defaults(conf) | used
    for part, section in overrides.items():
        _override(conf, config, selected, part, section)
    if missing := sorted(OmegaConf.missing_keys(config)):
        part, _, key = missing[0].partition(".")
        raise ConfigError(
            f"{conf}/{part}/{selected.get(part)}.yaml leaves {key} open: "
            f"give {missing[0]} a value in params.yaml"
        )
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(f"{conf}/ cannot be resolved: {_line(error)}") from error


def check_task(conf: Path, settings: Settings) -> None:
    """Raise ConfigError where the chosen model does not suit the task that the target sets."""
    task = settings.data.task
    if task in settings.model.tasks:
        return
    suiting = [
        name
        for name in choices(conf, "model")
        if task in (OmegaConf.load(conf / "model" / f"{name}.yaml").get("tasks") or ())
    ]
    raise ConfigError(
        f"params.yaml: this model does {', '.join(settings.model.tasks)}, and "
        f"conf/data/{settings.data.name}.yaml sets the task {task}: "
        f"set model.use to one of {', '.join(suiting)}"
    )


def _by_task(binary: Any, multiclass: Any, regression: Any, *, _root_: DictConfig) -> Any:
    """Resolve `${task:a,b,c}` to the value for the task that the data sets."""
    return {"binary": binary, "multiclass": multiclass, "regression": regression}[_root_.data.task]


def _split(
    conf: Path, experiment: Mapping[str, Any], parts: list[str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Separate the choices (`use`) of params.yaml from what it changes in them."""
    used, overrides = {}, {}
    for part, section in experiment.items():
        if part not in parts:
            overrides[part] = section
            continue
        if not isinstance(section, Mapping):
            raise ConfigError(f"params.yaml: {part} must be a mapping, like `{part}: {{use: …}}`")
        changes = {str(key): value for key, value in section.items()}
        if (use := changes.pop("use", None)) is not None:
            if use not in (allowed := choices(conf, part)):
                raise ConfigError(
                    f"params.yaml: {part}.use is {use!r}, and {conf}/{part}/ offers "
                    f"{', '.join(allowed)}"
                )
            used[part] = str(use)
        overrides[part] = changes
    return used, overrides


def _defaults(conf: Path) -> dict[str, str]:
    entries = OmegaConf.to_container(OmegaConf.load(conf / "config.yaml"))["defaults"]  # type: ignore[call-overload,index]
    return {k: str(v) for entry in entries if isinstance(entry, dict) for k, v in entry.items()}


def _override(
    conf: Path, config: DictConfig, selected: Mapping[str, str], part: str, section: Any
) -> None:
    """Apply what params.yaml changes in one part, key by key, onto what its choice declares."""
    if part not in config:
        known = ", ".join(str(key) for key in config)
        raise ConfigError(f"params.yaml: there is no part {part!r}: the parts are {known}")
    where = f"{conf}/{part}/{selected[part]}.yaml" if part in selected else f"{conf}/config.yaml"
    if part not in selected:
        section, node, prefix = {part: section}, config, ""
    else:
        node, prefix = config[part], f"{part}."
    for path, value in _leaves(section, node):
        parent = node
        for step in path[:-1]:
            parent = parent[step]
        if path[-1] not in parent.keys():  # `in` overlooks `???`
            raise ConfigError(_unknown(conf, where, selected, part, path, parent))
        _check_type(where, f"{prefix}{'.'.join(path)}", parent, path[-1], value)
        parent[path[-1]] = value


def _leaves(section: Any, node: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and value of each change, descending only where the choice has a mapping."""
    for key, value in section.items():
        below = node[key] if key in node and not OmegaConf.is_missing(node, key) else None
        if isinstance(value, Mapping) and isinstance(below, DictConfig) and len(below):
            for path, leaf in _leaves(value, below):
                yield (str(key), *path), leaf
        else:
            yield (str(key),), value


def _unknown(
    conf: Path,
    where: str,
    selected: Mapping[str, str],
    part: str,
    path: tuple[str, ...],
    parent: DictConfig,
) -> str:
    """Say what is allowed instead, and where the key would belong."""
    key = f"{part}.{'.'.join(path)}"
    elsewhere = [
        name
        for name in choices(conf, part)
        if name != selected.get(part) and _has(OmegaConf.load(conf / part / f"{name}.yaml"), path)
    ]
    allowed = ", ".join(str(name) for name in parent)
    if elsewhere:
        return (
            f"params.yaml: {key} belongs to {part}.use={' or '.join(elsewhere)} and not to "
            f"{where}, which has {allowed}: delete the line, or with `dvc exp run` add "
            f"-S '~{key}'"
        )
    return f"params.yaml: {key} is not in {where}, which has {allowed}: correct the name, or add it there"


def _has(node: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(node, DictConfig) or step not in node:
            return False
        node = OmegaConf.to_container(node, resolve=False).get(step)  # type: ignore[union-attr]
        node = OmegaConf.create(node) if isinstance(node, dict) else node
    return True


def _check_type(where: str, key: str, parent: DictConfig, name: str, value: Any) -> None:
    """Refuse a number where the choice has text, and so on; null and `???` accept anything."""
    if OmegaConf.is_missing(parent, name) or value is None:
        return
    declared = parent[name]
    kinds = {type(OmegaConf.to_container(v) if OmegaConf.is_config(v) else v) for v in (declared,)}
    kind = kinds.pop()
    if declared is None or isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return
    if kind is int and isinstance(value, float):
        return  # a hyperparameter may be a count or a share; the estimator decides
    raise ConfigError(
        f"params.yaml: {key} is {value!r}, and {where} has {declared!r}: "
        f"write a {kind.__name__} there"
    )


def _line(error: Exception) -> str:
    """Return an exception's text on one line."""
    return " ".join(str(error).split())
