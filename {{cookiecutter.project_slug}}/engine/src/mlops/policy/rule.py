"""Rules by name: the engine's of one folder and the owner's of one module, with their settings."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from .. import owner
from ..errors import ProjectError


class PolicyError(ProjectError):
    """The policy asks for what no rule does."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every rule: a subclass declares its settings as fields, and how it judges.

    `source` is where the method comes from. The first line of the docstring is what `--explain`
    prints.
    """

    source: ClassVar[str] = ""

    @classmethod
    def named(cls) -> str:
        """Return the name that a policy calls the rule by: the class name in snake case."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    @classmethod
    def applies(cls) -> str:
        """Return a sentence on when the rule applies, where that is not always."""
        return ""


Kind = TypeVar("Kind", bound=Rule)


class Registry(NamedTuple, Generic[Kind]):
    """The rules that derive from `base`: those of the package `folder` and of the owner's `own`.

    `section` is where a policy names them.
    """

    base: type[Kind]
    folder: str
    own: str
    section: str

    @property
    def rules(self) -> Mapping[str, type[Kind]]:
        """Every rule by name; raises PolicyError where two have one name."""
        return found(self)

    def configured(self, name: str, section: Mapping[str, Any]) -> Kind:
        """Return the rule that one entry of a policy asks for.

        Raises PolicyError for an unknown rule, and for a setting it does not have.
        """
        where = f"{self.section}.rules.{name}"
        if not isinstance(section, Mapping):
            raise PolicyError(f"{where} must be a mapping of the rule's settings")
        kind = section.get("rule", name)
        if not isinstance(kind, str) or kind not in self.rules:
            raise PolicyError(
                f"{where}: there is no rule {kind!r}: choose from {', '.join(self.rules)}"
            )
        settings = {key: value for key, value in section.items() if key != "rule"}
        try:
            return msgspec.convert(settings, self.rules[kind])
        except msgspec.ValidationError as error:
            from ..refusal import refusal

            below = (self.section, "rules", name)
            said = refusal(error, settings, self.rules[kind], below).said
            raise PolicyError(said) from error


@cache
def found(registry: Registry[Kind]) -> Mapping[str, type[Kind]]:
    """Return the rules of a registry by name, looked for once."""
    folder = importlib.import_module(registry.folder)
    names = [entry.name for entry in pkgutil.iter_modules(folder.__path__)]
    modules = [importlib.import_module(f"{registry.folder}.{name}") for name in names]
    if (mine := owner.module(registry.own)) is not None:
        modules.append(mine)
    kinds: dict[str, type[Kind]] = {}
    for module in modules:
        for kind in _declared(module, registry.base):
            if kinds.setdefault(kind.named(), kind) is not kind:
                file = f"src/{registry.own.replace('.', '/')}.py"
                which = f"the one in {file}" if module is mine else "one"
                raise PolicyError(f"two rules are named {kind.named()}: rename {which}")
    return dict(sorted(kinds.items()))


def _declared(module: ModuleType, base: type[Kind]) -> list[type[Kind]]:
    """Return the rules that a module defines, those it imports aside."""
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and issubclass(kind, base)
        and not kind.__name__.startswith("_")
    ]
