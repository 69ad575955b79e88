"""Swaps go from one whole bundle to another, and a bad one changes nothing but the reason."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import manifest
from mlops.errors import ProjectError
from mlops.rollout.assignment import PLACES, place
from mlops.serving.loading import load
from mlops.serving.models import ServedModels
from mlops.serving.problem import Problem
from mlops.serving.settings import ServingSettings

SECONDS = 20


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to replace."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def sealed(folder: Path, **changes: Any) -> Path:
    """Give the bundle another digest, as another bundle with as good answers has."""
    content = manifest.read(folder)
    del content["files"]
    manifest.write(folder, content | changes)
    return folder


def another(bundle_folder: Path, out: Path, name: str = "another") -> Path:
    return sealed(Path(shutil.copytree(bundle_folder, out)), name=name)


def replace(folder: Path, new: Path) -> None:
    folder.rename(folder.with_name("gone"))
    new.rename(folder)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def run(work: Callable[[ServedModels], Awaitable[None]], **settings: Any) -> None:
    """Run started models."""

    async def main() -> None:
        models = ServedModels(ServingSettings(**{"watch_seconds": 0, **settings}))
        await models.start()
        try:
            await work(models)
        finally:
            await models.stop()

    asyncio.run(main())


def test_started_models_are_ready(folder: Path) -> None:
    async def work(models: ServedModels) -> None:
        assert models.champion is not None
        assert (models.ready, models.reason) == (True, "")
        assert models.route(b"any") is models.champion
        models.draining = True
        assert (models.ready, models.reason) == (False, "the server is stopping")

    run(work, bundle=folder)


def test_without_a_bundle_requests_are_told_to_come_back(tmp_path: Path) -> None:
    async def work(models: ServedModels) -> None:
        assert not models.ready
        assert "is no bundle" in models.reason
        with pytest.raises(Problem) as raised:
            models.route(b"any")
        assert raised.value.status == 503
        assert raised.value.headers["retry-after"]

    run(work, bundle=tmp_path / "absent")


def test_before_there_is_a_loop_a_bad_champion_is_an_error(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ProjectError, match="is no bundle"):
        ServedModels(ServingSettings(bundle=tmp_path / "absent")).load()
    models = ServedModels(ServingSettings(bundle=folder, challenger=tmp_path / "absent"))
    models.load()
    assert models.ready
    assert "is no bundle" in models.reason


def by_rename(folder: Path, new: Path) -> None:
    replace(folder, new)


def in_place(folder: Path, new: Path) -> None:
    for file in new.iterdir():
        shutil.copyfile(file, folder / file.name)


@pytest.mark.parametrize("swap", [by_rename, in_place])
def test_new_bundle_is_found(
    swap: Callable[[Path, Path], None], folder: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    new = another(bundle_folder, tmp_path / "new")
    expected = manifest.bundle_digest(new)

    async def work(models: ServedModels) -> None:
        first = models.champion
        swap(folder, new)
        await until(
            lambda: models.champion is not None and models.champion.bundle_digest == expected
        )
        assert first is not None
        assert first.bundle_digest != expected
        assert models.reason == ""

    run(work, bundle=folder, watch_seconds=0.01)


def test_link_to_another_bundle_is_followed(
    folder: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    new = another(bundle_folder, tmp_path / "new")
    current = tmp_path / "current"
    current.symlink_to(folder)

    async def work(models: ServedModels) -> None:
        (tmp_path / "next").symlink_to(new)
        (tmp_path / "next").replace(current)
        await until(lambda: models.champion is not None and models.champion.bundle_digest == digest)

    digest = manifest.bundle_digest(new)
    run(work, bundle=current, watch_seconds=0.01)


def corrupt(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"rubbish")
    edit = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**edit, "name": "new"}))


def test_bad_bundle_leaves_the_old_one_and_a_good_one_clears_the_reason(
    folder: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    async def work(models: ServedModels) -> None:
        old = models.champion
        corrupt(folder)
        await until(lambda: "model.onnx" in models.reason)
        assert models.champion is old
        assert models.ready
        replace(folder, another(bundle_folder, tmp_path / "new"))
        await until(lambda: models.reason == "")
        assert models.champion is not old

    run(work, bundle=folder, watch_seconds=0.01)


def test_old_bundle_that_comes_back_is_not_loaded_again(folder: Path, bundle_folder: Path) -> None:
    async def work(models: ServedModels) -> None:
        old = models.champion
        corrupt(folder)
        await models.reload()
        assert models.reason
        replace(folder, Path(shutil.copytree(bundle_folder, folder.with_name("new"))))
        await models.reload()
        assert models.reason == ""
        assert models.champion is old

    run(work, bundle=folder)


def test_vanished_bundle_keeps_serving(folder: Path) -> None:
    async def work(models: ServedModels) -> None:
        shutil.rmtree(folder)
        await until(lambda: "is no bundle" in models.reason)
        assert models.ready

    run(work, bundle=folder, watch_seconds=0.01)


def test_expected_digest_holds_for_what_follows(
    folder: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    async def work(models: ServedModels) -> None:
        old = models.champion
        replace(folder, another(bundle_folder, tmp_path / "new"))
        await models.reload()
        assert "which is expected" in models.reason
        assert models.champion is old

    run(work, bundle=folder, expect=manifest.bundle_digest(folder))


def test_shadow_answers_nobody(folder: Path, tmp_path: Path, bundle_folder: Path) -> None:
    async def work(models: ServedModels) -> None:
        assert models.shadow is models.challenger is not None
        assert {models.route(b"%d" % n) for n in range(1000)} == {models.champion}
        assert models.arms.of(models.champion) == ("champion", 1.0)

    run(work, bundle=folder, challenger=another(bundle_folder, tmp_path / "other"))


def test_share_of_keys_is_kept_and_sticks(
    folder: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    async def work(models: ServedModels) -> None:
        assert models.shadow is None
        answered = [models.route(b"%d" % n) for n in range(4000)]
        share = sum(one is models.challenger for one in answered) / 4000
        assert 0.22 < share < 0.28
        assert answered == [models.route(b"%d" % n) for n in range(4000)]
        assert models.arms.of(models.champion) == ("champion", 0.75)
        assert models.arms.of(models.challenger) == ("challenger", 0.25)

    other = another(bundle_folder, tmp_path / "other")
    run(work, bundle=folder, challenger=other, challenger_mode="share", challenger_share=0.25)


def test_place_is_the_same_in_another_process() -> None:
    code = "from mlops.rollout.assignment import place; print(place(b'customer 7'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == place(b"customer 7") < PLACES


def test_challenger_of_another_contract_is_not_compared(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    contract = json.loads((other / "contract.json").read_text())
    column = next(c for c in contract["columns"].values() if c["type"] == "category")
    old = column["categories"][-1]
    for name in ("contract.json", "resolved.yaml"):
        text = (other / name).read_text()
        (other / name).write_text(text.replace(old, f"{old}x"))
    for name in ("golden.json", "edges.json"):
        rows = (other / name).read_text().replace(f'"{old}"', f'"{old}x"')
        (other / name).write_text(rows)
    sealed(other)
    load(other)

    async def work(models: ServedModels) -> None:
        assert models.challenger is None
        assert "the challenger takes other columns" in models.reason

    run(work, bundle=folder, challenger=other)
