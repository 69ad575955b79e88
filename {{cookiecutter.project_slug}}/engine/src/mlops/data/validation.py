"""The contract as checks on a frame: every broken cell at once, by file, row, column and value."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from ..contract import Column, Declared
from .errors import DataError
from .parsing import EXPECTED, parse
from .sources import Frame

SHOWN = 20
OTHERS = 3  # values of one kind of finding
BELOW, ABOVE = "is below the minimum", "is above the maximum"


@dataclass(frozen=True)
class Finding:
    """One broken cell; `row` counts the data rows of its file from 1."""

    path: Path
    row: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} row {self.row}, column {self.column}: {self.value} {self.reason}"


def schema(columns: Iterable[tuple[str, Column]]) -> pa.DataFrameSchema:
    """Return the pandera schema of parsed columns; missing values are checked, types are given."""
    return pa.DataFrameSchema(
        {name: pa.Column(None, _checks(column), nullable=True) for name, column in columns}
    )


def _checks(column: Column) -> list[pa.Check]:
    checks = []
    if not column.nullable:
        checks.append(
            pa.Check(
                lambda values: values.notna(),
                ignore_na=False,
                error="is missing, and the column is not nullable",
            )
        )
    if column.min is not None:
        checks.append(pa.Check.ge(column.min, error=f"{BELOW} {column.min:g}"))
    if column.max is not None:
        checks.append(pa.Check.le(column.max, error=f"{ABOVE} {column.max:g}"))
    if column.categories:
        known = ", ".join(column.categories[:8]) + (", …" if len(column.categories) > 8 else "")
        checks.append(pa.Check.isin(column.categories, error=f"is not one of {known}"))
    return checks


def check_names(frame: Frame, contract: Declared, required: Sequence[str] | None = None) -> None:
    """Raise DataError unless the frame has exactly the contract's columns.

    With `required`, only those must be there, and others may.
    """
    present = list(frame.frame.columns)
    absent = [n for n in (contract.columns if required is None else required) if n not in present]
    extra = [n for n in present if n not in contract.columns] if required is None else []
    if absent or extra:
        said = [f"lacks {', '.join(absent)}"] * bool(absent)
        said += [f"has the undeclared {', '.join(extra)}"] * bool(extra)
        raise DataError(
            f"{frame.path} {' and '.join(said)}: correct the file, or declare its columns in "
            f"{contract.place}"
        )


def validated(
    frame: Frame, contract: Declared, names: Sequence[str] | None = None, strict: bool = True
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the parsed columns `names` (all but ignored ones) and every broken cell.

    Without `strict`, only cells that cannot be read count.
    """
    kept = [(n, c) for n, c in contract.kept() if names is None or n in names]
    source, zone = contract.source, contract.zone
    parsed = {name: parse(frame.frame[name], column, source, zone) for name, column in kept}
    findings = [
        _finding(frame, row, name, f"is not {EXPECTED[column.type]}", contract)
        for name, column in kept
        for row in parsed[name].bad.to_numpy().nonzero()[0]
    ]
    values = pd.DataFrame({name: parsed[name].values for name, _ in kept})
    if strict:
        bad = {name: parsed[name].bad for name, _ in kept}
        findings += _broken(frame, values, contract, kept, bad)
    return values, sorted(findings, key=lambda finding: finding.row)


def _broken(
    frame: Frame,
    values: pd.DataFrame,
    contract: Declared,
    kept: Iterable[tuple[str, Column]],
    bad: dict[str, pd.Series],
) -> list[Finding]:
    try:
        schema(kept).validate(values, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return [
            _finding(frame, int(row), str(name), str(reason), contract)
            for name, row, reason in zip(
                cases["column"], cases["index"], cases["check"], strict=True
            )
            if not bad[name].iat[int(row)]
        ]
    return []


def _finding(frame: Frame, row: int, name: str, reason: str, contract: Declared) -> Finding:
    value = frame.frame[name].iat[row]
    is_hidden = pd.isna(value) or contract.is_private(name)
    shown = "the cell" if is_hidden else repr(str(value))
    return Finding(frame.path, frame.start + int(row), name, shown, reason)


def refuse(findings: Sequence[Finding], contract: Declared) -> None:
    """Raise DataError where there are any: alike ones in one line, the count of all, a remedy.

    A label that no category has, and a number out of bounds, come with the line that would allow
    them.
    """
    if not findings:
        return
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        labelled = contract.columns[finding.column].type == "category"
        key = (finding.path, finding.column, finding.reason, finding.value if labelled else "")
        alike.setdefault(key, []).append(finding)
    lines = [_told(group) for group in list(alike.values())[:SHOWN]]
    rest = sum(map(len, list(alike.values())[SHOWN:]))
    lines += [f"  and {rest} more"] * (rest > 0)
    lines += [f"  to allow it: {line}" for line in _allowing(alike.values(), contract)]
    count = "1 cell breaks" if len(findings) == 1 else f"{len(findings):,} cells break"
    raise DataError(
        f"{count} the contract: correct the data, or {contract.place}\n" + "\n".join(lines)
    )


def _told(group: Sequence[Finding]) -> str:
    """Return a line for alike findings: the first of them, and how many rows have it."""
    rows = f", in {len(group):,} rows" if len(group) > 1 else ""
    others = [
        value for value in dict.fromkeys(one.value for one in group) if value != group[0].value
    ]
    like = f" with {', '.join(others[:OTHERS])}{', …' * (len(others) > OTHERS)}" * bool(others)
    return f"  {group[0]}{rows}{like}"


def _allowing(groups: Iterable[Sequence[Finding]], contract: Declared) -> Iterator[str]:
    """Yield for each column the keys that would take what it holds now."""
    labels: dict[str, list[str]] = {}
    bounds: dict[str, dict[str, float]] = {}
    for group in groups:
        name, column = group[0].column, contract.columns[group[0].column]
        if contract.is_private(name):
            continue
        if "is not one of" in group[0].reason:
            labels.setdefault(name, []).append(group[0].value[1:-1])
        for bound, said, widest in (("min", BELOW, min), ("max", ABOVE, max)):
            if said in group[0].reason and column.type in ("number", "integer"):
                cells = pd.Series([one.value[1:-1] for one in group], dtype="str")
                numbers = parse(cells, column, contract.source).values.dropna()
                bounds.setdefault(name, {})[bound] = widest(numbers)
    for name, more in labels.items():
        known = contract.columns[name].categories
        if len(known) + len(more) <= SHOWN:
            yield f"{name}: {{categories: [{', '.join([*known, *more])}]}}"
        else:
            yield f"{name}: add {', '.join(more[:SHOWN])} to its categories"
    for name, wider in bounds.items():
        yield f"{name}: {{{', '.join(f'{bound}: {value:g}' for bound, value in wider.items())}}}"
