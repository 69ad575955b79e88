"""The `mlops` command: arguments, printing and exit codes.

Each module declares its verbs; each verb imports its own work.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import ProjectError
from . import (
    alerting,
    automation,
    experiments,
    features,
    forgetting,
    history,
    impact,
    ingestion,
    monitoring,
    online,
    place,
    prediction,
    promotion,
    recording,
    releasing,
    stages,
    table,
    upgrading,
    value,
)
from .verb import Run

# Read when numerical libraries are first imported: on small data and busy machines, a second
# thread costs more than it gives. training.threads raises it for the fit.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

MODULES = (
    table,
    ingestion,
    forgetting,
    stages,
    experiments,
    features,
    promotion,
    releasing,
    prediction,
    recording,
    online,
    monitoring,
    alerting,
    impact,
    value,
    history,
    automation,
    upgrading,
)
DESCRIPTION = "Each verb is one step of the loop; the stages of dvc.yaml call them in order."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code.

    It is 0, or 2 for a failure that the printed sentence helps to mend; `gate`, `monitor`,
    `features check` and `upgrade` have 1 as well.
    """
    arguments = parser().parse_args(argv)
    try:
        place.check(arguments)
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ProjectError as error:
        print(f"mlops {arguments.verb}: {error}{place.hint(arguments)}", file=sys.stderr)
        return 2
    except OSError as error:
        told = f"{error}: check the path and its rights{place.hint(arguments)}"
        print(f"mlops {arguments.verb}: {told}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mlops {arguments.verb}: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(prog="mlops", description=DESCRIPTION)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(run: Run, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(run.__name__.replace("_", "-"), help=text, description=text)
        added.set_defaults(run=run)
        return added

    for module in MODULES:
        module.grammar(verb)
    return top
