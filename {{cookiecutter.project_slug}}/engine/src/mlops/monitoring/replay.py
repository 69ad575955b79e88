"""What a policy would have alerted on every day of the past, beside another policy."""

import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec

from ..bundle import contents
from ..contract import Task
from ..git.repository import Repository, RepositoryError
from ..progress import progress
from .case import Case
from .judge import ruling
from .monitor import MonitorError, prepared, read
from .policy import Policy, compose

Found = dict[tuple[str, str, str], list[str]]  # verdict, rule, part -> days
PLACES = ("conf", "params.yaml")
RULES = "src/policy"


def replay(log: Path, bundle: Path, at: date | None, length: int, ref: str | None) -> str:
    """Return, in Markdown, what the policy of this folder would have found on each of those days.

    With `ref`, also what the policy of that commit would have, and where they differ; where it is
    the same policy, that is said at once.
    """
    content = read(bundle)
    task = content.manifest["task"]
    own = compose(Path(), task, "this folder")
    theirs, alike = (None, False) if ref is None else _policy(ref, task)
    if theirs is not None and alike and theirs.digest == own.digest:
        return f"The monitor goes by the policy of {ref}: nothing would have been another."
    mine = _replayed(log, content, own, at, length)
    if ref is None or theirs is None:
        return _table(mine, None, "this folder", "")
    return _table(mine, _replayed(log, content, theirs, at, length), "this folder", ref)


def _policy(ref: str, task: Task) -> tuple[Policy, bool]:
    """Return the policy of a commit, and whether the owner's rules are those of this folder.

    Raises where there is none, before days are replayed.
    """
    repository = Repository()
    repository.git("rev-parse", "--git-dir")
    try:
        commit = repository.commit_of(ref)
    except RepositoryError as error:
        raise MonitorError(f"--policy {ref}: {error}") from error
    changed = repository.git("diff", "--name-only", commit, "--", RULES)
    changed += repository.git("ls-files", "--others", "--exclude-standard", "--", RULES)
    with tempfile.TemporaryDirectory() as folder:
        repository.extract(commit, list(PLACES), Path(folder))
        return compose(Path(folder), task, ref), not changed


def _replayed(
    log: Path, content: contents.Contents, policy: Policy, at: date | None, length: int
) -> Found:
    _, case = prepared(log, content, policy, at, keep=False)
    found: Found = {}
    with progress(title="replay", total=length, unit=" days") as bar:
        for past in _days(case, length):
            for entry in ruling(policy, past):
                for finding in entry["findings"]:
                    if finding["verdict"] in ("alert", "note"):
                        key = finding["verdict"], entry["name"], finding.get("part", "")
                        days = found.setdefault(key, [])
                        if not days or days[-1] != past.at.isoformat():
                            days.append(past.at.isoformat())
            bar.update(1)
    return found


def _days(case: Case, length: int) -> Iterator[Case]:
    """Yield the case of each day, with what was known then."""
    maturity = timedelta(days=case.settings.maturity_days)
    for back in range(length - 1, -1, -1):
        then = case.at - timedelta(days=back)
        mature = (then - maturity).isoformat()
        days = {
            day: about if day <= mature else msgspec.structs.replace(about, outcomes=None)
            for day, about in case.days.items()
            if day <= then.isoformat()
        }
        traffic = {day: rows for day, rows in case.traffic.items() if day <= then.isoformat()}
        yield msgspec.structs.replace(case, at=then, days=days, traffic=traffic)


def _table(mine: Found, other: Found | None, own: str, ref: str) -> str:
    """Return the rows in Markdown: what was found, on how many days, and from when."""
    keys = sorted({*mine, *(other or {})}, key=lambda key: (key[0] != "alert", *key))
    header = ["", "rule", "part", own, *([ref] if other is not None else [])]
    lines = [_line(header), "|" + "---|" * len(header)]
    for key in keys:
        sides = [_said(mine.get(key, []))]
        if other is not None:
            sides.append(_said(other.get(key, [])))
        lines.append(_line([*key, *sides]))
    if not keys:
        return "Nothing would have alerted, and nothing would have been noted."
    return "\n".join(lines)


def _said(days: list[str]) -> str:
    if len(days) < 2:
        return f"1 day, {days[0]}" if days else "never"
    return f"{len(days)} days, from {days[0]} to {days[-1]}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
