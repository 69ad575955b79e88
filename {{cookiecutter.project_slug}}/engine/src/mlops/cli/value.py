"""What decisions are worth: those that were drawn by lot, and those that were never taken."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from .verb import Arguments, Verb, day

DEPLOY = Path("deploy")


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    one = verb(actions, "judge by the log which of the actions that were drawn pays")
    _common(one, "reports/actions")
    one = verb(counterfactual, "what another policy would have earned on what was logged")
    one.add_argument(
        "--policy",
        required=True,
        metavar="P",
        help="threshold:0.3, bundle:FOLDER, rule:NAME (src/policy/decisions.py) or always:ACTION",
    )
    one.add_argument("--actions", nargs=2, metavar=("BELOW", "ABOVE"), help="of a threshold")
    _common(one, "reports/counterfactual")
    one = verb(replay_experiment, "what an experiment of two bundles would have said of the past")
    one.add_argument("--champion", metavar="DIR", type=Path, required=True)
    one.add_argument("--challenger", metavar="DIR", type=Path, default=Path("candidate"))
    one.add_argument("--log", metavar="LOG", type=Path, required=True)
    one.add_argument("--since", metavar="DATE", type=day, required=True, help="the first day")
    one.add_argument("--at", metavar="DATE", type=day, help="the last day (default: yesterday)")
    one.add_argument("--share", type=float, default=0.5, help="of the challenger")
    one.add_argument("--salt", default="replay", help="another one draws other arms")
    one.add_argument("--units", type=int, default=10_000, help="where the sequence is tightest")
    one.add_argument("--min-units", type=int, default=500, help="of either arm")
    one.add_argument("--slice", action="append", default=[], metavar="COLUMN")
    one.add_argument("--out", metavar="DIR", type=Path, default=Path("reports/replay"))


def _common(one: object, out: str) -> None:
    add = one.add_argument  # type: ignore[attr-defined]
    add("--env", metavar="NAME", default="production", help="whose actions.yaml is read")
    add("--log", metavar="LOG", type=Path, required=True)
    add("--at", metavar="DATE", type=day, help="the last day (default: yesterday)")
    add("--out", metavar="DIR", type=Path, default=Path(out))


def actions(arguments: Arguments) -> None:
    from ..impact import actions_page
    from ..impact.actions import REPORT, judge
    from ..impact.pages import write
    from ..rollout.actions import NAME, read

    place = DEPLOY / arguments.env / NAME
    report = judge(place, arguments.log, _at(arguments))
    for one in report["arms"]:
        net, roi = one["net"], one["roi"]
        told = "no unit is old enough"
        if net:
            told = f"a unit brings {net['effect']:+.4g} ({net['low']:+.4g} to {net['high']:+.4g})"
        back = f", {roi['effect']:+.2f} for each 1 spent" if roi else ""
        print(f"{one['arm']} against {report['control']}: {one['verdict']}; {told}{back}")
    print(write(arguments.out, REPORT, report))
    print(f"As a picture: {actions_page.write(arguments.out, report, read(place))}")


def counterfactual(arguments: Arguments) -> None:
    from ..impact.logged import REPORT, judge
    from ..impact.pages import counterfactual as page
    from ..impact.pages import write

    report = judge(
        *(arguments.policy, arguments.log, _at(arguments), DEPLOY / arguments.env),
        arguments.actions,
    )
    robust, gain = report["doubly_robust"], report["gain"]
    print(
        f"{report['policy']}: a row would have brought {robust['value']:.4g} "
        f"({robust['low']:.4g} to {robust['high']:.4g}), {gain['value']:+.4g} "
        f"({gain['low']:+.4g} to {gain['high']:+.4g}) against what was done; "
        f"{report['effective']:,.0f} effective of {report['rows']:,} rows"
    )
    print(write(arguments.out, REPORT, report, page(report)))


def replay_experiment(arguments: Arguments) -> None:
    from ..impact.pages import write
    from ..impact.replay import Asked, replayed
    from ..rollout.declaration import ExperimentError

    if not 0 < arguments.share < 1 or arguments.min_units < 30 or arguments.units < 100:
        raise ExperimentError(
            "a share lies between 0 and 1, units are 100 or more, and min-units 30 or more: "
            "correct what was given"
        )
    given = (arguments.since, _at(arguments), arguments.share, arguments.salt, arguments.units)
    asked = Asked(*given, arguments.min_units, slices=tuple(arguments.slice))
    report = replayed(arguments.log, arguments.champion, arguments.challenger, asked)
    for look in report["looks"]:
        ends = f"{look['effect']:+.4g} ({look['low']:+.4g} to {look['high']:+.4g})"
        print(f"{look['day']}: {ends}, {look['units'][0]:,} and {look['units'][1]:,} units")
    print(f"{report['verdict']}: {report['reason']}")
    print(write(arguments.out, "experiment.json", report))


def _at(arguments: Arguments) -> date:
    return arguments.at or datetime.now(UTC).date() - timedelta(days=1)
