"""What the server does under more clients than it can answer, and what a million requests leave.

    python benchmarks/serving/overload.py [SECONDS] [CONNECTIONS]

Loads `mlops serve` from the other core, asks /healthz ten times a second meanwhile, and prints the
answers by status, the slowest health answer, the time to a normal answer afterwards, and the
server's memory before and after a million requests.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import compare

LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) counts = {} end
function response(status) counts[status] = (counts[status] or 0) + 1 end
function done(summary)
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("counts")) do
      io.write(string.format("status %%d: %%d\\n", status, count))
    end
  end
end
"""
MILLION = 1_000_000


def hammered(url: str, script: Path, connections: int, seconds: int) -> dict[int, int]:
    """Load a server and return how many answers had which status."""
    command = ["taskset", "-c", compare.CLIENT_CORE, "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds}s", "--timeout", "60s", "-s", str(script), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"status (\d+): (\d+)", text)
    return {int(status): int(count) for status, count in found}


def healthy(address: str) -> float:
    """Return the seconds until /healthz answers 200."""
    started = time.perf_counter()
    with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
        assert answer.status == 200
    return time.perf_counter() - started


def answered(url: str, body: str) -> bool:
    """Say whether the server answers a request with 200."""
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


def main(seconds: int = 60, connections: int = 640) -> None:
    """Print what was seen."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        row = compare.table(folder / "table.csv")
        candidate = compare.bundle(folder, folder / "table.csv")
        command = f"mlops serve --bundle {candidate} --port PORT"
        server = compare.Server("project", command, "/predict", json.dumps(row))
        script = folder / "count.lua"
        script.write_text(LUA % server.body)
        with compare.running(server, folder) as (url, _, process):
            address = url.removesuffix(server.path)
            slowest, done = [0.0], threading.Event()

            def watch() -> None:
                while not done.wait(0.1):
                    slowest.append(healthy(address))

            watcher = threading.Thread(target=watch)
            watcher.start()
            found = hammered(url, script, connections, seconds)
            done.set()
            watcher.join()
            started = time.perf_counter()
            while not answered(url, server.body):
                time.sleep(0.01)
            recovered = time.perf_counter() - started
            print(f"{connections} connections, {seconds} s: {found}")
            health = sorted(slowest)
            print(
                f"health: slowest {health[-1] * 1000:.0f} ms, 99th percentile "
                f"{health[int(0.99 * len(health))] * 1000:.0f} ms of {len(health)}"
            )
            print(f"recovered after {recovered:.2f} s")
            hammered(url, script, compare.CONNECTIONS, 5)
            before, asked = compare.memory(process), 0
            while asked < MILLION:
                asked += sum(hammered(url, script, compare.CONNECTIONS, 10).values())
            after = compare.memory(process)
            print(f"memory {before:.1f} MB, after {asked:,} requests {after:.1f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
