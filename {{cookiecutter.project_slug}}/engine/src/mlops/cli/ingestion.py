"""Rows from their origin, and what they change."""

import argparse
import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..ingestion.dataset import Dataset


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(ingest, "bring rows from their origin into data/raw and data/tables")
    add.add_argument(
        "--since", metavar="D", type=_day, help="the first day asked for: 2026-01-31, or 3d ago"
    )
    add.add_argument("--until", metavar="D", type=_day, help="the first day not asked for")
    add.add_argument("--table", metavar="NAME", help="only this one (data: the labelled rows)")
    only = add.add_mutually_exclusive_group()
    only.add_argument(
        "--propose", action="store_true", help="open the pull request of what changed"
    )
    only.add_argument(
        "--dry-run", action="store_true", help="fetch, say what would change, and change nothing"
    )

    add = verb(data, "diff: say in Markdown what changed in the data since a commit")
    add.add_argument("action", choices=["diff"])
    add.add_argument("--against", metavar="REF", default="HEAD", help="(default: HEAD)")
    add.add_argument("--table", metavar="NAME", help="only this one (data: the labelled rows)")
    add.add_argument("--out", metavar="FILE", type=Path, help="in place of standard output")


def ingest(arguments: Arguments) -> None:
    from ..ingestion import environment

    environment.export()
    chosen = _datasets(arguments.table)
    if arguments.propose:
        _propose(arguments, chosen)
    else:
        _ingest(arguments, chosen)


def _ingest(arguments: Arguments, chosen: "list[Dataset]") -> None:
    from ..ingestion.ingest import ingest

    for dataset in chosen:
        dry = arguments.dry_run
        done = ingest(dataset, arguments.since, arguments.until, _say_busy, dry=dry)
        print(done)
        for note in done.notes():
            print(f"check: {note}")


def _propose(arguments: Arguments, chosen: "list[Dataset]") -> None:
    from ..git import landing
    from ..git.repository import Repository
    from ..ingestion.diff import diff
    from ..release import arrivals, job_summary

    repository = Repository()
    folders = [one.folder for one in chosen]
    with landing.serial(repository):
        landing.check_ready(repository)
        head = arrivals.prepare(repository, folders)
        _ingest(arguments, chosen)
        files = arrivals.pointers(repository, folders)
        if not files:
            print("the origins have nothing that is new: nothing to propose")
            return
        changed = [one for one in chosen if f"{one.folder.as_posix()}.dvc" in files]
        body = "\n".join(diff(repository, one, head) for one in changed)
        title = f"New data: {', '.join(one.name for one in changed)}"
        said = arrivals.propose(repository, head, files, title, body)
    print(said)
    job_summary.tell({"branch": arrivals.branch(repository)}, f"{body}\n{said}\n")


def data(arguments: Arguments) -> None:
    from ..files import write_text
    from ..git.repository import Repository
    from ..ingestion.diff import diff

    repository = Repository()
    pages = [diff(repository, one, arguments.against) for one in _datasets(arguments.table)]
    text = "\n".join(pages)
    if arguments.out is None:
        print(text, end="")
    else:
        write_text(arguments.out, text)


def _datasets(name: str | None) -> "list[Dataset]":
    """Return what is fetched: the experiment's rows and each table that declares an origin."""
    from ..config.compose import CONF, settings_of
    from ..config.experiment import EXPERIMENT, read_experiment
    from ..errors import ProjectError
    from ..ingestion.dataset import of_contract, of_table, tables

    settings = settings_of(CONF, read_experiment(EXPERIMENT))
    every = [of_contract(settings.data), *map(of_table, tables(CONF))]
    if name is None:
        return [one for one in every if one.source.is_fetched] or every[:1]
    if not (named := [one for one in every if one.name == name]):
        known = ", ".join(one.name for one in every)
        raise ProjectError(f"--table {name} is none of what is declared: choose from {known}")
    return named


def _say_busy() -> None:
    print("another run of `mlops ingest` is at work: waiting for it", file=sys.stderr)


def _day(text: str) -> datetime.date:
    """Read a day like 2026-01-31, or one so many days ago like 3d."""
    try:
        if text.endswith("d") and text[:-1].isdecimal():
            today = datetime.datetime.now(datetime.UTC).date()
            return today - datetime.timedelta(days=int(text[:-1]))
        return datetime.date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no day like 2026-01-31, and no number of days like 3d"
        ) from error
