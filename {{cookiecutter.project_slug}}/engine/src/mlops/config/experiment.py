"""params.yaml: which file of conf/ each part uses, and what it changes in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..files import check_yaml
from .settings import ConfigError

EXPERIMENT = Path("params.yaml")

KINDS = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}

Keys = tuple[str, ...]


def read_experiment(path: Path) -> dict[str, Any]:
    """Return what params.yaml says, or raise ConfigError where it is not a mapping of parts."""
    try:
        return plain(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing: run this in the project's root folder") from error
    except TypeError as error:
        raise ConfigError(
            f"{path} must map each part to its choice, like `model: {{use: …}}`"
        ) from error
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not valid YAML: {reason}") from error


def plain(path: Path) -> dict[str, Any]:
    """Return a YAML mapping as it is written, `???` and interpolations included."""
    check_yaml(path.read_text(encoding="utf-8"))
    content = OmegaConf.to_container(OmegaConf.load(path), throw_on_missing=False)
    if not isinstance(content, dict):
        raise TypeError(f"{path} holds no mapping")
    return {str(key): value for key, value in content.items()}


def choices(conf: Path, part: str) -> list[str]:
    """Return the choices that conf/ offers for one part, by name."""
    return sorted(path.stem for path in (conf / part).glob("*.yaml"))


class Experiment(NamedTuple):
    """The choice of every part, by default that of conf/config.yaml, and the changes to them."""

    conf: Path
    used: dict[str, str]
    changes: dict[str, Any]

    @classmethod
    def parse(cls, conf: Path, content: Mapping[str, Any]) -> Self:
        """Separate choices (`use`) from changes; raise ConfigError for a choice that is not."""
        defaults = plain(conf / "config.yaml").get("defaults", ())
        used = {
            k: str(v) for entry in defaults if isinstance(entry, dict) for k, v in entry.items()
        }
        changes: dict[str, Any] = {}
        for part, section in content.items():
            if part in used and not isinstance(section, Mapping):
                raise ConfigError(f"params.yaml: {part} must be a mapping, like {part}: {{use: …}}")
            changes[part] = dict(section) if isinstance(section, Mapping) else section
            if part not in used or (use := changes[part].pop("use", None)) is None:
                continue
            if str(use) not in (allowed := choices(conf, part)):
                offered = ", ".join(allowed)
                raise ConfigError(
                    f"params.yaml: {part}.use is {use!r}, and {conf}/{part}/ offers {offered}"
                )
            used[part] = str(use)
        return cls(conf, used, changes)

    def apply(self, config: DictConfig) -> None:
        """Set every change in the composed config, where the choice declares its key and type."""
        for part, section in self.changes.items():
            if part not in config:
                known = ", ".join(str(key) for key in config)
                raise ConfigError(f"params.yaml: there is no part {part!r}: the parts are {known}")
            for keys, value in _leaves((part,), section, config[part]):
                self._set(config, keys, value)

    def _set(self, config: DictConfig, keys: Keys, value: Any) -> None:
        node = config
        for key in keys[:-1]:
            node = node[key]
        if keys[-1] not in list(node):  # `in` on the node itself overlooks `???`
            raise ConfigError(self._unknown(keys, [str(key) for key in node]))
        if not OmegaConf.is_missing(node, keys[-1]):
            self._check_type(keys, node[keys[-1]], value)
        node[keys[-1]] = value

    def _where(self, part: str) -> str:
        name = f"{part}/{self.used[part]}" if part in self.used else "config"
        return f"{self.conf}/{name}.yaml"

    def _unknown(self, keys: Keys, siblings: list[str]) -> str:
        """Say what is allowed instead, and to which choice the key belongs."""
        part, *below = keys
        name, has = ".".join(keys), f"{self._where(part)}, which has {', '.join(siblings)}"
        elsewhere = [
            choice
            for choice in choices(self.conf, part)
            if choice != self.used.get(part)
            and _has(plain(self.conf / part / f"{choice}.yaml"), below)
        ]
        if not elsewhere:
            return f"params.yaml: {name} is not in {has}: correct the name, or add it there"
        return (
            f"params.yaml: {name} belongs to {part}.use={' or '.join(elsewhere)} and not to {has}: "
            f"delete the line, or with `dvc exp run` add -S '~{name}'"
        )

    def _check_type(self, keys: Keys, declared: Any, value: Any) -> None:
        """Refuse a number where the choice has text, and so on; null goes with everything."""
        kind = type(OmegaConf.to_container(declared) if OmegaConf.is_config(declared) else declared)
        # A hyperparameter may be a count or a share: the estimator decides.
        kinds = (int, float) if kind in (int, float) else (kind,)
        fits = isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)
        if declared is None or value is None or fits:
            return
        raise ConfigError(
            f"params.yaml: {'.'.join(keys)} is {value!r}, and {self._where(keys[0])} has "
            f"{declared!r}: {KINDS.get(kind, kind.__name__)} belongs there"
        )


def _leaves(keys: Keys, value: Any, declared: Any) -> Iterator[tuple[Keys, Any]]:
    """Yield the keys and value of each change, descending only where the choice has a mapping."""
    if not isinstance(value, Mapping) or not isinstance(declared, DictConfig) or not len(declared):
        yield keys, value
        return
    for key, below in value.items():
        known = key in list(declared) and not OmegaConf.is_missing(declared, key)
        yield from _leaves((*keys, str(key)), below, declared[key] if known else None)


def _has(content: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return False
        content = content[key]
    return True
