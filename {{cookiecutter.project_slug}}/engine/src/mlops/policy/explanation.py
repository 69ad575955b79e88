"""What a rule does, what it can be told, and where it comes from, for a person to read."""

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from .rule import Kind, PolicyError, Registry, Rule

UNIONS = (Union, UnionType)


def explanation(name: str, registry: Registry[Kind]) -> str:
    """Return the account of one rule, or a line for each where `name` is empty."""
    known = registry.rules
    if not name:
        width = max(map(len, known))
        lines = (
            f"{one:{width}}  {_first(kind)}{_owned(kind, registry.own)}"
            for one, kind in known.items()
        )
        return "\n".join(lines)
    if name not in known:
        raise PolicyError(f"there is no rule {name!r}: choose from {', '.join(known)}")
    kind = known[name]
    line = inspect.getsourcelines(kind)[1]
    return "\n\n".join(
        part
        for part in (
            f"{name}: {inspect.cleandoc(kind.__doc__ or '')}",
            "\n".join(_settings(kind)),
            kind.applies(),
            textwrap.fill(f"Method: {kind.source}", 96) if kind.source else "",
            f"Code: {_shown(_file(kind))}:{line}",
        )
        if part
    )


def _first(kind: type[Rule]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _owned(kind: type[Rule], own: str) -> str:
    """Return where a rule of the owner's stands, for the list of all."""
    return f" [{_shown(_file(kind))}]" if kind.__module__ == own else ""


def _file(kind: type[Rule]) -> Path:
    return Path(inspect.getsourcefile(kind) or "")


def _settings(kind: type[Rule]) -> Iterator[str]:
    fields = msgspec.structs.fields(kind)
    yield "Settings:" if fields else "It has no settings."
    yield from _fields(kind, "  ")


def _fields(kind: type[msgspec.Struct], indent: str) -> Iterator[str]:
    """Yield a line for each field, and for those of a mapping below it."""
    for field in msgspec.structs.fields(kind):
        choices = get_args(field.type) if get_origin(field.type) in UNIONS else (field.type,)
        mapping = next(filter(_is_mapping, choices), None)
        text = "mapping" if mapping else _type(field.type)
        if not field.required:
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            text += f", {default!r} where it is left out"
        yield f"{indent}{field.name}: {text}"
        if mapping:
            yield from _fields(mapping, f"{indent}  ")


def _is_mapping(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _type(kind: Any) -> str:
    """Return a type as people write it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(parts[0])
    if origin in UNIONS:
        return " | ".join(map(_type, parts))
    if origin is dict:
        return f"dict[{', '.join(map(_type, parts))}]"
    if kind is NoneType or _is_mapping(kind):
        return "None" if kind is NoneType else "mapping"
    plain = isinstance(kind, type) and not hasattr(kind, "__args__")
    return getattr(kind, "__name__", "") if plain else str(kind).replace("typing.", "")


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)
