"""The functions of GitHub's expressions, and how its values become numbers, text and truth."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def truthy(value: Any) -> bool:
    """Say whether a value counts as true: not null, false, 0, NaN or an empty string."""
    if isinstance(value, Mapping | list):
        return True
    return not (value is None or value is False or value == "" or value == 0 or value != value)


def number(value: Any) -> float:
    """Return a value as a number; NaN where it is none."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    if not isinstance(value, str):
        return math.nan
    said = value.strip()
    if not said:
        return 0.0
    if re.fullmatch(r"0x[0-9a-fA-F]+", said):
        return float(int(said, 16))
    if re.fullmatch(r"0o[0-7]+", said):
        return float(int(said[2:], 8))
    infinite = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
    if said in infinite:
        return infinite[said]
    return float(said) if NUMBER.fullmatch(said) else math.nan


def text(value: Any) -> str:
    """Return a value as it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _digits(float(value))
    if isinstance(value, str):
        return value
    return "Array" if isinstance(value, list) else "Object"


def _digits(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.15g}"


def compare(sign: str, left: Any, right: Any) -> bool:
    """Compare as GitHub does: loosely across kinds, strings without regard to case."""
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        if sign == "!=":
            return left is not right
        return left is right and "=" in sign
    a: Any = left
    b: Any = right
    if isinstance(a, str) and isinstance(b, str):
        a, b = a.upper(), b.upper()
    elif a is None and b is None and sign in ("==", "!="):
        return sign == "=="
    else:
        a, b = number(a), number(b)
    outcomes: dict[str, bool] = {
        "==": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }
    return outcomes[sign]


def _contains(inside: Any, wanted: Any) -> bool:
    if isinstance(inside, list):
        return any(compare("==", one, wanted) for one in inside)
    if isinstance(inside, Mapping) or isinstance(wanted, Mapping | list):
        return False
    return text(wanted).lower() in text(inside).lower()


def _starts(whole: Any, part: Any) -> bool:
    simple = not isinstance(whole, Mapping | list) and not isinstance(part, Mapping | list)
    return simple and text(whole).lower().startswith(text(part).lower())


def _ends(whole: Any, part: Any) -> bool:
    simple = not isinstance(whole, Mapping | list) and not isinstance(part, Mapping | list)
    return simple and text(whole).lower().endswith(text(part).lower())


def _format(template: Any, *values: Any) -> str:
    def replaced(found: re.Match[str]) -> str:
        said = found.group()
        if said in ("{{", "}}"):
            return said[0]
        if not re.fullmatch(r"\{\d+\}", said) or int(said[1:-1]) >= len(values):
            raise ValueError(f"{said!r} in {template!r} stands for nothing")
        return text(values[int(said[1:-1])])

    return re.sub(r"\{\{|\}\}|\{\d+\}|[{}]", replaced, text(template))


def _join(values: Any, separator: Any = ",") -> str:
    if isinstance(values, Mapping):
        return ""
    if not isinstance(values, list):
        return text(values)
    joined = "," if isinstance(separator, Mapping | list) else text(separator)
    return joined.join(map(text, values))


def _to_json(value: Any) -> str:
    plain = _plain(value)
    return json.dumps(plain, indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def _from_json(said: Any) -> Any:
    return json.loads(text(said))


# Each with the least and the most arguments.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "contains": (_contains, 2, 2),
    "startswith": (_starts, 2, 2),
    "endswith": (_ends, 2, 2),
    "format": (_format, 1, 255),
    "join": (_join, 1, 2),
    "tojson": (_to_json, 1, 1),
    "fromjson": (_from_json, 1, 1),
}
