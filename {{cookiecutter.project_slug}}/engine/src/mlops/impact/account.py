"""What a model decided and what it was worth, month by month: from git and the log."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..bundle.verdict import sealed
from ..git.repository import Repository
from ..release import challenger
from ..release.history import Entry, history
from .months import Month, Sum, read

FORMAT = 1
NAME = "impact"  # of the files
WON = "better"


def account(
    repository: Repository,
    environment: str,
    log: Path,
    first: date | None = None,
    last: date | None = None,
    ref: str = "HEAD",
) -> dict[str, Any]:
    """Return the sealed account of an environment; raises a ProjectError without any answer.

    Against doing nothing, which earns 0, a model earned what was reported of its rows; against the
    champion before, what the experiment that it won has shown of a unit, times the people of the
    month. Neither is known where nothing was reported, or no experiment decided.
    """
    entries = history(repository, environment, ref)
    commit = repository.commit_of(ref)
    won = _won(challenger.ended(repository, commit, environment))
    months = read(log, first, last)
    names = {one.bundle_digest: one.name for one in entries if one.bundle_digest}
    return sealed(
        {
            "format": FORMAT,
            "environment": environment,
            "commit": commit,
            "months": [_month(one, names, won) for one in months],
            "models": [_model(one) for one in reversed(entries) if one.bundle_digest],
            "experiments": [
                {name: content.get(name) for name in
                 ("at", "champion", "challenger", "verdict", "measure", "units")}
                | {"effect": _effect(content)}
                for _, content in challenger.ended(repository, commit, environment)
            ],
        }
    )  # fmt: skip


def _won(ended: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the newest experiment that each bundle won, by its digest."""
    found: dict[str, dict[str, Any]] = {}
    for _, content in ended:
        if content["verdict"] == WON and _effect(content) is not None:
            found.setdefault(content["challenger"], content)
    return found


def _effect(content: dict[str, Any]) -> list[float] | None:
    """Return the difference of a unit that an experiment ended with, and its interval."""
    looks = content.get("looks") or []
    return [looks[-1][key] for key in ("effect", "low", "high")] if looks else None


def _month(one: Month, names: dict[str, str | None], won: dict[str, Any]) -> dict[str, Any]:
    experiment = won.get(one.model)
    against = None
    if experiment is not None:
        effect = _effect(experiment) or []
        is_value = experiment["measure"]["name"] == "value"
        scale = one.people if is_value else 1
        against = {"champion": experiment["champion"], "measure": experiment["measure"]}
        against["difference"] = _shown(Sum(*(scale * number for number in effect)))
    return {
        "month": one.month,
        "model": one.model,
        "name": names.get(one.model),
        "decisions": one.decisions,
        "people": one.people,
        "labels": one.labels,
        "reported": one.reported,
        "nothing": {currency: _shown(total) for currency, total in one.earned.items()},
        "before": against,
    }


def _model(one: Entry) -> dict[str, Any]:
    since = datetime.fromisoformat(one.since).date().isoformat()
    until = one.until and datetime.fromisoformat(one.until).date().isoformat()
    return {"model": one.bundle_digest, "name": one.name, "since": since, "until": until}


def _shown(total: Sum) -> list[float]:
    return [float(f"{number:.10g}") for number in total]
