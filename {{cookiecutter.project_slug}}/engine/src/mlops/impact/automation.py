"""What follows of an experiment's report, as the pull request that automation opens."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..bundle import verdict
from ..files import sha256_of
from ..git.placement import placement
from ..git.repository import Repository
from ..release import standing_branch
from ..release.declaration import DEPLOY
from ..rollout.declaration import NAME, Experiment, ExperimentError, parse
from . import steps
from .experiment import REPORT
from .steps import Changes

Action = Literal["wait", "advance", "stop", "conclude"]
PAGE = "experiment.md"  # beside the report, for people


def read(path: Path) -> dict[str, Any]:
    """Return a report after checking its digest; raises ExperimentError."""
    again = "run `mlops experiment status` again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated, computed = content["digest"], verdict.digest(content)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ExperimentError(f"{path} is no report of an experiment: {again}") from error
    if stated != computed:
        raise ExperimentError(f"{path} was changed after it was written: {again}")
    return dict(content)


def action(about: Experiment, report: dict[str, Any], now: datetime) -> Action:
    """Return what follows: people decide by merging it."""
    if report["verdict"] in ("stopped", "broken"):
        return "stop"
    if report["verdict"] != "going on":
        return "conclude"
    is_over = steps.is_over(about, now)
    if not report["units"]["challenger"]:
        return "stop" if is_over and about.no_traffic == "stop" else "wait"
    return "advance" if is_over and about.step + 1 < len(about.steps) else "wait"


def propose(
    repository: Repository, environment: str, path: Path, now: datetime | None = None
) -> str:
    """Open the pull request of what follows of a report, and say where it is.

    Raises ExperimentError where the report is of another declaration than main has.
    """
    head = standing_branch.head(repository)
    place = f"{DEPLOY}/{environment}/{NAME}"
    text = repository.text_at(head, place)
    if text is None:
        return f"{environment} declares no experiment: nothing to propose"
    report = read(path)
    if sha256_of(text) != report.get("declaration"):
        raise ExperimentError(
            f"{path} is of another declaration than {place}: run `mlops experiment status` again"
        )
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    about = parse(text.encode(), place)
    what = action(about, report, moment)
    if what == "wait":
        return f"{report['verdict']}: {report['reason']}: nothing to propose"
    title, changes = _change(repository, environment, about, report, what, moment)
    branch = placement(repository).branch("experiment", environment)
    where, is_new = standing_branch.propose(
        repository, branch, head, changes, title, _body(path, report)
    )
    if not where:
        return f"{branch} is pushed: open a pull request from it into {standing_branch.MAIN}"
    return f"{where} {'is open' if is_new else 'is written anew'}: {title}"


def _change(
    repository: Repository,
    environment: str,
    about: Experiment,
    report: dict[str, Any],
    what: Action,
    moment: datetime,
) -> tuple[str, Changes]:
    """Return the title of a pull request, and its files."""
    digest = about.challenger[:12]
    if what == "advance":
        share = about.steps[about.step + 1].share
        changes = steps.advanced(environment, about, moment)
        return f"{environment}: {digest} meets {share:.0%}", changes
    if what == "stop":
        changes = steps.stopped(repository, environment, report["reason"], moment.date())
        return f"{environment}: stop the experiment of {digest}", changes
    changes, _ = steps.concluded(repository, environment, report)
    return f"{environment}: {digest} is {report['verdict']}", changes


def _body(path: Path, report: dict[str, Any]) -> str:
    """Return the text of the pull request: what came from the log stands as code."""
    page = path.with_name(PAGE)
    told = page.read_text(encoding="utf-8") if page.is_file() else ""
    reason = " ".join(str(report["reason"]).split()).replace("`", "'")
    return (
        f"**{report['verdict']}**\n\n```text\n{reason}\n```\n\nThe workflow `experiment` made "
        f"this from `{REPORT}`; nothing changes until it is merged, and its next run writes this "
        f"branch anew.\n\n{told}"
    )
