"""What is done about a candidate: the gate, the pull request, the promotion."""

from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..git.repository import Repository


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(gate, "judge candidate/ against the champion: exit 0 passed, 1 rejected, 2 neither")
    add.add_argument("--against", metavar="REF", help="whose champion and policy, like origin/main")
    add.add_argument("--policy", metavar="REF", help="whose policy and code, if not those")
    add.add_argument("--report", metavar="DIR", type=Path, default=Path("reports/gate"))
    add.add_argument(
        "--rederive", action="store_true", help="make the candidate again, for rule reproduced"
    )
    add.add_argument("--if-new", action="store_true", help="only what REF does not serve yet")
    add.add_argument(
        "--explain", metavar="RULE", nargs="?", const="", help="say what a rule does, or list all"
    )

    add = verb(fetch, "fetch what the pipeline needs: exit 1 where the branch concerns no model")
    add.add_argument("--against", metavar="REF", required=True)

    add = verb(proposal, "say what a branch proposes: exit 1 where a maintainer has to act")
    add.add_argument("--against", metavar="REF", required=True)
    add.add_argument("--since", metavar="COMMIT", required=True, help="what its author pushed")
    add.add_argument("--fork", action="store_true", help="automation cannot write to the branch")
    add.add_argument("--queue", action="store_true", help="it stands in a merge queue")
    add.add_argument("--failed", action="store_true", help="a step before this one did")
    add.add_argument("--out", metavar="FILE", type=Path, help="write it there as well")

    add = verb(verify, "verify what this commit declares and REF does not")
    add.add_argument("--against", metavar="REF", required=True)

    add = verb(promote, "commit the declaration of the candidate that the gate passed")
    add.add_argument("--environment", metavar="E", help="where to (default: the first in order)")
    add.add_argument("--report", metavar="DIR", type=Path, help="of the gate (reports/gate)")
    add.add_argument("--against", metavar="REF", help="the base, if not the one of the report")


def gate(arguments: Arguments) -> int:
    if arguments.explain is not None:
        from ..gate.rule import RULES
        from ..policy.explanation import explanation

        print(explanation(arguments.explain, RULES))
        return 0
    from ..gate.phrases import summary
    from ..gate.request import GateError
    from ..gate.rerun import COULD_NOT, EXIT, UnjudgedError, run
    from ..git.repository import Repository

    if arguments.against is None:
        raise GateError("say whose champion it is judged against, like --against origin/main")
    repository, report = Repository(), arguments.report
    if arguments.if_new and not _new(repository, arguments.against, report):
        return 0
    try:
        content = run(repository, arguments.against, arguments.policy, report, arguments.rederive)
    except UnjudgedError:
        return COULD_NOT
    print(summary(content, report))
    return EXIT[content["verdict"]]


def fetch(arguments: Arguments) -> int:
    from ..git.repository import Repository
    from ..release.fetching import fetch

    needed = fetch(Repository(), arguments.against)
    print("data and candidate are here" if needed else "no model is concerned: nothing to fetch")
    return int(not needed)


def proposal(arguments: Arguments) -> int:
    from ..files import write_text
    from ..git.repository import Repository
    from ..release.proposal import acts, page

    told = (Repository(), arguments.against, arguments.since)
    text = page(*told, arguments.fork, arguments.failed, arguments.queue)
    if arguments.out is not None:
        write_text(arguments.out, text)
    print(text, end="")
    return int((arguments.fork or arguments.queue) and acts(*told, arguments.failed))


def verify(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..release.proposal import verify

    changed = verify(Repository(), arguments.against)
    print(f"{', '.join(changed)}: verified" if changed else "as before: nothing to verify")


def promote(arguments: Arguments) -> None:
    from ..bundle.verdict import again
    from ..git.repository import Repository
    from ..release.promotion import promote

    found = promote(Repository(), arguments.environment, arguments.report, arguments.against)
    what = f"{found.name} {found.bundle_digest[:12]}"
    if found.held:
        print(f"{what} is not promoted: it {found.held}")
        if found.commit:
            print(f"its report stands beside it from commit {found.commit[:12]} on")
    elif found.commit is None:
        print(f"{found.environment} declares {what} already: nothing to do")
    else:
        print(f"{found.environment} declares {what} from commit {found.commit[:12]} on")
    if found.pending:
        print(
            f"still to come: {', '.join(found.pending)}: the workflow `model` does that, or "
            f"`{again(found.against)}`, then `mlops promote`"
        )


def _new(repository: "Repository", against: str, report: Path) -> bool:
    from ..bundle import verdict
    from ..release.proposal import known

    if not (reason := known(repository, against)):
        return True
    verdict.clear(report)
    print(f"{reason}: nothing to judge")
    return False
