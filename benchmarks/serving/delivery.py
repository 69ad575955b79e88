"""What steps of an experiment cost a server: killed half way, under load, and all the time.

    python benchmarks/serving/delivery.py [kills|keys|changes|cost] …    # all of them: five minutes

Trains a bundle first, as compare.py does. `kills` ends a writer of the experiment with `kill -9`
and asks what a server follows then; `keys` asks three servers, one after the other, who meets which
model, and draws for two experiments; `changes` has the share change a hundred times while two
clients ask without a pause; `cost` loads a server with a running experiment and one without by
turns.
"""

import asyncio
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "{{cookiecutter.project_slug}}"
sys.path[:0] = [*(str(SOURCE / name) for name in ("engine/src", "src")), str(ROOT / "benchmarks")]

import compare  # noqa: E402
from traffic import loaded  # noqa: E402

from mlops.bundle import manifest  # noqa: E402
from mlops.files import write_text  # noqa: E402
from mlops.rollout.assignment import edge, place  # noqa: E402
from mlops.serving.models import ServedModels  # noqa: E402
from mlops.serving.settings import ServingSettings  # noqa: E402

STEPS = [{"share": 0.01, "for": "1h"}, {"share": 0.25, "for": "1h"}, {"share": 0.5}]
KILLS, CHANGES, KEYS, TURNS = 300, 100, 2000, 40
SERVER_CORE, CLIENT_CORE = 0, 1
JSON = {"content-type": "application/json"}
WRITER = """
import sys
from pathlib import Path
from mlops.files import write_text
path, *texts = map(Path, sys.argv[1:])
texts = [text.read_text() for text in texts]
print("ready", flush=True)
while True:
    for text in texts:
        write_text(path, text)
"""


class Pair:
    """Two bundles that answer alike, and their experiment."""

    def __init__(self, folder: Path) -> None:
        self.row = compare.table(folder / "table.csv")
        self.champion = compare.bundle(folder, folder / "table.csv")
        self.challenger = Path(shutil.copytree(self.champion, folder / "challenger"))
        content = manifest.read(self.challenger)
        del content["files"]
        manifest.write(self.challenger, content | {"name": "another"})
        self.folder, self.path = folder, folder / "experiment.yaml"
        self.write(2)

    def text(self, step: int) -> str:
        """Return the experiment in a step."""
        digests = map(manifest.bundle_digest, (self.champion, self.challenger))
        about = dict(zip(("champion", "challenger"), digests, strict=True))
        about |= {"format": 1, "salt": "first", "steps": STEPS, "step": step}
        about |= {"since": "2026-12-01T00:00:00Z", "primary": {"measure": "value"}}
        return yaml.safe_dump(about)

    def write(self, step: int) -> None:
        """Have the experiment be in a step."""
        write_text(self.path, self.text(step))

    @contextmanager
    def server(self, watch: float = 2.0, tried: bool = True) -> Iterator[tuple[str, int]]:
        """Yield address and process of a server, with or without the challenger."""
        settings = {"challenger": self.challenger, "experiment": self.path, "watch_seconds": watch}
        told = {f"MLOPS_{name.upper()}": str(value) for name, value in settings.items()}
        command = f"python -m mlops.cli serve --bundle {self.champion} --port PORT"
        one = compare.Server("project", command, "/predict", json.dumps(self.row))
        os.environ.update(told if tried else {})
        try:
            with compare.running(one, self.folder) as (url, _, leader):
                yield url, leader
        finally:
            for name in told:
                os.environ.pop(name, None)


def kills(pair: Pair) -> None:
    """End a writer at random, and see which share a server follows."""
    random, found = Random(7), {0.01: 0, 0.5: 0}
    texts = []
    for step in (0, 2):
        texts.append(pair.folder / f"step{step}.yaml")
        texts[-1].write_text(pair.text(step))
    settings = ServingSettings(
        bundle=pair.champion, challenger=pair.challenger, experiment=pair.path, watch_seconds=0
    )

    async def run() -> None:
        models = ServedModels(settings)
        await models.start()
        for _ in range(KILLS):
            command = [sys.executable, "-c", WRITER, str(pair.path), *map(str, texts)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment()) as writer:
                assert writer.stdout is not None
                writer.stdout.readline()
                await asyncio.sleep(random.random() * 0.02)
                writer.kill()
            await models.reload()
            assert models.reason == "", models.reason
            found[float(models.arms.share or 0)] += 1
        await models.stop()

    asyncio.run(run())
    print(f"{KILLS} kills of a writer: old and new share {found}, nothing else")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": compare.CODE}


def keys(pair: Pair) -> None:
    """Ask servers with the same keys, and draw keys for two experiments."""
    met = []
    for _ in range(3):
        pair.write(1)
        with pair.server() as (url, _):
            met.append(_met(url, json.dumps(pair.row)))
            pair.write(2)
    share = sum(met[0].values()) / KEYS
    same = sum(met[0] == one for one in met)
    print(f"{KEYS} keys, three servers: {same} of 3 alike, share {share:.3f} of 0.25")
    places = [b"%d" % key for key in range(200_000)]
    drawn = [
        np.array([place(key, salt) < edge(0.5) for key in places]) for salt in (b"one", b"two")
    ]
    both = np.corrcoef(drawn[0], drawn[1])[0, 1]
    print(f"two experiments, 200,000 keys: correlation {both:+.4f} (2 standard errors: 0.0045)")


def _met(url: str, body: str) -> dict[int, bool]:
    """Return whom each key met, of two digests the one that fewer did."""
    digests = {}
    connection = _connection(url)
    for key in range(KEYS):
        connection.request("POST", "/predict", body, {**JSON, "x-routing-key": str(key)})
        digests[key] = json.loads(connection.getresponse().read())["model"]
    names = sorted(set(digests.values()), key=list(digests.values()).count)
    return {key: digest == names[0] for key, digest in digests.items()}


def _connection(url: str) -> http.client.HTTPConnection:
    host, _, port = url.split("/")[2].partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)


def changes(pair: Pair) -> None:
    """Change the share while clients ask, and count what was not answered."""
    body, done = json.dumps(pair.row), threading.Event()
    counts = {"answered": 0, "dropped": 0}
    shares: set[str] = set()

    def ask(url: str, number: int) -> None:
        connection = _connection(url)
        for key in range(1 << 30):
            if done.is_set():
                return
            try:
                headers = {**JSON, "x-routing-key": f"{number}-{key}"}
                connection.request("POST", "/predict", body, headers)
                reply = connection.getresponse()
                reply.read()
                counts["answered" if reply.status == 200 else "dropped"] += 1
            except (OSError, http.client.HTTPException):
                counts["dropped"] += 1
                connection = _connection(url)

    with pair.server(watch=0.02) as (url, _):
        clients = [threading.Thread(target=ask, args=(url, number)) for number in range(2)]
        for one in clients:
            one.start()
        try:
            for change in range(CHANGES):
                step = change % len(STEPS)
                pair.write(step)
                wanted = f"mlops_experiment_share {float(str(STEPS[step]['share']))}"
                _until(lambda: wanted in _metrics(url))  # noqa: B023
                _until(lambda: counts["answered"] > 50 * change)  # noqa: B023
                shares.add(wanted)
        finally:
            done.set()
            for one in clients:
                one.join()
    print(
        f"{CHANGES} changes of share, all followed ({len(shares)} shares), under load: "
        f"{counts['answered']:,} requests answered, {counts['dropped']} dropped"
    )


def _metrics(url: str) -> str:
    connection = _connection(url)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the server does not follow the experiment"
        time.sleep(0.01)


def cost(pair: Pair) -> None:
    """Load a server with an experiment and one without by turns, and print how they compare.

    Both run all the time on one core, and the client on another: a turn is short, so that what else
    the machine does meets both.
    """
    pair.write(2)
    rates: dict[bool, list[float]] = {True: [], False: []}
    costs: dict[bool, list[float]] = {True: [], False: []}
    with ExitStack() as stack:
        servers = {}
        for tried in (True, False):
            url, leader = stack.enter_context(pair.server(tried=tried))
            for thread in Path(f"/proc/{leader}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {SERVER_CORE})
            servers[tried] = int(url.split("/")[2].partition(":")[2]), leader
        os.sched_setaffinity(0, {CLIENT_CORE})
        for tried in servers:
            loaded(*servers[tried], [pair.row], 2)
        for turn in range(TURNS):
            for tried in (True, False) if turn % 2 else (False, True):
                found = loaded(*servers[tried], [pair.row], 1)
                rates[tried].append(found.rate)
                costs[tried].append(found.cost)
    print(f"an experiment of half of the keys, beside none, {TURNS} turns of a second each:")
    for name, found in (("requests a second", rates), ("processor time", costs)):
        ratios = [a / b for a, b in zip(found[True], found[False], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"  {name}: {middle:.3f} (quartiles {low:.3f} to {high:.3f})")


def main(*names: str) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        pair = Pair(Path(folder))
        work: dict[str, Callable[[Pair], Any]] = {
            "kills": kills,
            "keys": keys,
            "changes": changes,
            "cost": cost,
        }
        for name in names or work:
            work[name](pair)


if __name__ == "__main__":
    main(*sys.argv[1:])
