"""counterfactual.json: a policy judged on a log, with all that it rests on."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ..bundle.verdict import sealed
from ..files import sha256
from ..rollout.actions import NAME, read
from ..rollout.declaration import lasting
from . import assigned, counterfactual
from .policies import parse

FORMAT = 1
REPORT = "counterfactual.json"
MATURITY = timedelta(days=7)  # where no declaration says it


def judge(
    text: str, log: Path, at: date, environment: Path, actions: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the sealed report of what a policy would have earned, on rows mature by a day (UTC).

    Costs and maturity are those of the environment's actions.yaml, where there is one. Raises
    ExperimentError where the policy is none, or the log cannot tell.
    """
    policy = parse(text, actions)
    place = environment / NAME
    costs: Mapping[str, float] = {}
    maturity, declared = MATURITY, None
    if place.is_file():
        about = read(place)
        costs, maturity, declared = about.costs, lasting(about.maturity), sha256(place)
    logged = assigned.read(log, at, costs, policy.inputs, maturity=maturity)
    found = counterfactual.evaluated(logged, policy.act(logged))
    return sealed(
        {
            "format": FORMAT,
            "policy": policy.name,
            "declaration": declared,
            "at": at.isoformat(),
            "maturity_days": maturity / timedelta(days=1),
            "rows_of_nobody": logged.nameless,
            **counterfactual.report(found),
        }
    )
