"""A table of your own, and the sample."""

import argparse
from pathlib import Path

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(adopt, "take a table of your own: infer its contract, version it, leave it ready")
    add.add_argument("file", type=Path, help="a CSV or Parquet file")
    add.add_argument("--target", required=True, help="the column to predict")
    add.add_argument("--task", choices=["binary", "multiclass", "regression"])
    add.add_argument("--key", help="the column that identifies a row")
    add.add_argument("--time", help="the column to split by: later rows hold out")
    add.add_argument("--group", help="the column whose rows stay on one side of the split")
    add.add_argument("--columns", help="names, comma separated, for a file without a header")
    add.add_argument("--name", help="what to call the data (default: the file's name)")
    add.add_argument("--encoding", help="of a CSV (default: found out), like cp1250 or gb18030")
    add.add_argument(
        "--anew", action="store_true", help="take the proposal in place of edits since an adoption"
    )
    add.add_argument(
        "--missing", help='texts that mean "no value", comma separated, in place of the usual ones'
    )

    add = verb(sample, "write the sample data: a simulation of subscription churn")
    add.add_argument("--rows", type=_count, default=20_000)
    add.add_argument("--months", type=_count, default=12)
    add.add_argument("--drift", type=float, default=0.0, help="0 (none) to 1")
    add.add_argument("--seed", type=int, default=20)


def adopt(arguments: Arguments) -> None:
    from ..adoption.adopt import adopt
    from ..git.dvc import mend
    from ..git.repository import Repository

    repository = Repository()
    mend(repository)
    columns = arguments.columns.split(",") if arguments.columns else None
    adoption = adopt(
        repository,
        arguments.file,
        arguments.target,
        task=arguments.task,
        key=arguments.key,
        time=arguments.time,
        group=arguments.group,
        columns=columns,
        name=arguments.name,
        encoding=arguments.encoding,
        anew=arguments.anew,
        missing=None if arguments.missing is None else arguments.missing.split(","),
    )
    print(adoption)


def sample(arguments: Arguments) -> None:
    from ..data.prepare import RAW
    from ..data.sample import write

    files = write(RAW, arguments.rows, arguments.months, arguments.drift, arguments.seed)
    print(f"{arguments.rows:,} rows in {len(files)} monthly files in {RAW}")


def _count(text: str) -> int:
    """Read a whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
