"""The contract: the rows keep it, and it takes nothing back that the champion relied on."""

from collections.abc import Iterator, Mapping

import numpy as np

from ...contract import Column, Contract, Intervals
from ...data import prepared
from ...data.splitting import CALIBRATION, HOLDOUT
from ..case import Array, Case
from ..rule import Finding, Rule


class ContractKept(Rule, frozen=True, kw_only=True):
    """Check the prepared rows against the contract, and the contract against the champion's.

    A cell that is missing though not nullable, out of bounds, off the categories or repeated
    though unique is rejected. So is a column that the champion's contract has and this one lost
    or gave another type, other class labels or another target, and intervals that are no longer
    promised or hold less, unless `allow` names it (`intervals`). What else changed in the contract
    is stated and passes.
    """

    allow: list[str]

    def judge(self, case: Case) -> list[Finding]:
        """Return a finding for each broken column and each broken promise, or one that passes."""
        contract = case.settings.data
        found = [
            Finding("rejected", reason, f"{role} {name}")
            for role, columns in _sides(case)
            for name, reason in _broken(columns, contract)
        ]
        if case.candidate.bundle.contract != contract:
            found.append(Finding("rejected", "the bundle holds another contract", "bundle"))
        if case.champion is None:
            said = "the rows keep the contract; there is no champion's to compare it with"
        else:
            removed, stated = compared_contracts(case.champion.bundle.contract, contract)
            found += [
                Finding("passed" if name in self.allow else "rejected", reason, name)
                for name, reason in removed.items()
            ]
            said = f"the rows keep the contract; against the champion's: {stated or 'unchanged'}"
        return [*found, Finding("passed", said)] if _passing(found) else found


def _sides(case: Case) -> Iterator[tuple[str, Mapping[str, Array]]]:
    yield "training", case.train_columns
    yield HOLDOUT, case.columns
    if CALIBRATION in case.sides:
        yield CALIBRATION, prepared.read(case.sides[CALIBRATION], case.settings.data)


def _passing(found: list[Finding]) -> bool:
    return all(finding.verdict == "passed" for finding in found)


def compared_contracts(before: Contract, now: Contract) -> tuple[dict[str, str], str]:
    """Return the columns that break what the champion relied on, and the other changes."""
    old, new = dict(before.kept()), dict(now.kept())
    breaking: dict[str, str] = {}
    if (before.task, before.target) != (now.task, now.target):
        breaking[now.target] = (
            f"the target was {before.target} ({before.task}), now it is {now.target} ({now.task})"
        )
    elif before.labels != now.labels:
        breaking[now.target] = f"the labels were {before.labels}, now they are {now.labels}"
    stated = []
    promised, kept = before.intervals, now.intervals
    if promised is not None and (kept is None or kept.coverage < promised.coverage):
        said = "none are" if kept is None else f"{kept.coverage:.3g} is"
        breaking["intervals"] = f"intervals held {promised.coverage:.3g}, now {said} promised"
    elif kept is not None and kept != promised:
        stated.append(f"intervals that hold {kept.coverage:.3g} are promised{_by(kept)}")
    for name, column in old.items():
        if name not in new:
            breaking.setdefault(name, f"{name} was removed")
        elif new[name].type != column.type:
            said = f"{name} was of type {column.type} and is of type {new[name].type}"
            breaking.setdefault(name, said)
        else:
            stated += [f"{name} {change}" for change in _changes(column, new[name])]
    stated += [f"{name} was added" for name in new if name not in old]
    return breaking, "; ".join(stated)


def _by(promised: Intervals) -> str:
    return f", of each {promised.by}" if promised.by else ""


def _changes(before: Column, now: Column) -> Iterator[str]:
    for setting in ("nullable", "unique", "min", "max"):
        one, other = getattr(before, setting), getattr(now, setting)
        if one != other:
            yield f"has {setting} {other} instead of {one}"
    if set(before.roles) != set(now.roles):
        yield f"has the role {', '.join(now.roles)} instead of {', '.join(before.roles)}"
    if gone := [label for label in before.categories if label not in now.categories]:
        yield f"lost the categories {', '.join(gone)}"
    if come := [label for label in now.categories if label not in before.categories]:
        yield f"gained the categories {', '.join(come)}"


def _broken(columns: prepared.Columns, contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield each column with cells that break the contract, and how many do."""
    for name, column in contract.kept():
        if name not in columns:
            yield name, "the column is missing"
            continue
        values = columns[name]
        absent = _absent(values, column)
        counts = {"are missing": 0 if column.nullable else int(absent.sum())}
        if column.unique:
            counts["repeat"] = int((~absent).sum() - len(set(values[~absent].tolist())))
        if column.type not in ("text", "datetime"):
            counts |= _out_of_bounds(values[~absent], column)
        said = [f"{count} of {len(values)} cells {what}" for what, count in counts.items() if count]
        if said:
            yield name, "; ".join(said)


def _absent(values: Array, column: Column) -> np.ndarray:
    if column.type == "text":
        return np.array([value is None for value in values.tolist()], dtype=bool)
    return np.asarray(np.isnat(values) if column.type == "datetime" else np.isnan(values))


def _out_of_bounds(values: Array, column: Column) -> dict[str, int]:
    counts = {"are infinite": int(np.isinf(values).sum())}
    if column.min is not None:
        counts[f"are below {column.min:g}"] = int((values < column.min).sum())
    if column.max is not None:
        counts[f"are above {column.max:g}"] = int((values > column.max).sum())
    if column.type == "integer":
        counts["are no whole numbers"] = int((values != np.floor(values)).sum())
    if column.categories:
        codes = np.arange(len(column.categories))
        counts["are no declared category"] = int((~np.isin(values, codes)).sum())
    return counts
