"""params.yaml: which file of conf/ each part uses, and what it changes in it."""

from collections.abc import Iterator, Mapping, Sequence
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
    named: frozenset[str] = frozenset()  # parts whose choice the experiment itself has

    @classmethod
    def parse(cls, conf: Path, content: Mapping[str, Any]) -> Self:
        """Separate choices (`use`) from changes; raise ConfigError for a choice that is not."""
        defaults = plain(conf / "config.yaml").get("defaults", ())
        used = {
            k: str(v) for entry in defaults if isinstance(entry, dict) for k, v in entry.items()
        }
        changes: dict[str, Any] = {}
        named = set()
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
            named.add(part)
        return cls(conf, used, changes, frozenset(named))

    def place(self, keys: Keys) -> str:
        """Return the file that has a key of the composed config, as far as that can be known."""
        part, *below = keys or ("",)
        if part in self.changes and self._has(self.changes[part], below):
            return EXPERIMENT.name
        used = self.used.get(part)
        file = Path(self._where(part, used))
        if used is None or (file.is_file() and self._has(plain(file), below)):
            return str(file)
        return f"{EXPERIMENT} or {self.conf}/{part}/"

    def _has(self, node: Any, keys: Sequence[str]) -> bool:
        """Say whether a mapping has the keys; values may stand by choice."""
        for key in keys:
            while isinstance(node, Mapping) and key not in node and (by := self._by_choice(node)):
                node = node[by]
            if not isinstance(node, Mapping) or key not in node:
                return False
            node = node[key]
        return True

    def _by_choice(self, node: Mapping[str, Any]) -> str | None:
        return next((one for one in self.used.values() if one in node), None)

    @property
    def unsaid(self) -> str | None:
        """Say what is as conf/config.yaml has it, where the experiment does not name its data."""
        if "data" in self.named:
            return None
        left = ", ".join(f"{p}={used}" for p, used in self.used.items() if p not in self.named)
        return f"{EXPERIMENT} names no data: by {self.conf}/config.yaml, {left}"

    def apply(self, config: DictConfig) -> list[str]:
        """Set every change in the composed config, where the choice declares its key and type.

        Return, a sentence each, the changes left out since their keys are those of other choices.
        """
        left = []
        for part, section in self.changes.items():
            if part not in config:
                known = ", ".join(str(key) for key in config)
                raise ConfigError(f"params.yaml: there is no part {part!r}: the parts are {known}")
            for keys, value, is_named in self._leaves((part,), section, config[part]):
                if not is_named and (owners := self._others(config, keys, value)):
                    left.append(self._left_out(keys, value, owners))
                else:
                    self._set(config, keys, value)
        return left

    def _leaves(
        self, keys: Keys, value: Any, declared: Any, is_named: bool = False
    ) -> Iterator[tuple[Keys, Any, bool]]:
        """Yield the keys and value of each change to the choice in use, and whether it names that.

        A mapping is descended into where the choice has one, and where its keys are choices of the
        part, it has the value of each: `max_iter: {boosting: 300}` says nothing to the others.
        """
        if self._is_by_choice(keys, value, declared):
            for choice in value:
                if not self._declares(keys, choice):
                    raise ConfigError(self._unknown(keys, choice))
            if (used := self.used[keys[0]]) in value:
                yield from self._leaves(keys, value[used], declared, is_named=True)
        elif not (isinstance(value, Mapping) and isinstance(declared, DictConfig) and declared):
            yield keys, value, is_named
        else:
            for key, below in value.items():
                known = key in list(declared) and not OmegaConf.is_missing(declared, key)
                inner = declared[key] if known else None
                yield from self._leaves((*keys, str(key)), below, inner, is_named)

    def _is_by_choice(self, keys: Keys, value: Any, declared: Any) -> bool:
        if len(keys) == 1 or not isinstance(value, Mapping) or not value:
            return False
        if not set(value) <= set(choices(self.conf, keys[0])):
            return False
        return not (isinstance(declared, DictConfig) and set(value) & set(declared))

    def _declares(self, keys: Keys, choice: str, value: Any = None) -> bool:
        """Say whether a choice of the part has the key, and a value of this kind there."""
        part, *below = keys
        node: Any = plain(self.conf / part / f"{choice}.yaml")
        for key in below:
            if not isinstance(node, Mapping) or key not in node:
                return False
            node = node[key]
        # What `${…}` stands for is known only where the choice is in use.
        return _fits(node, value) or str(node).startswith("${")

    def _others(self, config: DictConfig, keys: Keys, value: Any) -> list[str]:
        """Return the choices that a change is for, where it is not for the one in use."""
        node, (*above, last) = config, keys
        for key in above:
            node = node[key]
        if last in list(node) and (OmegaConf.is_missing(node, last) or _fits(node[last], value)):
            return []
        offered = choices(self.conf, keys[0])
        used = self.used.get(keys[0])
        return [one for one in offered if one != used and self._declares(keys, one, value)]

    def _left_out(self, keys: Keys, value: Any, owners: list[str]) -> str:
        part, *below = keys
        return (
            f"params.yaml: {'.'.join(keys)} is a change of {part}.use={' or '.join(owners)} and "
            f"left out with {self.used[part]}; `{below[-1]}: {{{owners[0]}: {value}}}` says so"
        )

    def _set(self, config: DictConfig, keys: Keys, value: Any) -> None:
        node = config
        for key in keys[:-1]:
            node = node[key]
        if keys[-1] not in list(node):  # `in` on the node itself overlooks `???`
            raise ConfigError(self._unknown(keys, self.used.get(keys[0])))
        if not OmegaConf.is_missing(node, keys[-1]):
            self._check_type(keys, node[keys[-1]], value)
        node[keys[-1]] = value

    def _check_choices(self, keys: Keys, declared: Any, value: Any) -> None:
        """Refuse {CHOICE: VALUE} that names what is no choice of the part."""
        offered = choices(self.conf, keys[0])
        if not isinstance(value, Mapping) or isinstance(declared, DictConfig) or not offered:
            return
        from ..spelling import nearest  # no stage depends on what is refused

        unknown = [str(key) for key in value if key not in offered]
        if not unknown or (declared is None and not any(nearest(n, offered, 0.8) for n in value)):
            return  # what a choice leaves empty may be a mapping
        near = nearest(unknown[0], offered)
        hint = f"did you mean {near}?" if near else f"choose from {', '.join(offered)}"
        raise ConfigError(
            f"params.yaml: {'.'.join(keys)} is given by choice, and {unknown[0]} is no file of "
            f"{self.conf}/{keys[0]}/: {hint}"
        )

    def _where(self, part: str, choice: str | None) -> str:
        return f"{self.conf}/{f'{part}/{choice}' if choice else 'config'}.yaml"

    def _unknown(self, keys: Keys, choice: str | None) -> str:
        """Say what the choice has instead."""
        part, *above = keys[:-1] or keys
        file = self._where(part, choice)
        node: Any = plain(Path(file))
        for key in above:
            node = node.get(key) if isinstance(node, Mapping) else None
        siblings = ", ".join(str(key) for key in node) if isinstance(node, Mapping) else "no such"
        return (
            f"params.yaml: {'.'.join(keys)} is not in {file}, which has {siblings}: correct the "
            "name, or add it there"
        )

    def _check_type(self, keys: Keys, declared: Any, value: Any) -> None:
        """Refuse a number where the choice has text, and so on."""
        self._check_choices(keys, declared, value)
        if _fits(declared, value):
            return
        kind = _kind(declared)
        where = self._where(keys[0], self.used.get(keys[0]))
        raise ConfigError(
            f"params.yaml: {'.'.join(keys)} is {value!r}, and {where} has "
            f"{declared!r}: {KINDS.get(kind, kind.__name__)} belongs there"
        )


def _fits(declared: Any, value: Any) -> bool:
    """Say whether a value is of the kind that a choice has; null goes with everything."""
    kind = _kind(declared)
    # A hyperparameter may be a count or a share: the estimator decides.
    kinds = (int, float) if kind in (int, float) else (kind,)
    fits = isinstance(value, kinds) and isinstance(value, bool) == (kind is bool)
    return declared is None or value is None or fits


def _kind(declared: Any) -> type:
    return type(OmegaConf.to_container(declared) if OmegaConf.is_config(declared) else declared)
