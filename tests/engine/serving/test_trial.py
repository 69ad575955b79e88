"""A server follows an experiment: whom it draws, what changes that, and what takes it back."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from mlops.bundle import manifest
from mlops.files import write_text
from mlops.rollout import stops
from mlops.rollout.assignment import edge, place
from mlops.rollout.declaration import ExperimentError, read
from mlops.serving.models import ServedModels
from mlops.serving.recording.compaction import compact
from mlops.serving.settings import ServingSettings

KEYS = [b"%d" % number for number in range(4000)]
STEPS = [{"share": 0.01, "for": "1h"}, {"share": 0.25, "for": "1d"}, {"share": 0.5}]


class Declared:
    """Two bundles and an experiment of them."""

    def __init__(self, champion: Path, challenger: Path, path: Path) -> None:
        self.champion, self.challenger, self.path = champion, challenger, path
        self.content = {
            "format": 1,
            "champion": manifest.bundle_digest(champion),
            "challenger": manifest.bundle_digest(challenger),
            "salt": "first",
            "steps": STEPS,
            "step": 1,
            "since": "2026-12-01T00:00:00Z",
            "primary": {"measure": "value"},
        }

    def write(self, **changed: Any) -> None:
        self.content |= changed
        write_text(self.path, yaml.safe_dump(self.content))

    def run(self, work: Callable[[ServedModels], Awaitable[None]], **more: Any) -> None:
        """Run started models that follow it."""

        async def main() -> None:
            settings = ServingSettings(
                bundle=self.champion,
                challenger=self.challenger,
                experiment=self.path,
                watch_seconds=0,
                **more,
            )
            models = ServedModels(settings)
            await models.start()
            try:
                await work(models)
            finally:
                await models.stop()

        asyncio.run(main())


@pytest.fixture
def declared(bundle_folder: Path, tmp_path: Path) -> Declared:
    two = [Path(shutil.copytree(bundle_folder, tmp_path / name)) for name in ("one", "other")]
    content = manifest.read(two[1])
    del content["files"]
    manifest.write(two[1], content | {"name": "another"})
    made = Declared(*two, tmp_path / "experiment.yaml")
    made.write()
    return made


def drawn(models: ServedModels) -> set[bytes]:
    """Return the keys that the challenger answers."""
    return {key for key in KEYS if models.route(key) is models.challenger}


def test_a_step_gives_its_share_and_a_ramp_moves_nobody_out(declared: Declared) -> None:
    async def work(models: ServedModels) -> None:
        before: set[bytes] = set()
        for step, one in enumerate(STEPS):
            declared.write(step=step)
            await models.reload()
            now = drawn(models)
            assert abs(len(now) / len(KEYS) - float(str(one["share"]))) < 0.02
            assert before <= now
            assert models.arms.of(models.challenger) == ("challenger", one["share"])
            before = now
        assert models.reason == ""

    declared.run(work)


def test_another_salt_draws_anew_and_independently(declared: Declared) -> None:
    async def work(models: ServedModels) -> None:
        declared.write(step=2)
        await models.reload()
        first = drawn(models)
        declared.write(salt="second")
        await models.reload()
        second = drawn(models)
        assert abs(len(first & second) / len(KEYS) - 0.25) < 0.03

    declared.run(work)
    again: list[set[bytes]] = []

    async def restarted(models: ServedModels) -> None:
        again.append(drawn(models))

    declared.run(restarted)
    declared.run(restarted)
    assert again[0] == again[1] != set()


def test_what_is_no_experiment_changes_nothing_but_the_reason(declared: Declared) -> None:
    async def work(models: ServedModels) -> None:
        before = drawn(models)
        whole = declared.path.read_text()
        for text in ("steps: [", whole.replace("0.25", "2.5"), whole[: len(whole) // 2]):
            declared.path.write_text(text)
            await models.reload()
            assert drawn(models) == before
            assert "correct it" in models.reason
            assert models.ready
        declared.write()
        await models.reload()
        assert (drawn(models), models.reason) == (before, "")

    declared.run(work)


def test_without_the_file_and_of_other_bundles_the_champion_answers(declared: Declared) -> None:
    async def work(models: ServedModels) -> None:
        declared.path.unlink()
        await models.reload()
        assert drawn(models) == set()
        assert models.shadow is None
        assert "there is no" in models.reason
        declared.write(challenger="c" * 64)
        await models.reload()
        assert drawn(models) == set()
        assert "is of other bundles than those that are loaded" in models.reason

    declared.run(work)


def test_errors_take_the_challenger_back_at_once_and_a_ramp_does_not_bring_it(
    declared: Declared,
) -> None:
    async def work(models: ServedModels) -> None:
        challenger = models.challenger
        assert challenger is not None
        for _ in range(1000):
            models.count(challenger, failed=False)
        assert drawn(models)
        asked = 0
        while drawn(models):
            models.count(challenger, failed=asked % 5 == 0)
            asked += 1
            assert asked < 400
        assert "the challenger is stopped" in models.reason
        assert "of which at most 0.01 may" in models.reason
        assert models.arms.of(models.champion) == ("champion", 1.0)
        declared.write(step=2)  # the next step of the same: what was counted still counts
        await models.reload()
        assert drawn(models) == set()
        declared.write(salt="anew")
        await models.reload()
        assert drawn(models)

    declared.run(work)


def test_few_errors_leave_it(declared: Declared) -> None:
    async def work(models: ServedModels) -> None:
        assert models.challenger is not None
        for number in range(2000):
            models.count(models.challenger, failed=number % 200 == 199)
        models.count(models.champion, failed=True)  # is not the challenger's
        assert drawn(models)
        assert models.trial is not None
        assert models.trial.counts == {("errors", "yes"): 1990, ("errors", "no"): 10}

    declared.run(work)


def test_a_real_server_stops_one_that_is_slow_and_says_so(
    declared: Declared, server: Callable[..., Any], golden: list[dict[str, Any]]
) -> None:
    slow = {"seconds": 1e-9, "at_most": 0.1}
    declared.write(step=2, guardrails={"errors": 0.01, "slow": slow})
    started = server(
        bundle=declared.champion, challenger=declared.challenger, experiment=declared.path
    )
    for number in range(80):
        key = {"x-routing-key": str(number), "content-type": "application/json"}
        assert started.ask("POST", "/predict", json.dumps(golden[0]), key).status == 200
    text = started.ask("GET", "/metrics").content.decode()
    assert "mlops_experiment_stopped 1.0" in text
    assert "mlops_experiment_share 0.0" in text


SLOW = {"errors": 0.01, "slow": {"seconds": 1e-9, "at_most": 0.1}}


def asked(server: Any, row: Any, keys: int = 80) -> set[str]:
    """Ask with so many keys; return the digests of who answered."""
    replies = [
        server.ask(
            "POST",
            "/predict",
            json.dumps(row),
            {"x-routing-key": str(key), "content-type": "application/json"},
        )
        for key in range(keys)
    ]
    assert {reply.status for reply in replies} == {200}
    return {reply.content["model"] for reply in replies}


def test_what_was_stopped_stays_so_in_a_server_that_was_killed_and_in_another_one(
    declared: Declared, server: Callable[..., Any], golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    declared.write(step=2, guardrails=SLOW)
    both = {manifest.bundle_digest(declared.champion), manifest.bundle_digest(declared.challenger)}
    champion = {manifest.bundle_digest(declared.champion)}
    settings = {"bundle": declared.champion, "challenger": declared.challenger}
    settings |= {"experiment": declared.path, "log_folder": tmp_path / "log"}
    first = server(**settings)
    assert asked(first, golden[0]) == both
    first.process.kill()
    first.process.wait()
    declared.write(step=1)  # a step that follows is the same experiment
    for workers in (1, 2):
        second = server(**settings, workers=workers)
        assert asked(second, golden[0]) == champion
        assert "the challenger is stopped" in second.ask("GET", "/readyz").content["reason"]
        assert "mlops_experiment_stopped 1.0" in second.ask("GET", "/metrics").content.decode()
    declared.write(step=2, salt="anew", guardrails={"errors": 0.01})
    assert asked(server(**settings), golden[0]) == both


def test_a_server_on_the_same_log_takes_it_back_as_well(declared: Declared, tmp_path: Path) -> None:
    async def work(models: ServedModels) -> None:
        assert drawn(models)
        stops.keep(tmp_path / "log", read(declared.path), "another server saw enough")
        await models.reload()
        assert drawn(models) == set()
        assert models.reason == "another server saw enough"
        path = stops.place(tmp_path / "log", stops.key(read(declared.path)))
        path.write_text("{")
        declared.write(step=2)
        await models.reload()
        assert drawn(models) == set()

    declared.run(work, log_folder=tmp_path / "log")
    declared.run(work_stopped, log_folder=tmp_path / "log")


async def work_stopped(models: ServedModels) -> None:
    assert drawn(models) == set()
    assert "and cannot be read" in models.reason


def test_where_it_cannot_be_kept_the_server_says_so(declared: Declared, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log/stopped").write_text("in the way")

    async def work(models: ServedModels) -> None:
        assert models.challenger is not None
        while drawn(models):
            models.count(models.challenger, failed=True)
        assert "a restart would bring it back" in models.reason
        said.append(models.reason)

    said: list[str] = []
    declared.run(work)
    declared.run(work, log_folder=tmp_path / "log")
    assert "set MLOPS_LOG_FOLDER" in said[0]
    assert "stopped" in said[1]
    assert "cannot be written" in said[1]
    (tmp_path / "log/stopped").unlink()  # and given back to it, as that says
    declared.run(work_kept, log_folder=tmp_path / "log")
    declared.run(work_gone, log_folder=tmp_path / "log")


async def work_kept(models: ServedModels) -> None:
    assert models.challenger is not None
    while drawn(models):
        models.count(models.challenger, failed=True)
    assert "a restart" not in models.reason


async def work_gone(models: ServedModels) -> None:
    assert drawn(models) == set()


def test_a_shadow_answers_nobody_and_is_asked_for_its_share(
    declared: Declared, server: Callable[..., Any], golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    steps = [{"share": 0.5, "for": "1h"}, {"share": 1, "for": "1d"}]
    del declared.content["primary"]
    declared.write(mode="shadow", steps=steps, step=0)
    started = server(
        bundle=declared.champion,
        challenger=declared.challenger,
        experiment=declared.path,
        log_folder=tmp_path / "log",
        log_key="a secret of servers",
    )
    assert asked(started, golden[0]) == {manifest.bundle_digest(declared.champion)}
    started.process.terminate()
    assert started.process.wait(30) == 0
    compact(*(tmp_path / "log/spool").glob("*"))
    files = [*(tmp_path / "log/predictions").rglob("*.parquet")]
    rows = [one for file in files for one in pq.read_table(file).to_pylist()]
    beside = {row["request_id"] for row in rows if row["role"] == "shadow"}
    assert 20 < len(beside) < 60
    assert len([row for row in rows if row["role"] == "champion"]) == 80
    expected = {str(key) for key in range(80) if place(b"%d" % key, b"first") < edge(0.5)}
    assert len(beside) == len(expected)


def test_a_shadow_that_decides_otherwise_is_no_longer_asked(declared: Declared) -> None:
    steps = [{"share": 1, "for": "1d"}]
    del declared.content["primary"]
    declared.write(mode="shadow", steps=steps, step=0, guardrails={"disagree": 0.1})

    async def work(models: ServedModels) -> None:
        assert models.shadow is models.challenger is not None
        for number in range(1000):
            models.count_shadow(False, disagreed=number % 20 == 0)
        assert models.shadow is not None
        while models.shadow is not None:
            models.count_shadow(False, disagreed=True)
        assert "(disagree)" in models.reason
        assert drawn(models) == set()

    declared.run(work)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mode": "canary"}, "has no `primary`"),
        ({"mode": "ab", "primary": None}, "`primary` is missing"),
        ({"mode": "canary", "primary": None}, "has no `for`"),
        ({"guardrails": {"disagree": 0.1}}, "`disagree` is of a shadow"),
        ({"steps": [{"share": 1}], "step": 0}, "a share of 1 leaves nobody"),
        ({"mode": "shadow", "primary": None, "steps": [{"share": 1, "for": "1d"}], "step": 0,
          "guardrails": SLOW}, "nobody waits for a shadow"),
    ],
)  # fmt: skip
def test_what_a_mode_has_and_lacks(declared: Declared, changed: dict[str, Any], said: str) -> None:
    content = {key: one for key, one in {**declared.content, **changed}.items() if one is not None}
    declared.path.write_text(yaml.safe_dump(content))
    with pytest.raises(ExperimentError, match=said):
        read(declared.path)


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


def test_killed_at_any_moment_of_a_change_there_is_the_old_share_or_the_new_one(
    declared: Declared, tmp_path: Path
) -> None:
    """A dozen of kills here; benchmarks/delivery.py has more."""
    random = Random(5)
    for step in (0, 2):
        declared.write(step=step)
        shutil.copy(declared.path, tmp_path / f"step{step}.yaml")
    given = [str(one) for one in (declared.path, tmp_path / "step0.yaml", tmp_path / "step2.yaml")]

    async def work(models: ServedModels) -> None:
        for _ in range(12):
            with subprocess.Popen(
                [sys.executable, "-c", WRITER, *given], stdout=subprocess.PIPE
            ) as writer:
                assert writer.stdout is not None
                writer.stdout.readline()
                await asyncio.sleep(random.random() * 0.01)
                writer.kill()
            await models.reload()
            assert models.reason == ""
            found = len(drawn(models)) / len(KEYS)
            assert abs(found - 0.01) < 0.01 or abs(found - 0.5) < 0.03

    declared.run(work)
