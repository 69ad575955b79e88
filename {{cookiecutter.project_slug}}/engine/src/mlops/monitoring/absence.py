"""Why a log has no row of a bundle, for whoever asked the monitor about it."""

import re
import shlex
from datetime import date, timedelta
from pathlib import Path

from ..log_layout import CLOSED, COUNTS, OPEN, PREDICTIONS, SPOOL
from .log import HORIZON

DAY = re.compile(r"date=(\d{4}-\d\d-\d\d)")
SHOWN = 3  # other models


def why(log: Path, model: str, at: date) -> str:
    """Return, in a line, why nothing of a model is known up to a day, and what to do about it."""
    found = _days(log)
    reasons = [_waiting(log)]
    if own := found.pop(model, []):
        reasons.append(_own(own, at))
    elif found:
        latest = sorted(found, key=lambda name: max(found[name]), reverse=True)
        rest = f" and {len(latest) - SHOWN} more" if len(latest) > SHOWN else ""
        named = ", ".join(latest[:SHOWN])
        reasons.append(f"its rows are of other models ({named}{rest}): name theirs with `--bundle`")
    elif not (log / PREDICTIONS).is_dir():
        reasons.append(f"no {PREDICTIONS}/ is in {log}: is this the server's log folder?")
    elif not reasons[0]:
        reasons.append(f"{log / PREDICTIONS} is empty: nothing was asked yet")
    told = "; ".join(filter(None, reasons))
    return f"the log has no row of {model} up to {at}: {told}"


def _days(log: Path) -> dict[str, list[str]]:
    """Return the days of each model, by what the log calls it."""
    found: dict[str, list[str]] = {}
    paths = [*(log / PREDICTIONS).glob("date=*/model=*"), *(log / COUNTS).glob("date=*/*.json")]
    for path in paths:
        if day := DAY.fullmatch(path.parent.name):
            model = path.name.removeprefix("model=").removesuffix(".json")
            found.setdefault(model, []).append(day[1])
    return found


def _own(days: list[str], at: date) -> str:
    first = (at - timedelta(days=HORIZON)).isoformat()
    if any(first <= day <= at.isoformat() for day in days):
        return "those that it has are of a shadow, which answered nobody"
    if (last := max(days)) > at.isoformat():
        return f"the first is of {min(days)}, and a day is judged when it is over: `--at {last}`"
    return f"the last is of {last}, and {HORIZON} days are looked at"


def _waiting(log: Path) -> str:
    """Return how many segments wait to be made Parquet of, and by which command they are."""
    spool = log / SPOOL
    if closed := len([*spool.glob(f"[!.]*/*{CLOSED}")]):
        command = f"python -m mlops.serving.recording {shlex.quote(str(spool))}/*"
        return f"{closed} segment{'s' * (closed != 1)} still wait{'s' * (closed == 1)}: `{command}`"
    if any(spool.glob(f"[!.]*/*{OPEN}")):
        return f"rows are in open segments of {spool}, which its server closes within five minutes"
    return ""
