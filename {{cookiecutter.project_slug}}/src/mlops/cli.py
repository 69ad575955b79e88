"""The `mlops` command: arguments, printing and exit codes. Each verb imports its own work."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .errors import ProjectError

# Read when numerical libraries are first imported: on small data and busy machines, a second
# thread costs more than it gives. training.threads raises it for the fit.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

Arguments = argparse.Namespace
DESCRIPTION = "Each verb is one step of the loop; the stages of dvc.yaml call them in order."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code.

    It is 0, or 2 for a failure that the printed sentence helps to mend; `gate` has 1 as well.
    """
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ProjectError as error:
        print(f"mlops {arguments.verb}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"mlops {arguments.verb}: {error}: check the path and its rights", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mlops {arguments.verb}: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(prog="mlops", description=DESCRIPTION)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(run: Callable[[Arguments], int | None], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(run.__name__.strip("_"), help=text, description=text)
        added.set_defaults(run=run)
        return added

    add = verb(adopt, "take a table of your own: infer its contract, version it, leave it ready")
    add.add_argument("file", type=Path, help="a CSV or Parquet file")
    add.add_argument("--target", required=True, help="the column to predict")
    add.add_argument("--task", choices=["binary", "multiclass", "regression"])
    add.add_argument("--key", help="the column that identifies a row")
    add.add_argument("--time", help="the column to split by: later rows hold out")
    add.add_argument("--group", help="the column whose rows stay on one side of the split")
    add.add_argument("--columns", help="names, comma separated, for a file without a header")
    add.add_argument("--name", help="what to call the data (default: the file's name)")

    add = verb(sample, "write the sample data: a simulation of subscription churn")
    add.add_argument("--rows", type=_count, default=20_000)
    add.add_argument("--months", type=_count, default=12)
    add.add_argument("--drift", type=float, default=0.0, help="0 (none) to 1")
    add.add_argument("--seed", type=int, default=20)

    verb(resolve, "stage: compose params.yaml and conf/ into resolved.yaml")
    verb(prepare, "stage: validate the raw data and split it")
    verb(train, "stage: fit the model and compile it")
    verb(evaluate, "stage: measure the model on the holdout and draw the report")
    verb(bundle, "stage: put everything that is promoted into candidate/")
    verb(track, "stage: log the candidate to MLflow")

    add = verb(gate, "judge candidate/ against the champion: exit 0 passed, 1 rejected, 2 neither")
    add.add_argument("--against", metavar="REF", help="whose champion and policy, like origin/main")
    add.add_argument("--policy", metavar="REF", help="whose policy and code, if not those")
    add.add_argument("--report", metavar="DIR", type=Path, default=Path("reports/gate"))
    add.add_argument("--if-new", action="store_true", help="only what REF does not serve yet")
    add.add_argument(
        "--explain", metavar="RULE", nargs="?", const="", help="say what a rule does, or list all"
    )

    add = verb(proposal, "say what a branch proposes: exit 1 where a maintainer has to act")
    add.add_argument("--against", metavar="REF", required=True)
    add.add_argument("--since", metavar="COMMIT", required=True, help="what its author pushed")
    add.add_argument("--fork", action="store_true", help="automation cannot write to the branch")
    add.add_argument("--failed", action="store_true", help="a step before this one did")
    add.add_argument("--out", metavar="FILE", type=Path, help="write it there as well")

    add = verb(verify, "verify what this commit declares and REF does not")
    add.add_argument("--against", metavar="REF", required=True)

    add = verb(promote, "commit the declaration of the candidate that the gate passed")
    add.add_argument("--environment", metavar="E", help="where to (default: the first in order)")
    add.add_argument("--report", metavar="DIR", type=Path, help="of the gate (reports/gate)")
    add.add_argument("--against", metavar="REF", help="the base, if not the one of the report")

    add = verb(release, "bring what a commit declares to registry, MLflow and env/ branches")
    _released(add)

    add = verb(reconcile, "repair what differs from what a commit declares")
    _released(add)
    add.add_argument("--check", action="store_true", help="repair nothing: exit 1 if it differs")

    add = verb(history, "show which model an environment had when, by whom, on what evidence")
    add.add_argument("--environment", metavar="E", default="production")
    add.add_argument("--ref", default="HEAD", help="the branch that declares (default: HEAD)")
    add.add_argument("--at", metavar="DATE", help="only what was declared then")
    add.add_argument("--json", action="store_true")

    add = verb(diff, "compare two bundles: folders, or declarations like main:production")
    add.add_argument("before", metavar="A")
    add.add_argument("after", metavar="B")
    add.add_argument("--json", action="store_true")

    verb(mend, "repair what DVC left unreadable when it was killed while writing")

    add = verb(predict, "score a table with a bundle")
    add.add_argument("file", type=Path, help="a CSV or Parquet file")
    add.add_argument("--out", type=Path, required=True, help="where to write: .csv or .parquet")
    add.add_argument("--bundle", type=Path, default=Path("candidate"))

    add = verb(serve, "answer requests with a bundle, until told to stop")
    add.add_argument("--bundle", type=Path, help="a bundle's folder (default: candidate)")
    add.add_argument("--host", help="the address to listen at (default: 127.0.0.1)")
    add.add_argument(
        "--port", type=int, help="the port to listen at (default: 8000; 0: a free one)"
    )
    add.add_argument("--settings", metavar="NAME", help="which file of conf/serving to read")

    add = verb(lineage, "show what a bundle came from")
    add.add_argument("bundle", type=Path, nargs="?", default=Path("candidate"))
    return top


def adopt(arguments: Arguments) -> None:
    from .adoption.adopt import adopt
    from .repository import mend

    mend()

    columns = arguments.columns.split(",") if arguments.columns else None
    adoption = adopt(
        arguments.file,
        arguments.target,
        task=arguments.task,
        key=arguments.key,
        time=arguments.time,
        group=arguments.group,
        columns=columns,
        name=arguments.name,
    )
    print(adoption)


def sample(arguments: Arguments) -> None:
    from .data.prepare import RAW
    from .data.sample import write

    files = write(RAW, arguments.rows, arguments.months, arguments.drift, arguments.seed)
    print(f"{arguments.rows:,} rows in {len(files)} monthly files in {RAW}")


def resolve(_: Arguments) -> None:
    from .adoption.exchange import check_settled

    check_settled(Path())
    from .config.compose import resolve

    settings = resolve()
    print(f"resolved.yaml: {settings.model.target} on {settings.data.name}")


def prepare(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from .data.prepare import prepare

    print(prepare(settings.data, settings.split))


def train(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from .training.fitting import train

    print(train(settings))


def evaluate(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from .evaluation.evaluate import evaluate

    measured = evaluate(settings)["holdout"]
    value, low, high = (
        "undefined" if number is None else f"{number:.4g}"
        for number in (measured[settings.evaluation.primary][k] for k in ("value", "low", "high"))
    )
    print(f"{settings.evaluation.primary} {value} ({low} to {high}): reports/report.html")


def bundle(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from .release.bundle import bundle

    print(f"candidate {bundle(settings)}")


def track(_: Arguments) -> None:
    _follow_parent()
    settings = _settings()
    from .release.bundle import CANDIDATE
    from .release.registry import track

    print(f"MLflow run {track(settings, _project(), CANDIDATE)}")


def gate(arguments: Arguments) -> int:
    if arguments.explain is not None:
        from .gate.explanation import explanation

        print(explanation(arguments.explain))
        return 0
    from .gate.hearing import GateError
    from .gate.rerun import COULD_NOT, EXIT, UnjudgedError, run
    from .gate.wording import summary

    if arguments.against is None:
        raise GateError("say whose champion it is judged against, like --against origin/main")
    if arguments.if_new and not _new(arguments.against, arguments.report):
        return 0
    try:
        content = run(arguments.against, arguments.policy, arguments.report)
    except UnjudgedError:
        return COULD_NOT
    print(summary(content, arguments.report))
    return EXIT[content["verdict"]]


def _new(against: str, report: Path) -> bool:
    from .gate import verdict
    from .release.proposal import is_new

    if is_new(against):
        return True
    verdict.clear(report)
    print(f"{against} serves this candidate already: nothing to judge")
    return False


def proposal(arguments: Arguments) -> int:
    from .files import write_text
    from .release.proposal import acts, page

    told = (arguments.against, arguments.since)
    text = page(*told, arguments.fork, arguments.failed)
    if arguments.out is not None:
        write_text(arguments.out, text)
    print(text, end="")
    return int(arguments.fork and acts(*told, arguments.failed))


def verify(arguments: Arguments) -> None:
    from .release.proposal import verify

    changed = verify(arguments.against)
    print(f"{', '.join(changed)}: verified" if changed else "as before: nothing to verify")


def promote(arguments: Arguments) -> None:
    from .release.promotion import promote

    found = promote(arguments.environment, arguments.report, arguments.against)
    what = f"{found.name} {found.digest[:12]}"
    if found.commit is None:
        print(f"{found.environment} declares {what} already: nothing to do")
    else:
        print(f"{found.environment} declares {what} from commit {found.commit[:12]} on")


def release(arguments: Arguments) -> None:
    from .release import announcement, releasing

    done = []
    for name in _environments(arguments):
        one = releasing.release(name, arguments.commit, _step(name), arguments.base)
        done += [one] if one else []
    announcement.tell(announcement.outputs(done), announcement.page(done))
    for one in done:
        print(f"{one.record.environment} runs {one.record.name} as {one.record.pinned}")
    if not done:
        print("nothing is declared: nothing to release")


def reconcile(arguments: Arguments) -> int:
    from .release import announcement, reconciliation

    found = [
        reconciliation.reconcile(
            name, arguments.commit, not arguments.check, _step(name), arguments.base
        )
        for name in _environments(arguments)
    ]
    for one in found:
        for difference in one.differences:
            print(f"{one.environment}: {difference}")
    if not any(one.differences for one in found):
        print("registry, MLflow and branches are as declared")
    repaired = all(one.settled for one in found)
    text = announcement.differences(found, repaired and not arguments.check)
    announcement.tell({"settled": str(repaired).lower()}, text)
    return 0 if repaired else 1


def _released(add: argparse.ArgumentParser) -> None:
    add.add_argument("--environment", metavar="E", help="only this one (default: all)")
    add.add_argument("--commit", default="HEAD", help="what declares (default: HEAD)")
    add.add_argument(
        "--base",
        metavar="IMAGE",
        default=os.environ.get("MLOPS_BASE") or None,
        help="in place of the image that deploy/Dockerfile starts from ($MLOPS_BASE)",
    )


def _environments(arguments: Arguments) -> list[str]:
    from .release.environments import order, previous
    from .repository import commit_of

    commit = commit_of(arguments.commit)
    if arguments.environment is None:
        return order(commit)
    previous(arguments.environment, commit)  # refuses one that there is not
    return [arguments.environment]


def _step(environment: str) -> Callable[[str, str], None]:
    return lambda step, text: print(f"{environment}: {step:7} {text}", file=sys.stderr, flush=True)


def history(arguments: Arguments) -> None:
    from .release.history import at, history, shown

    entries = history(arguments.environment, arguments.ref)
    if arguments.at is not None:
        entries = at(entries, arguments.at)
    print(shown(entries, arguments.environment, arguments.json))


def diff(arguments: Arguments) -> None:
    from .release.comparison import compared, shown

    print(shown(compared(arguments.before, arguments.after), arguments.json))


def mend(_: Arguments) -> None:
    from . import landing
    from .adoption.exchange import settle
    from .repository import mend

    if settle(Path()):
        print("an adoption that was killed half-way is undone: adopt again")

    with landing.serial() as brought:
        for name in brought:
            print(f"{name} was not brought along by a killed promotion: it is as HEAD has it")

    for path in mend():
        print(f"{path} was left half written by a killed command: mended")


def predict(arguments: Arguments) -> None:
    from .serving.batch import predict

    rows = predict(arguments.file, arguments.out, arguments.bundle)
    print(f"{rows:,} rows scored: {arguments.out}")


def serve(arguments: Arguments) -> None:
    from .serving.settings import load

    given = {name: getattr(arguments, name) for name in ("bundle", "host", "port")}
    settings = load(arguments.settings, **given)
    from .serving.server import serve

    serve(settings)


def lineage(arguments: Arguments) -> None:
    import yaml

    from .release import manifest

    content = manifest.verified(arguments.bundle)
    shown = {
        "bundle": manifest.identity(arguments.bundle),
        **{name: content[name] for name in ("name", "task", "runtime", "holdout", "lineage")},
    }
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")


def _count(text: str) -> int:
    """Read a whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _settings() -> Any:
    from .adoption.exchange import check_settled
    from .config.settings import load

    check_settled(Path())

    return load()


def _project() -> str:
    """Return the project's name, which names its MLflow experiment."""
    import tomllib

    with Path("pyproject.toml").open("rb") as stream:
        return str(tomllib.load(stream)["project"]["name"])


def _follow_parent() -> None:
    """Ask Linux to end this stage when DVC is killed, so that it cannot write after the next run.

    Elsewhere a stage that outlives DVC finishes on its own; its writes are atomic in any case.
    """
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
