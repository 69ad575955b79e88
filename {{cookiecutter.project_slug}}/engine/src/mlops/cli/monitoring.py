"""What is said of a model in production."""

import argparse
import sys
import traceback
from datetime import date
from pathlib import Path

from ..errors import ProjectError
from .verb import Arguments, Verb, day

COLLECTED = Path(".mlops/log")  # logs of other places


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(monitor, "judge what a server recorded: exit 0 quiet, 1 alert, 2 not judged")
    add.add_argument(
        "--log", metavar="LOG", help="the log folder of a server, or a URL like s3://bucket/log"
    )
    add.add_argument(
        "--bundle", metavar="DIR", type=Path, default=Path("deploy/production/champion")
    )
    add.add_argument("--at", metavar="DATE", type=day, help="the last day (default: yesterday)")
    add.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/monitor"))
    add.add_argument(
        "--replay", metavar="DAYS", type=_days, help="say what would have alerted: 90d"
    )
    add.add_argument("--policy", metavar="REF", help="and what the policy of REF would have")
    add.add_argument(
        "--explain", metavar="RULE", nargs="?", const="", help="say what a rule does, or list all"
    )


def monitor(arguments: Arguments) -> int:
    try:
        return _monitor(arguments)
    except (ProjectError, OSError):
        raise
    except (Exception, SystemExit):  # which would exit with 1, and 1 is an alert
        traceback.print_exc()
        return 2


def _monitor(arguments: Arguments) -> int:
    if arguments.explain is not None:
        from ..monitoring.rule import RULES
        from ..policy.explanation import explanation

        print(explanation(arguments.explain, RULES))
        return 0
    from ..monitoring.monitor import EXIT, MonitorError, clear, monitor

    if not arguments.log:
        raise MonitorError("say which log is read, like --log LOG")
    if arguments.policy is not None and not arguments.replay:
        raise MonitorError("--policy says with what --replay is compared: add --replay 90d")
    if not arguments.replay:
        clear(arguments.out)
    log = _here(arguments.log, arguments.bundle)
    if arguments.replay:
        from ..monitoring.replay import replay

        print(replay(log, arguments.bundle, arguments.at, arguments.replay, arguments.policy))
        return 0
    report = monitor(log, arguments.bundle, arguments.at, arguments.out)
    print(f"{report['verdict']}: {arguments.out / 'monitor.html'}")
    if not report["log"]["rows"]:
        from ..monitoring.absence import why

        print(why(log, report["model"]["sha256"][:12], date.fromisoformat(report["at"])))
    for kind in ("alerts", "notes"):
        for one in report[kind][:10]:
            subject = f" {one['part']}" if one["part"] else ""
            window = f" ({one['window']})" if one["window"] else ""
            print(f"- {kind[:-1]} {one['rule']}{subject}{window}: {one['reason']}")
        if more := len(report[kind]) - 10:
            print(f"- {more} more {kind}") if more > 0 else None
    for step in report["next"]:
        print(f"next: {step}")
    return EXIT[report["verdict"]]


def _here(log: str, bundle: Path) -> Path:
    """Return where a log can be read: one that is elsewhere is collected."""
    if "://" not in log:
        return Path(log)
    from ..files import sha256_of
    from ..log_layout import COUNTS, PREDICTIONS
    from ..monitoring.monitor import MonitorError, settled_by
    from ..serving.recording.shipping import collect

    folder = COLLECTED / sha256_of(log.rstrip("/"))[:12]
    done = collect(log, folder, settled_by(bundle))
    print(f"{done}: {folder}", file=sys.stderr)
    for note in done.notes():
        print(f"check: {note}", file=sys.stderr)
    if not any((folder / kind).is_dir() for kind in (PREDICTIONS, COUNTS)):
        raise MonitorError(
            "no predictions stand in the place that --log names: correct its address, or have "
            "them recorded there first (engine/docs/serving-log.md)"
        )
    return folder


def _days(text: str) -> int:
    """Read a number of days like 90d."""
    digits = text.removesuffix("d")
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days like 90d")
    return int(digits)
