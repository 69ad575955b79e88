"""What a second core brings: `mlops serve --workers 2` beside one, and the empty ASGI application.

    python benchmarks/serving/workers.py [ROUNDS] [SECONDS]

One worker has a core and the client the other; two workers and the client share both. So does the
empty application, whose own gain says what the machine and the client leave. All take turns. What a
request costs in processor time with two workers, beside one, is what they lose to each other.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import compare

HERE = Path(__file__).resolve().parent
BOTH = "0,1"

Figures = dict[tuple[str, int], list[float]]  # of each server and number of workers, by round


def main(rounds: int = 5, seconds: int = 4) -> None:
    """Print a line for each, and how their gains compare."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        row = compare.table(folder / "table.csv")
        candidate = compare.bundle(folder, folder / "table.csv")
        empty = f"python {HERE / 'servers/empty_workers.py'} PORT"
        ours = f"mlops serve --bundle {candidate} --port PORT --workers"
        bodies = {"one row": json.dumps(row), "100 rows": json.dumps([row] * 100)}
        servers = {
            (f"{name}, {what}", workers): compare.Server(
                "project", f"{command} {workers}", "/predict", body
            )
            for name, command, whats in (
                ("empty ASGI", empty, ["one row"]),
                ("mlops serve", ours, ["one row", "100 rows"]),
            )
            for what, body in bodies.items()
            if what in whats
            for workers in (1, 2)
        }
        rates: Figures = {key: [] for key in servers}
        costs: Figures = {key: [] for key in servers}
        errors = 0
        for turn in range(rounds):
            for key in list(servers)[:: 1 - 2 * (turn % 2)]:
                print(f"round {turn + 1} of {rounds}: {key}", file=sys.stderr, flush=True)
                workers = key[1]
                compare.SERVER_CORE = "0" if workers == 1 else BOTH
                compare.CLIENT_CORE = "1" if workers == 1 else BOTH
                with compare.running(servers[key], folder) as (url, _, leader):
                    compare.load(url, servers[key].body, 1, folder)
                    before = processor(leader)
                    found = compare.load(url, servers[key].body, seconds, folder)
                    costs[key].append((processor(leader) - before) / (found.rate * seconds))
                rates[key].append(found.rate)
                errors += found.errors
    told(rates, costs)
    print(f"{errors} errors")


def processor(leader: int) -> float:
    """Return the seconds of processor time that the processes of a session have had."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(path.name)) == leader:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


def told(rates: Figures, costs: Figures) -> None:
    """Print medians, and gains as medians of the ratios of each round."""
    first = rates["empty ASGI, one row", 1]
    gains: dict[str, list[float]] = {}
    head = f"{'':24}{'one':>10}{'of empty':>10}{'two':>10}{'gain':>7}{'of the empty one':>18}"
    print(f"{head}{'cost':>7}")
    for name in dict.fromkeys(name for name, _ in rates):
        one, two = rates[name, 1], rates[name, 2]
        gains[name] = [b / a for a, b in zip(one, two, strict=True)]
        share = statistics.median(a / b for a, b in zip(one, first, strict=True))
        pairs = zip(gains[name], gains["empty ASGI, one row"], strict=True)
        beside = statistics.median(a / b for a, b in pairs)
        print(
            f"{name:24}{statistics.median(one):10,.0f}{share:10.1%}{statistics.median(two):10,.0f}"
            f"{statistics.median(gains[name]):7.2f}{beside:18.2f}"
            f"{statistics.median(costs[name, 2]) / statistics.median(costs[name, 1]):7.2f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
