"""What the monitor found, brought to people."""

from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(alerts, "open, edit and close an issue for each alert, and tell $MLOPS_WEBHOOK_URL")
    add.add_argument("report", type=Path, help="what `mlops monitor` wrote: monitor.json")
    add.add_argument("--dry-run", action="store_true", help="only say what would be done")

    add = verb(dashboards, "write rules for Prometheus and a dashboard for Grafana")
    add.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("deploy/observability"), help="where to"
    )


def alerts(arguments: Arguments) -> None:
    from ..bundle.alerts import read
    from ..git.placement import placement
    from ..git.repository import Repository
    from ..monitoring.alerting import bring, planned

    report = read(arguments.report)
    if project := placement(Repository()).name:  # two of one repository may read the same data
        report = {**report, "name": f"{project} {report['name']}"}
    count = 0
    for line in planned(report) if arguments.dry_run else bring(report):
        print(line, flush=True)
        count += 1
    if not count:
        print("issues say what the report does: nothing to do")


def dashboards(arguments: Arguments) -> None:
    from ..monitoring.observability import write

    for path in write(arguments.out):
        print(path)
