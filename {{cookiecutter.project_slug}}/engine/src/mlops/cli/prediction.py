"""Predictions, for a table or for requests."""

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

    scored = predict(arguments.file, arguments.out, arguments.bundle)
    print(f"{scored.rows:,} rows scored: {arguments.out}")
    for note in scored.notes:
        print(f"check: {note}")


def serve(arguments: Arguments) -> None:
    from ..serving.settings import load

    given = {name: getattr(arguments, name) for name in ("bundle", "host", "port")}
    settings = load(arguments.settings, **given)
    from ..serving.server import serve

    serve(settings)
