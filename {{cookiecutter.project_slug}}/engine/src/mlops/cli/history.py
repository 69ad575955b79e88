"""Looking back, and comparing."""

from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..git.repository import Repository


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(history, "show which model an environment had when, by whom, on what evidence")
    add.add_argument("--environment", metavar="E", default="production")
    add.add_argument("--ref", default="HEAD", help="the branch that declares (default: HEAD)")
    add.add_argument("--at", metavar="DATE", help="only what was declared then")
    add.add_argument("--json", action="store_true")

    add = verb(diff, "compare two bundles: folders, or declarations like main:production")
    add.add_argument("before", metavar="A")
    add.add_argument("after", metavar="B")
    add.add_argument("--json", action="store_true")

    add = verb(lineage, "show what a bundle came from")
    add.add_argument("bundle", type=Path, nargs="?", default=Path("candidate"))
    add.add_argument("--check", action="store_true", help="exit 1 if it is to be bundled again")
    add.add_argument("--against", metavar="REF", help="what REF serves is not bundled again")


def history(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..release.history import at, experiments, history, shown

    repository = Repository()
    entries = history(repository, arguments.environment, arguments.ref)
    tried = experiments(repository, arguments.environment, arguments.ref)
    if arguments.at is not None:
        entries, tried = at(entries, arguments.at), []
    print(shown(entries, arguments.environment, arguments.json, tried))


def diff(arguments: Arguments) -> None:
    from ..git.repository import Repository
    from ..release.comparison import compared, shown

    print(shown(compared(Repository(), arguments.before, arguments.after), arguments.json))


def lineage(arguments: Arguments) -> int:
    import yaml

    from ..bundle import contents
    from ..bundle.lineage import is_premature
    from ..git import dvc
    from ..git.repository import Repository

    bundle_digest, content, _ = contents.read(arguments.bundle)
    if arguments.check:
        repository = Repository()
        tables = sorted(Path("data/tables").glob("*.dvc"))
        for name in ("data/raw", *(pointer.with_suffix("").as_posix() for pointer in tables)):
            if other := dvc.left_over(repository, Path(name)):
                print(
                    f"check: {name} is that of {other}, not of this commit, as after a change of "
                    f"branch: `git checkout {name}.dvc`, then `dvc checkout`, and run this again; "
                    f"or commit {name}.dvc, if it is what you want"
                )
        against = arguments.against
        if premature := is_premature(repository, content) and not _is_served(repository, against):
            print(f"{arguments.bundle} names no commit that has its inputs: once more")
        return int(premature)
    shown = {
        "bundle": bundle_digest,
        **{name: content[name] for name in ("name", "task", "runtime", "holdout", "lineage")},
    }
    print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), end="")
    return 0


def _is_served(repository: "Repository", against: str | None) -> bool:
    """Say whether a base has promoted the candidate; one that does not exist has promoted none.

    Its commit may be on no branch any more, where the pull request was squashed.
    """
    from ..errors import ProjectError
    from ..release.proposal import known

    try:
        return bool(against and known(repository, against))
    except ProjectError:
        return False
