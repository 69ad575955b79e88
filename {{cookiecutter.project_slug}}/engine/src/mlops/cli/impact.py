"""What a model does to people."""

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from .monitoring import COLLECTED
from .verb import Arguments, Verb, day

DEPLOY, OUT = Path("deploy"), Path("reports/experiment")
NEXT = {
    "better": "`mlops experiment conclude`, then promote the challenger",
    "worse": "`mlops experiment conclude`, so that the champion answers everyone",
    "undecided": "`mlops experiment conclude`: what there may be is smaller than it was made for",
    "broken": "`mlops experiment stop`, and find what loses or adds units",
    "passed": "`mlops experiment conclude`, then promote the challenger",
    "stopped": "`mlops experiment stop`, and find out what went wrong",
    "going on": "wait: looking again costs nothing",
}


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(experiment, "compare two models by what they do to people who meet them")
    steps = add.add_subparsers(dest="step", required=True, metavar="STEP")
    start = steps.add_parser("start", help="declare the gated candidate as a challenger")
    start.add_argument(
        "--measure", choices=["value", "outcome"], default="outcome", help="what decides"
    )
    start.add_argument("--label", help="of the outcome: its share is measured")
    start.add_argument("--better", choices=["higher", "lower"], default="higher")
    start.add_argument("--margin", type=float, default=0.0)
    start.add_argument("--units", type=int, default=10_000, help="how many are expected")
    start.add_argument(
        "--mode", choices=["ab", "canary", "shadow"], default="ab", help="who meets the challenger"
    )
    start.add_argument("--slice", action="append", default=[], metavar="COLUMN")
    status = steps.add_parser("status", help="judge what the log has by now")
    advance = steps.add_parser("advance", help="give the challenger the share of the next step")
    stop = steps.add_parser("stop", help="remove it, so that the champion answers everyone")
    conclude = steps.add_parser("conclude", help="end it by what the log says, and keep that")
    propose = steps.add_parser("propose", help="open the pull request of what a report says")
    propose.add_argument("--report", metavar="FILE", type=Path, default=OUT / "experiment.json")
    doing = {start: _start, status: _status, advance: _advance, stop: _stop, conclude: _conclude}
    doing[propose] = _propose
    for one, do in doing.items():
        one.set_defaults(do=do)
        one.add_argument("--env", metavar="NAME", default="production")
    for one in (status, advance, conclude):
        one.add_argument("--log", metavar="LOG", required=True, help="a log's folder, or its URL")
        one.add_argument("--at", metavar="DATE", type=day, help="the last day (default: yesterday)")
    status.add_argument("--out", metavar="DIR", type=Path, default=OUT)
    status.add_argument(
        "--if-any", action="store_true", help="be content where none is declared, or nobody came"
    )
    stop.add_argument("--why", default="by hand", help="for those who read its history")

    add = verb(impact, "say what the model decided and earned, for people who read no metrics")
    add.add_argument("--log", metavar="LOG", required=True, help="a log's folder, or its URL")
    add.add_argument("--language", choices=["en", "ja"], default="en")
    add.add_argument("--env", metavar="NAME", default="production")
    add.add_argument("--since", metavar="DATE", type=day, help="the first day")
    add.add_argument("--at", metavar="DATE", type=day, help="the last day")
    add.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/impact"))


def impact(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..impact.account import account
    from ..impact.account_page import write

    told = (arguments.env, _log(arguments), arguments.since, arguments.at)
    print(write(arguments.out, account(Repository(), *told), arguments.language))


def experiment(arguments: Arguments) -> None:
    arguments.do(arguments)


def _start(arguments: Arguments) -> None:
    import msgspec

    from ..git.repository import Repository
    from ..impact.steps import start
    from ..rollout.declaration import ExperimentError, Primary

    asked = (arguments.measure, arguments.better, arguments.margin, arguments.label)
    given = dict(zip(("measure", "better", "margin", "label"), asked, strict=True))
    try:
        primary = msgspec.convert({**given, "units": arguments.units}, Primary)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"what is asked for is none ({error}): correct it") from error
    repository = Repository()
    given_mode = {"slices": tuple(arguments.slice), "mode": arguments.mode}
    for path in start(repository, arguments.env, primary, **given_mode):
        print(path.relative_to(repository.root))
    print("next: look at margin, steps and horizon, commit both, and open the pull request")


def _advance(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..impact.steps import advance

    path, share = advance(Repository(), arguments.env, _log(arguments), _at(arguments))
    print(f"{path.name} gives the challenger {share:g} of the keys: commit it, and have it merged")


def _stop(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..impact.steps import stop

    gone = ", ".join(path.name for path in stop(Repository(), arguments.env, arguments.why))
    print(f"{gone} removed: commit that, and have it merged; the champion answers everyone then")


def _conclude(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..impact.steps import conclude

    repository = Repository()
    place, report = conclude(repository, arguments.env, _log(arguments), _at(arguments))
    print(f"{report['verdict']}: {report['reason']}")
    print(f"kept as {place.relative_to(repository.root)}; the experiment is removed")
    if report["verdict"] in ("better", "passed"):
        print("next: `mlops promote`, which has the challenger of the gate served to everyone")
    print("commit deploy/, and open the pull request")


def _at(arguments: Arguments) -> date:
    return arguments.at or datetime.now(UTC).date() - timedelta(days=1)


def _log(arguments: Arguments) -> Path:
    """Return where a log can be read: one that is elsewhere is collected."""
    if "://" not in arguments.log:
        return Path(arguments.log)
    from ..files import sha256_of
    from ..serving.recording.shipping import collect

    folder = COLLECTED / sha256_of(arguments.log.rstrip("/"))[:12]
    print(f"{collect(arguments.log, folder)}: {folder}", file=sys.stderr)
    return folder


def _propose(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..impact.automation import propose
    from ..release import job_summary

    told = propose(Repository(), arguments.env, arguments.report)
    print(told)
    job_summary.tell({}, f"## Experiment\n\n{told}.\n")


def _status(arguments: Arguments) -> None:
    from ..impact import page
    from ..impact.experiment import judge, nobody, write
    from ..impact.units import NobodyError
    from ..rollout.declaration import NAME, read

    path = DEPLOY / arguments.env / NAME
    if arguments.if_any and not path.exists():
        print(f"there is no {path}: nothing to judge")
        return
    log, at = _log(arguments), _at(arguments)
    try:
        report = judge(path, log, at)
    except NobodyError:
        if not arguments.if_any:
            raise
        report = nobody(path, log, at)
    write(arguments.out, report)
    place = page.write(arguments.out, report, read(path), NEXT[report["verdict"]])
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
