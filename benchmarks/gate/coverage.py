"""How often intervals of 95 % hold the truth: the share of simulated worlds in which they do.

    python benchmarks/gate/coverage.py --worlds 300

The worlds are those of tests/worlds.py: single rows, groups, recurring ids, days,
months, ids in every month, and eight groups alone. Between 92 and 97 % is right for 300 worlds.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [
    str(ROOT / "{{cookiecutter.project_slug}}/engine/src"),
    str(ROOT / "tests"),
]

from worlds import METRICS, WORLDS, coverage  # noqa: E402


def main() -> None:
    """Print a line for each kind of world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--size", type=int, default=60)
    parser.add_argument("names", nargs="*", default=list(WORLDS))
    asked = parser.parse_args()
    print("world     ", *METRICS)
    for name in asked.names:
        found = coverage(name, asked.worlds, asked.size)
        print(f"{name:10}", *(f"{found[m]:{len(m)}.1%}" for m in METRICS), flush=True)


if __name__ == "__main__":
    main()
