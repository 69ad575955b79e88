"""The log of a server that cannot make Parquet of it, brought to where that can be done."""

from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    place = "a folder, or a URL like s3://bucket/log"
    add = verb(ship, "move the closed segments of a server's log to a folder or a bucket")
    add.add_argument("--log", type=Path, required=True, help="the server's log folder")
    add.add_argument("--to", metavar="URL", required=True, help=place)
    add.add_argument(
        "--every", type=float, metavar="SECONDS", help="go on until told to stop, and ship then"
    )

    add = verb(collect, "bring what is new of a log in a bucket or another folder")
    add.add_argument("--from", dest="source", metavar="URL", required=True, help=place)
    add.add_argument("--log", type=Path, required=True, help="the log folder that they go to")


def ship(arguments: Arguments) -> None:
    from ..serving.recording import shipping
    from ..serving.recording.store import ShippingError

    if arguments.every is None:
        print(f"{shipping.ship(arguments.log, arguments.to)} segments shipped")
        return
    if not arguments.every > 0:
        raise ShippingError("--every must be more than 0 seconds")
    shipping.keep_shipping(
        arguments.log, arguments.to, arguments.every, lambda text: print(text, flush=True)
    )


def collect(arguments: Arguments) -> int:
    from ..serving.recording.shipping import collect

    done = collect(arguments.source, arguments.log)
    print(f"{done}: {arguments.log}")
    for note in done.notes():
        print(f"check: {note}")
    return 0 if done.is_whole else 2
