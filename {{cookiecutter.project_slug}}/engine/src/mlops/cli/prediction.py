"""Predictions, for a table or for requests."""

import os
import sys
from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
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


def predict(arguments: Arguments) -> None:
    from ..serving.batch import predict

    _tell_another(arguments.bundle)
    scored = predict(arguments.file, arguments.out, arguments.bundle)
    print(f"{scored.rows:,} rows scored: {arguments.out}")
    for note in scored.notes:
        print(f"check: {note}")


def serve(arguments: Arguments) -> None:
    from ..serving.settings import load

    given = {name: getattr(arguments, name) for name in ("bundle", "host", "port")}
    settings = load(arguments.settings, **given)
    from ..serving.server import serve

    _tell_another(Path(settings.bundle))
    serve(settings)


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
