"""The cut-off of a split by time: whether it moved by the rule that was declared before."""

import datetime
from typing import NamedTuple

import numpy as np
import yaml
from msgspec.structs import replace

from ..config.settings import RESOLVED, Split
from ..data.splitting import SplitError, cutoff, moved_cutoff, newest
from ..errors import ProjectError
from ..files import parse_yaml
from .case import Case


class Move(NamedTuple):
    """Whether another cut-off, or another rule for it, is let through, and why."""

    accepted: bool
    reason: str


def move(case: Case, was: Split) -> Move | None:
    """Judge a split by time that has another cut-off or rule than `was`; None for any other split.

    The rule is the champion's, or that of the base branch: one that comes in the same pull request
    moves nothing.
    """
    now = case.settings.split
    if not was.method == now.method == "time":
        return None
    if replace(now, cutoff=was.cutoff, holdout_days=was.holdout_days) != was:
        return None
    changed = _rule(was) if was.holdout_days != now.holdout_days else ""
    if now.cutoff == was.cutoff:
        return Move(True, f"no row moves: the rule of the cut-off was {changed}, now {_rule(now)}")
    said = f"the champion's cut-off was {was.cutoff}, now it is {now.cutoff}"
    if now.holdout_days is None or now.holdout_days not in _declared(case, was):
        began = f"; its rule was {changed}, now it is {_rule(now)}" if changed else ""
        return Move(
            False,
            f"{said}{began}: declare split.holdout_days first, in a pull request that leaves the "
            "cut-off as it was",
        )
    try:
        return _by_rule(case, replace(was, holdout_days=now.holdout_days), said)
    except SplitError as error:
        return Move(False, str(error))


def _by_rule(case: Case, was: Split, said: str) -> Move:
    last = newest(case.sides.values(), case.settings.data)
    today = datetime.datetime.now(datetime.UTC).date()
    if last >= np.datetime64(today) + np.timedelta64(2, "D"):  # wherever it is tomorrow already
        return Move(
            False, f"{said}, and the newest row is of {_day(last)}, which has not come: correct it"
        )
    wanted = moved_cutoff(was, last)
    rule = f"{_rule(was)} before the newest row, of {_day(last)}"
    if cutoff(case.settings.split) != cutoff(replace(was, cutoff=wanted)):
        return Move(False, f"{said}, and {rule}, is {wanted}: set split.cutoff to that")
    return Move(True, f"{said}: {rule}, as was declared before")


def _rule(split: Split) -> str:
    return "none" if split.holdout_days is None else f"{split.holdout_days} days"


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))


def _declared(case: Case, was: Split) -> set[object]:
    """Return the rules that stood before this branch: the champion's, and the base branch's."""
    declared: set[object] = {was.holdout_days}
    try:
        text = case.base and case.repository.text_at(case.base, RESOLVED.as_posix())
        declared.add(parse_yaml(text or "")["split"]["holdout_days"])
    except (ProjectError, yaml.YAMLError, LookupError, TypeError):
        pass  # of another version, or without results: it declares none
    return declared
