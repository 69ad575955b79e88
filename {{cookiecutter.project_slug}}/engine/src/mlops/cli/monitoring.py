"""What is said of a model in production."""

import argparse
from datetime import date
from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(monitor, "judge what a server recorded: exit 0 quiet, 1 alert, 2 not judged")
    add.add_argument("--log", metavar="DIR", type=Path, help="the log folder of the server")
    add.add_argument(
        "--bundle", metavar="DIR", type=Path, default=Path("deploy/production/champion")
    )
    add.add_argument("--at", metavar="DATE", type=_day, help="the last day (default: yesterday)")
    add.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/monitor"))
    add.add_argument(
        "--replay", metavar="DAYS", type=_days, help="say what would have alerted: 90d"
    )
    add.add_argument("--policy", metavar="REF", help="and what the policy of REF would have")
    add.add_argument(
        "--explain", metavar="RULE", nargs="?", const="", help="say what a rule does, or list all"
    )


def monitor(arguments: Arguments) -> int:
    if arguments.explain is not None:
        from ..monitoring.rule import RULES
        from ..policy.explanation import explanation

        print(explanation(arguments.explain, RULES))
        return 0
    from ..monitoring.monitor import EXIT, MonitorError, monitor

    if arguments.log is None:
        raise MonitorError("say which log is read, like --log LOG")
    if arguments.policy is not None and not arguments.replay:
        raise MonitorError("--policy says with what --replay is compared: add --replay 90d")
    if arguments.replay:
        from ..monitoring.replay import replay

        print(
            replay(
                arguments.log, arguments.bundle, arguments.at, arguments.replay, arguments.policy
            )
        )
        return 0
    report = monitor(arguments.log, arguments.bundle, arguments.at, arguments.out)
    print(f"{report['verdict']}: {arguments.out / 'monitor.html'}")
    for kind in ("alerts", "notes"):
        for one in report[kind][:10]:
            subject = f" {one['part']}" if one["part"] else ""
            print(f"- {kind[:-1]} {one['rule']}{subject} ({one['window']}): {one['reason']}")
        if more := len(report[kind]) - 10:
            print(f"- {more} more {kind}") if more > 0 else None
    for step in report["next"]:
        print(f"next: {step}")
    return EXIT[report["verdict"]]


def _day(text: str) -> date:
    """Read a date like 2026-11-27."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-11-27") from error


def _days(text: str) -> int:
    """Read a number of days like 90d."""
    digits = text.removesuffix("d")
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days like 90d")
    return int(digits)
