"""What msgspec refuses, as a sentence: the keys, the value there, and what belongs there."""

import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from .spelling import nearest

UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
LACKING = re.compile(r"Object missing required field `(.+)`")
NO_TEXT = re.compile(
    r"Expected `(?:.* \| )?str(?: \| .*)?`, got `(?:bool|int|float|date|datetime)`"
)
STEP = re.compile(r"\.([^.\[\]]+)|\[(\.\.\.|\d+)\]")
NAME = re.compile(r"`([\w.]+)`")
LONGEST = 60  # characters of a value that are repeated

Keys = tuple[str, ...]


class Refusal(NamedTuple):
    """The keys down to what is refused, and the sentence about it, without a file."""

    keys: Keys
    said: str


class _Found(NamedTuple):
    """What stands at some keys, and the type that belongs there."""

    keys: Keys
    content: Any
    kind: Any


def refusal(error: msgspec.ValidationError, content: Any, kind: Any, below: Keys = ()) -> Refusal:
    """Say what was refused when `content` was converted to `kind`; it stands below some keys."""
    text, _, path = str(error).partition(" - at `")
    found = _found(content, kind, path.rpartition("$")[2].rstrip("`"))
    keys = (*below, *found.keys)
    if unknown := UNKNOWN.fullmatch(text):
        return _unknown(keys, unknown[1], found.kind)
    where = ".".join(keys)
    if lacking := LACKING.fullmatch(text):
        return Refusal(keys, f"{where or 'it'} lacks `{lacking[1]}`: add it")
    if allowed := _allowed(found.kind):
        return Refusal(keys, f"{where}: {text}: choose from {', '.join(allowed)}")
    if NO_TEXT.fullmatch(text):
        text += (
            ": write it in quotes where a text is meant (YAML reads yes and no as true and false)"
        )
    if path.startswith("key`"):
        text = f"one of its keys: {text}"
    return _valued(keys, found.content, text)


def _unknown(keys: Keys, name: str, kind: Any) -> Refusal:
    known = [field.name for field in msgspec.structs.fields(kind)] if _is_struct(kind) else []
    near = nearest(name, known)
    remedy = f"did you mean {near}?" if near else f"choose from {', '.join(known)}"
    return Refusal((*keys, name), f"{'.'.join((*keys, name))} is an unknown field: {remedy}")


def _valued(keys: Keys, content: Any, text: str) -> Refusal:
    """Name the value that is refused: it stands there, or under a name that the text has."""
    given: dict[str, Any] = {"": content}
    if isinstance(content, Mapping):
        given = {name: content[name] for name in NAME.findall(text) if name in content}
    plain = {name: one for name, one in given.items() if not isinstance(one, Mapping | list)}
    where = ".".join(keys)
    if len(plain) != 1:
        told = ", ".join(f"{name} {_shown(one)}" for name, one in plain.items())
        told = f" ({told})" if told else ""
        return Refusal(keys, f"{where}: {text}{told}" if where else f"{text}{told}")
    ((name, value),) = plain.items()
    keys = (*keys, name) if name else keys
    return Refusal(keys, f"{'.'.join(keys)} is {_shown(value)}: {text}")


def _found(content: Any, kind: Any, path: str) -> _Found:
    """Walk to where msgspec was; of a mapping's values, which it does not name, to the wrong one.

    A list's place counts as a key.
    """
    keys: list[str] = []
    for name, place in STEP.findall(path):
        kind = _container(kind, content)
        if name:
            kind = get_type_hints(kind, include_extras=True).get(name) if _is_struct(kind) else None
            content = content.get(name) if isinstance(content, Mapping) else None
        else:
            kind = (get_args(kind) or (None,))[-1 if get_origin(kind) is dict else 0]
            several = content.items() if isinstance(content, Mapping) else enumerate(content or ())
            name, content = _wrong(several, kind, place)
        keys.append(str(name))
    return _Found(tuple(keys), content, _container(kind, content))


def _wrong(several: Iterable[tuple[Any, Any]], kind: Any, place: str) -> tuple[Any, Any]:
    for name, one in several:
        if place != "...":
            if str(name) == place:
                return name, one
            continue
        try:
            msgspec.convert(one, kind)
        except msgspec.ValidationError:
            return name, one
    return place, None


def _container(kind: Any, content: Any) -> Any:
    """Return a type without what is said beside it; of several, the one that is meant."""
    if get_origin(kind) is Annotated:
        return _container(get_args(kind)[0], content)
    if get_origin(kind) not in (Union, UnionType):
        return kind
    kinds = [_container(one, content) for one in get_args(kind)]
    if isinstance(content, Mapping):
        meant = [one for one in kinds if _is_struct(one) or get_origin(one) is dict]
    elif isinstance(content, list):
        meant = [one for one in kinds if get_origin(one) in (list, tuple)]
    else:
        meant = [one for one in kinds if get_origin(one) is Literal]
    return meant[0] if meant else None


def _allowed(kind: Any) -> list[str]:
    return sorted(map(str, get_args(kind))) if get_origin(kind) is Literal else []


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    if isinstance(value, bool):
        text = text.lower()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
