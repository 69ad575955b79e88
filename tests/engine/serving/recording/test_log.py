"""Compaction that fails costs nothing but time."""

import asyncio
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.serving.predictor import Predictor
from mlops.serving.recording import log, recorder, spool
from mlops.serving.telemetry.metrics import Metrics

Record = Callable[..., Metrics]


def kept(folder: Path) -> list[list[str]]:
    """Return the ids of the requests in each Parquet file of a log."""
    files = (folder / "predictions").rglob("*.parquet")
    return sorted(pq.ParquetFile(path).read()["request_id"].to_pylist() for path in files)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that happens meanwhile."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_failed_compaction_leaves_the_segment_to_the_next_start(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "predictions").write_text("a file where a folder should be")
    with caplog.at_level(logging.ERROR):
        metrics = record(lambda desk: desk.answer([bill()], "first"), serving(binary))
    (failed,) = caplog.records
    assert (failed.getMessage(), vars(failed)["reason"]) == (
        "compaction failed",
        "NotADirectoryError",
    )
    assert not metrics.drops
    assert len(list((tmp_path / "log" / "spool").rglob("*.segment"))) == 1
    (tmp_path / "log" / "predictions").unlink()
    record(lambda desk: desk.answer([bill()], "second"), serving(binary))
    assert kept(tmp_path / "log") == [["first"], ["second"]]
    assert list((tmp_path / "log" / "spool").iterdir()) == []


def test_without_pyarrow_segments_wait_for_a_compaction_elsewhere(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as image, caplog.at_level(logging.INFO):
        image.setitem(sys.modules, log.PARQUET, None)
        for name in ("first", "second"):
            record(lambda desk, name=name: desk.answer([bill()], name), serving(binary))
    assert {one.levelname for one in caplog.records} == {"INFO"}
    folders = list((tmp_path / "log" / "spool").iterdir())
    assert len(folders) == 2
    done = subprocess.run([sys.executable, "-m", log.COMPACTION, *folders], capture_output=True)
    assert json.loads(done.stdout) == {"segments": 2, "rows": 2, "torn": 0, "lost": 0}
    assert kept(tmp_path / "log") == [["first"], ["second"]]


def test_a_full_segment_is_compacted_while_answering(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1000)

    async def work(desk: Any) -> None:
        async with asyncio.timeout(60):
            while not list((tmp_path / "log").rglob("*.parquet")):
                for number in range(20):
                    desk.answer([bill(number)], f"r{number}")
                await asyncio.sleep(0.05)

    record(work, serving(binary))


def test_an_old_segment_is_compacted_though_nothing_comes(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_SECONDS", 0.2)

    async def work(desk: Any) -> None:
        desk.answer([bill()], "r")
        await until(lambda: list((tmp_path / "log").rglob("*.parquet")))
        spooled = tmp_path / "log" / "spool"
        await until(lambda: not list(spooled.rglob("*.segment")))  # removed last

    record(work, serving(binary))


def test_the_folder_is_measured_again_for_room_that_was_made(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "AGAIN", 0.1)
    old = tmp_path / "log" / "old.parquet"
    old.parent.mkdir()
    old.write_bytes(b"x" * (1 << 20))

    async def work(desk: Any) -> None:
        desk.answer([bill()], "refused")
        desk.recorder.drain()
        await until(lambda: desk.metrics.drops)
        old.unlink()
        await until(lambda: desk.metrics.log_bytes < 1 << 20)
        desk.answer([bill()], "kept")

    metrics = record(work, serving(binary), log_max_bytes=1 << 20)
    assert metrics.drops == {"disk": 1}
    assert kept(tmp_path / "log") == [["kept"]]


def test_a_log_that_is_taken_away_goes_on_and_says_so_once(
    record: Record,
    binary: Predictor,
    serving: Any,
    bill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder, "SECONDS", 0.05)
    folder = tmp_path / "log"

    async def work(desk: Any) -> None:
        desk.answer([bill()] * 5, "gone")
        await until(lambda: any(folder.rglob("*.open")))
        shutil.rmtree(folder)
        folder.write_text("a file where a folder should be")
        await until(lambda: len(caplog.records) == 1)
        await asyncio.sleep(0.2)
        folder.unlink()
        await until(lambda: len(caplog.records) == 2)
        desk.answer([bill()], "kept")

    with caplog.at_level(logging.WARNING):
        metrics = record(work, serving(binary))
    said = [vars(one)["reason"] for one in caplog.records]
    assert "cannot be written (Not a directory): give its rights to this user" in said[0]
    assert "taken away under the server" in said[1]
    assert len(said) == 2
    assert metrics.drops == {"removed": 5}
    assert kept(folder) == [["kept"]]
