"""Units of two models in a server's log, or a server's word that it stopped their experiment.

A program of its own, run in a project:

    python canary.py LOG CHAMPION CHALLENGER
    python canary.py LOG EXPERIMENT REASON
"""

import sys
from importlib import import_module
from pathlib import Path


def main(log: Path, first: str, second: str) -> None:
    """Do either: a path is one of an experiment."""
    if "/" in first:
        declared = import_module("mlops.rollout.declaration").read(Path(first))
        import_module("mlops.rollout.stops").keep(log, declared, second)
        return
    made = import_module("arms").Log(log, (first, second))
    made.day(0, ["a", "b"], "champion", probability=0.9)
    made.day(0, ["c"], "challenger", probability=0.1)


if __name__ == "__main__":
    sys.path += ["engine/src", str(Path(__file__).parents[1])]
    main(Path(sys.argv[1]), *sys.argv[2:])
