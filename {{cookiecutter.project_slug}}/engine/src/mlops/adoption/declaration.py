"""What adoption writes into conf/ and params.yaml, so that every reader of YAML agrees on it."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..config.settings import Derived
from ..contract import MISSING, Contract

WIDTH = 100
SEAL = "# unedited as long as its digest is "
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*")
# What YAML 1.1, YAML 1.2 or OmegaConf take for something other than text.
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
CONTRACT = """\
# The contract of {file} as `mlops adopt` found it ({rows:,} rows): yours to correct.
# type: number integer boolean category datetime text · role: feature (without one) target id time
# group weight sensitive ignored · nullable: may be missing · min, max: bounds, inclusive, twice as
# wide as seen on each side · categories: every allowed label. What is left out says why.
"""
FEATURES = """\
# What enters the matrix: the feature columns of conf/data/{name}.yaml but `exclude`, and these
# functions of engine/src/mlops/features.
"""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc,unused-ignore]
    """Quotes every text that is not plainly one."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _list_node(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(list, _list_node)


def contract_text(contract: Contract, file: str, rows: int, found: Contract | None = None) -> str:
    """Return conf/data/<name>.yaml: a column a line where it fits.

    Where edits were merged into it, `found` is what the table says alone, by which it is sealed.
    """
    body = _contract_body(contract)
    header = CONTRACT.format(file=_comment(file), rows=rows)
    return _sealed(header, body, body if found is None else _contract_body(found))


def _contract_body(contract: Contract) -> str:
    content = _escaped(_tidy(msgspec.to_builtins(contract)))
    if contract.source.missing == list(MISSING):
        content.get("source", {}).pop("missing", None)
    columns = content.pop("columns")
    body = "".join(_entry(key, value) for key, value in content.items()) + "columns:\n"
    return body + "".join(_entry(name, column, "  ") for name, column in columns.items())


def features_text(name: str, derived: Mapping[str, Derived], exclude: Sequence[str] = ()) -> str:
    """Return conf/features/<name>.yaml."""
    body = _entry("exclude", _escaped(list(exclude))) + "derived:\n"
    for key, entry in derived.items():
        content = {k: v for k, v in msgspec.to_builtins(entry).items() if v}
        body += _entry(key, _escaped(content), "  ")
    return _sealed(FEATURES.format(name=name), body)


def adopted(text: str) -> bool:
    """Say whether a file was written by an adoption, whoever edited it since."""
    return f"\n{SEAL}" in text


def unedited(text: str) -> bool:
    """Say whether a file is as an adoption wrote it."""
    _, seal, rest = text.partition(f"\n{SEAL}")
    digest, _, body = rest.partition("\n")
    return bool(seal) and digest == _digest(body)


def with_choices(experiment: str, choices: Mapping[str, Mapping[str, Any]], fresh: bool) -> str:
    """Return params.yaml with these choices, its comments and other parts as they were.

    What it changed in another choice of the same part is dropped, and in the same one when
    that is `fresh`ly written. Of a split of the same kind all stays but the columns of an earlier
    table or key.
    """
    round_trip = YAML()
    round_trip.width = 4096
    round_trip.preserve_quotes = True
    parts = round_trip.load(experiment)
    if parts is None:
        parts = CommentedMap()
    # Comments belong to the line above them, so a part must not come between two that are there.
    first = 0 if not set(choices) & set(parts) else len(parts)
    for position, part in enumerate([part for part in choices if part not in parts], first):
        parts.insert(position, part, CommentedMap())
    for part, values in choices.items():
        if not isinstance(parts[part], CommentedMap):
            parts[part] = CommentedMap()
        section = parts[part]
        if section.get("use") != values["use"] or (fresh and part != "split"):
            _empty(section)
        elif part == "split" and "columns" not in values:
            section.pop("columns", None)
        for key, value in values.items():
            section[key] = _scalar(value) if isinstance(value, str) else _sequence(value)
    stream = io.StringIO()
    round_trip.dump(parts, stream)
    # With nothing but comments before, ruamel.yaml has no place to keep them.
    comments = all(line.startswith("#") for line in experiment.split("\n") if line.strip())
    return (experiment.rstrip() + "\n" if comments else "").lstrip() + stream.getvalue()


def _scalar(text: str) -> str:
    return text if _is_plain(text) else DoubleQuotedScalarString(_escaped(text))


def _sequence(texts: Sequence[str]) -> CommentedSeq:
    found = CommentedSeq(map(_scalar, texts))
    found.fa.set_flow_style()
    return found


def _is_plain(text: str) -> bool:
    return bool(PLAIN.fullmatch(text)) and text.lower() not in WORDS


def _empty(section: CommentedMap) -> None:
    """Delete every key but `use`, and hand the comment below the last one on to it."""
    keys = list(section)
    last: list[Any] = section.ca.items.get(keys[-1], []) if keys else []
    for key in keys:
        if key != "use":
            del section[key]
    section.setdefault("use", None)
    comment = last[2] if len(last) > 2 else None
    if comment is not None and keys[-1] != "use":
        comment.value = "\n" + comment.value.partition("\n")[2]
        section.ca.items["use"] = last


def _entry(key: str, value: object, indent: str = "") -> str:
    """Return a mapping entry in flow style where it fits into a line, else in blocks."""
    line = _dumped({key: value}, flow=True, width=1 << 30).strip()[1:-1]
    if len(indent) + len(line) <= WIDTH and not line.startswith("?"):
        return f"{indent}{line}\n"
    text = _dumped({key: value}, flow=False, width=WIDTH - len(indent))
    return "".join(indent + line for line in text.splitlines(keepends=True))


def _dumped(value: object, flow: bool, width: int) -> str:
    return str(
        yaml.dump(
            value,
            Dumper=_Dumper,
            default_flow_style=flow,
            width=width,
            sort_keys=False,
            allow_unicode=True,
        )
    )


def _tidy(content: dict[str, Any]) -> dict[str, Any]:
    """Write whole bounds as whole numbers."""
    for column in content["columns"].values():
        for bound in ("min", "max"):
            value = column.get(bound)
            if value is not None and value == int(value) and abs(value) < 1e15:
                column[bound] = int(value)
    return content


def _escaped(value: Any) -> Any:
    """Return a value whose texts OmegaConf reads literally: no interpolation, nothing missing."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    if not isinstance(value, str):
        return value
    if value == "???":
        return """${oc.decode:"'???'"}"""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)


def _comment(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _sealed(header: str, body: str, found: str | None = None) -> str:
    return f"{header}{SEAL}{_digest(body if found is None else found)}\n{body}"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:12]
