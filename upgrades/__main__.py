"""`python -m upgrades --clone DIR --to REF`, in the folder of a project: exit 0, 1 conflicts, 2."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import landing, report
from .origin import FILE, parsed
from .plan import Plan, planned
from .repository import Git, UpgradeError


def main(argv: Sequence[str] | None = None) -> int:
    """Upgrade the project in this folder; say what came of it."""
    parser = argparse.ArgumentParser(prog="upgrades", description=__doc__)
    parser.add_argument("--clone", metavar="DIR", type=Path, required=True, help="of the template")
    parser.add_argument("--to", metavar="REF", required=True, help="a tag, branch or commit there")
    parser.add_argument("--address", metavar="URL", help="where others find the template")
    parser.add_argument("--no-lock", action="store_true", help="do not compile locks")
    given = parser.parse_args(argv)
    try:
        return upgrade(Git(Path()), Git(given.clone), given.address, given.to, not given.no_lock)
    except UpgradeError as error:
        print(f"upgrade: {error}", file=sys.stderr)
        return 2


def upgrade(git: Git, template: Git, address: str | None, to: str, lock: bool) -> int:
    """Upgrade; return 0, or 1 where conflicts are left."""
    before = landing.check_ready(git)
    place = Path(FILE)
    if place.is_file():
        origin = parsed(place.read_text(encoding="utf-8"))
        if origin.commit == template.commit_of(to):
            print(f"this project follows {to} already: nothing to do")
            return 0
    plan = planned(git, template, address, to, lock, _say)
    landing.check_free(git, before, plan.after)
    if plan.engine:
        report.PATCH.parent.mkdir(parents=True, exist_ok=True)
        report.PATCH.write_text(plan.engine, encoding="utf-8", errors="surrogateescape")
    if plan.merged.conflicts:
        landing.stop(git, before, plan.after)
    else:
        landing.land(git, before, plan.after)
    _tell(git, plan)
    return int(bool(plan.merged.conflicts))


def _tell(git: Git, plan: Plan) -> None:
    done = not plan.merged.conflicts
    text = report.text(git, plan, report.rerun(git) if done else None)
    report.REPORT.parent.mkdir(parents=True, exist_ok=True)
    report.REPORT.write_text(text, encoding="utf-8", errors="surrogateescape")
    print(text)


def _say(what: str) -> None:
    print(f"upgrade: {what}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
