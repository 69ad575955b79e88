"""A person's right to be forgotten."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..ingestion.forgetting import Wanted
    from ..ingestion.logged import Logged


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(forget, "take a person's rows out of the data, and say what has seen them")
    add.add_argument("key", nargs="*", metavar="KEY", help="what names a person in the column")
    add.add_argument(
        "--keys",
        metavar="FILE",
        help="a file with a key a line (- is standard input): no shell keeps it in its history",
    )
    add.add_argument("--column", metavar="NAME", help="the column of the keys (default: role id)")
    add.add_argument("--log", metavar="DIR", type=Path, help="and out of this log of a server")


def forget(arguments: Arguments) -> int:
    from ..config.compose import CONF, settings_of
    from ..config.experiment import EXPERIMENT, read_experiment
    from ..git.repository import Repository
    from ..ingestion import logged, traces
    from ..ingestion.forgetting import Wanted, files, forget

    asked = _keys(arguments)
    if not asked:
        print("mlops forget: no key is given: name one, or a file by `--keys`", file=sys.stderr)
        return 2
    repository = Repository()
    settings = settings_of(CONF, read_experiment(EXPERIMENT))
    wanted = Wanted(settings.data, asked, arguments.column)
    found = wanted.search(files(repository.root))
    kept = traces.kept(repository, wanted)
    log = None if arguments.log is None else _logged(arguments.log, wanted, settings)
    known = found.keys | kept.keys | (log.keys if log else set())
    if unknown := [key for key in asked if key not in known]:
        also = ", the log" * (log is not None)
        print(
            f"mlops forget: {len(unknown)} of {len(asked)} keys are in no {wanted.name} of "
            f"data/raw, data/tables{also} or what DVC's cache has of them, and nothing was "
            "changed: check them, or name another column by `--column`",
            file=sys.stderr,
        )
        return 1
    digests = {one.sha256 for one in found.held} | kept.digests
    seen, untold = traces.bundles(repository, digests)
    forget(repository.root, wanted, found.held)
    if log is not None:
        logged.forget(log.held)
    for line in traces.told(repository, found.held, kept, seen, untold, log is not None):
        print(line)
    for line in logged.told(arguments.log, log) if log else ():
        print(line)
    if found.unsearched:
        print(f"check: {len(found.unsearched)} files have no column {wanted.name}: not searched")
    return 0


def _logged(folder: Path, wanted: "Wanted", settings: "Settings") -> "Logged":
    """Search a log by the views of conf/, and by its secret where that is here."""
    from ..config.compose import CONF
    from ..config.expansion import VIEWS, read_view
    from ..ingestion.logged import Named, search
    from ..log_layout import hashing
    from ..serving.recording.compaction import recorded
    from ..serving.settings import load

    secret = load().log_key
    hashed = hashing(folder, None if secret is None else secret.get_secret_value().encode())
    declared = {path.stem: read_view(CONF, path.stem) for path in (CONF / VIEWS).glob("*.yaml")}
    views = {**declared, **settings.features.views}
    return search(folder, Named(wanted, views, hashed), recorded)


def _keys(arguments: Arguments) -> list[str]:
    """Return the keys of the command line and of the file, each once."""
    lines = []
    if arguments.keys is not None:
        text = (
            sys.stdin.read() if arguments.keys == "-" else Path(arguments.keys).read_text("utf-8")
        )
        lines = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(key for key in [*arguments.key, *lines] if key))
