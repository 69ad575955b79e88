"""Predictions, for a table or for requests."""

import argparse
import os
import sys
from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(predict, "score tables with a bundle")
    add.add_argument(
        "files", nargs="+", metavar="FILE", help="CSV or Parquet, or a folder; also s3://…"
    )
    add.add_argument("--out", required=True, help="where to write: .csv or .parquet; also s3://…")
    add.add_argument("--bundle", type=Path, default=Path("candidate"))
    add.add_argument(
        "--expect",
        metavar="DIGEST",
        default=os.environ.get("MLOPS_EXPECT") or None,
        help="refuse every bundle but this one ($MLOPS_EXPECT; else the one that is declared)",
    )
    add.add_argument(
        "--partition",
        metavar="NAME[=VALUE]",
        help="--out is a folder, and this a partition of it; without a value, the day of --at",
    )
    add.add_argument("--ids", action="store_true", help="have the answer name each row's request")
    add.add_argument("--log", help="record what was answered in this log folder; also s3://…")
    _dated(add)

    add = verb(feedback, "record what turned out to be true of rows that were answered")
    add.add_argument(
        "file", type=Path, help="a table: request_id, row, outcome[, value, currency, action]"
    )
    add.add_argument("--log", type=Path, required=True, help="the log folder of the answers")
    add.add_argument("--bundle", type=Path, default=Path("candidate"), help="what answered")
    add.add_argument(
        "--scored",
        type=Path,
        nargs="+",
        metavar="FILE",
        default=[],
        help="answers of `predict --ids`, for a table that has the contract's ids instead",
    )
    _dated(add)

    add = verb(serve, "answer requests with a bundle, until told to stop")
    add.add_argument("--bundle", type=Path, help="a bundle's folder (default: candidate)")
    add.add_argument("--host", help="the address to listen at (default: 127.0.0.1)")
    add.add_argument(
        "--port", type=int, help="the port to listen at (default: 8000; 0: a free one)"
    )
    add.add_argument("--workers", type=int, help="how many processes serve (default: 1)")
    add.add_argument("--settings", metavar="NAME", help="which file of conf/serving to read")


def predict(arguments: Arguments) -> None:
    from ..serving.batch import predict
    from ..serving.buckets import exchanged
    from ..serving.delivery import moment

    _tell_another(arguments.bundle)
    with exchanged() as exchange:
        scored = predict(
            [exchange.given(place) for place in arguments.files],
            exchange.out(arguments.out, arguments.partition is not None),
            arguments.bundle,
            expect=arguments.expect or _declared(arguments.bundle),
            log=exchange.log(arguments.log),
            ids=arguments.ids,
            partition=arguments.partition,
            at=moment(arguments.at),
        )
    print(f"{scored.rows:,} rows scored: {exchange.shown(scored.out)}")
    for note in (*scored.notes, *exchange.notes):
        print(f"check: {note}")


def feedback(arguments: Arguments) -> None:
    from ..bundle import contents
    from ..bundle.reading import declared
    from ..serving.delivery import moment
    from ..serving.reported import report

    contract, _ = declared(contents.read(arguments.bundle))
    at = moment(arguments.at)
    done = report(arguments.file, arguments.log, contract, at, arguments.scored)
    print(f"{done.rows:,} outcomes recorded in {arguments.log}")
    for note in done.notes:
        print(f"check: {note}")


def serve(arguments: Arguments) -> None:
    from ..serving.settings import load

    given = {name: getattr(arguments, name) for name in ("bundle", "host", "port", "workers")}
    settings = load(arguments.settings, **given)
    from ..serving.server import serve

    _tell_another(Path(settings.bundle))
    serve(settings)


def _dated(add: argparse.ArgumentParser) -> None:
    add.add_argument(
        "--at", metavar="TIME", help="a day or time of UTC ($SOURCE_DATE_EPOCH; default: now)"
    )


def _declared(bundle: Path) -> str | None:
    """Return the digest that release.yaml beside a champion declares; None for another bundle."""
    if bundle.name != "champion" or not (declaration := bundle.parent / "release.yaml").is_file():
        return None
    import yaml

    from ..bundle.manifest import BundleError
    from ..files import read_yaml

    try:
        return str(read_yaml(declaration)["manifest"])
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise BundleError(
            f"{declaration} does not say which bundle is declared: take it as a commit has it"
        ) from error


def _tell_another(bundle: Path) -> None:
    """Say so where candidate/ is that of another commit; in an image there is no dvc.lock."""
    if bundle != Path("candidate") or "DVC_STAGE" in os.environ or not Path("dvc.lock").is_file():
        return
    from ..git import dvc
    from ..git.repository import RepositoryError

    try:
        pinned = dvc.pinned(dvc.read_lock(Path()), bundle)
    except (RepositoryError, LookupError):
        return
    if bundle.is_dir() and pinned not in (None, dvc.dvc_digest(bundle)):
        print(
            "check: candidate/ is not the one that dvc.lock pins, as after a change of branch: "
            "`dvc checkout` brings that one, `dvc repro` makes it",
            file=sys.stderr,
        )
