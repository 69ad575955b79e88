"""What the server does while twenty clients at once send no requests, or requests without an end.

    python benchmarks/serving/attack.py [BUNDLE] [SECONDS] [STREAM …]

Takes every stream of tests/streams.py in turn; who is closed comes again at once. Prints, for each,
the slowest of the health checks that are made meanwhile, the memory beside that after a normal
load, and the answers by status. Without a bundle it trains one, as compare.py does.
"""

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import compare
from overload import answered, healthy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))
from streams import STREAMS, attack  # noqa: E402

CLIENTS = 20
MOST = 1 << 40  # bytes: time ends it first
ROWS = 1000  # of a request of the normal load


def attacked(
    name: str, port: int, process: int, seconds: float
) -> tuple[float, float, dict[str, int]]:
    """Attack from another process, and return the slowest health, the most memory, the answers."""
    command = [sys.executable, __file__, "--attack", name, str(port), str(seconds)]
    attacker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    slowest = most = 0.0
    while attacker.poll() is None:
        slowest = max(slowest, healthy(f"http://127.0.0.1:{port}"))
        most = max(most, compare.memory(process))
        time.sleep(0.02)
    told = attacker.communicate()[0]
    return slowest, most, json.loads(told)


def main(given: str = "", seconds: str = "3", *names: str) -> None:
    """Print a line for each stream, and the worst of all."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundle = Path(given).absolute() if given else trained(folder)
        row = json.loads((bundle / "golden.json").read_text())[0]["row"]
        command = f"python -m mlops.cli serve --bundle {bundle} --port PORT"
        server = compare.Server("project", command, "/predict", json.dumps(row))
        with compare.running(server, folder) as (url, _, process):
            normal(url, json.dumps([row] * ROWS))
            before = compare.memory(process)
            port = urlsplit(url).port or 0
            worst, most, failures = 0.0, 0.0, 0
            print(f"{'':32}{'health ms':>10}{'memory':>8}  answers")
            for name in names or STREAMS:
                slowest, memory, answers = attacked(name, port, process, float(seconds))
                failures += sum(n for status, n in answers.items() if status.startswith("5"))
                worst, most = max(worst, slowest), max(most, memory)
                share = f"{memory / before - 1:+.0%}"
                print(f"{name:32}{slowest * 1000:10.0f}{share:>8}  {answers}", flush=True)
            time.sleep(1)
            print(
                f"{len(names or STREAMS)} streams: health within {worst * 1000:.0f} ms, memory "
                f"{most / before - 1:+.0%} at most of {before:.0f} MB, "
                f"{compare.memory(process) / before - 1:+.0%} afterwards, {failures} answers of 5xx"
            )


def trained(folder: Path) -> Path:
    """Return a bundle of the table that compare.py makes."""
    compare.table(folder / "table.csv")
    return compare.bundle(folder, folder / "table.csv")


def normal(url: str, body: str) -> None:
    """Ask as many large requests at once as there are attackers, until each was asked often."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: answered(url, body), range(10 * CLIENTS)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        name, port, seconds = sys.argv[2:]
        seen = attack(int(port), STREAMS[name], CLIENTS, MOST, float(seconds), again=True)
        print(json.dumps(dict(seen.statuses)))
    else:
        main(*sys.argv[1:])
