"""A person's right to be forgotten."""

import sys
from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(
        forget, "remove the rows of a key from data/raw and data/tables, and say what saw it"
    )
    add.add_argument("key", nargs="*", metavar="KEY", help="what names a person in the column")
    add.add_argument(
        "--keys",
        metavar="FILE",
        help="a file with a key a line (- is standard input): no shell keeps it in its history",
    )
    add.add_argument("--column", metavar="NAME", help="the column of the keys (default: role id)")


def forget(arguments: Arguments) -> int:
    from ..config.compose import CONF, composed
    from ..config.experiment import EXPERIMENT, read_experiment
    from ..config.settings import Settings
    from ..git.repository import Repository
    from ..ingestion import traces
    from ..ingestion.forgetting import Wanted, files, forget

    asked = _keys(arguments)
    if not asked:
        print("mlops forget: no key is given: name one, or a file by `--keys`", file=sys.stderr)
        return 2
    repository = Repository()
    settings = Settings.parse(composed(CONF, read_experiment(EXPERIMENT)))
    wanted = Wanted(settings.data, asked, arguments.column)
    found = wanted.search(files(repository.root))
    kept = traces.kept(repository, wanted)
    if unknown := [key for key in asked if key not in found.keys | kept.keys]:
        print(
            f"mlops forget: {len(unknown)} of {len(asked)} keys are in no {wanted.name} of "
            "data/raw, data/tables or what DVC's cache has of them, and nothing was changed: check "
            "them, or name another column by `--column`",
            file=sys.stderr,
        )
        return 1
    digests = {one.sha256 for one in found.held} | kept.digests
    seen, untold = traces.bundles(repository, digests)
    forget(repository.root, wanted, found.held)
    for line in traces.told(repository, found.held, kept, seen, untold):
        print(line)
    if found.unsearched:
        print(f"check: {len(found.unsearched)} files have no column {wanted.name}: not searched")
    return 0


def _keys(arguments: Arguments) -> list[str]:
    """Return the keys of the command line and of the file, each once."""
    lines = []
    if arguments.keys is not None:
        text = (
            sys.stdin.read() if arguments.keys == "-" else Path(arguments.keys).read_text("utf-8")
        )
        lines = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(key for key in [*arguments.key, *lines] if key))
