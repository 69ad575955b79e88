"""A server follows an experiment: whom it draws, what changes that, and what takes it back."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.bundle import manifest
from mlops.files import write_text
from mlops.serving.models import ServedModels
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

    def run(self, work: Callable[[ServedModels], Awaitable[None]]) -> None:
        """Run started models that follow it."""

        async def main() -> None:
            settings = ServingSettings(
                bundle=self.champion,
                challenger=self.challenger,
                experiment=self.path,
                watch_seconds=0,
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
