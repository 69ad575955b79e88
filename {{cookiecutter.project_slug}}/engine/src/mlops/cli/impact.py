"""What a model does to people."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from .verb import Arguments, Verb, day

DEPLOY = Path("deploy")
NEXT = {
    "better": "promote the challenger: a pull request with its pointer as champion",
    "worse": "end the experiment: remove experiment.yaml, so that the champion answers everyone",
    "undecided": "end the experiment: what it could have found is smaller than it was made for",
    "broken": "stop the experiment, and find what loses or adds units",
    "going on": "wait: looking again costs nothing",
}


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(experiment, "say what two models that answer did to people, and what follows")
    add.add_argument("what", choices=["status"], help="status: judge what the log has by now")
    add.add_argument("--log", metavar="LOG", type=Path, required=True)
    add.add_argument("--env", metavar="NAME", default="production")
    add.add_argument("--at", metavar="DATE", type=day, help="the last day (default: yesterday)")
    add.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/experiment"))


def experiment(arguments: Arguments) -> int:
    from ..impact.experiment import judge, write
    from ..rollout.declaration import NAME

    at = arguments.at or datetime.now(UTC).date() - timedelta(days=1)
    report = judge(DEPLOY / arguments.env / NAME, arguments.log, at)
    place = write(arguments.out, report)
    units = report["units"]
    print(f"{report['verdict']}: {report['reason']}")
    print(
        f"units {units['champion']:,} and {units['challenger']:,} of a share of {report['share']:g}"
        f"; judged {units['judged']:,}, young {units['young']:,}, met both {units['crossed']:,}"
    )
    for one in report["slices"]:
        ends = f"{one['effect']:+.4g} ({one['low']:+.4g} to {one['high']:+.4g})"
        print(f"- {one['slice']}: {ends}, p {one['p']:.2g}")
    print(f"next: {NEXT[report['verdict']]}")
    print(place)
    return 0
