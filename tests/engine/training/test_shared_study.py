"""Searches of several machines share a real PostgreSQL, and end as one with a file does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from baked import SOURCE
from databases import postgresql

from mlops.config.settings import SearchRange, Tuning
from mlops.training import shared_study
from mlops.training.shared_study import PLACE, opened
from mlops.training.study import Study, Trial, TuningError
from mlops.training.tuning import Search, tune

SEARCH = {"rate": SearchRange(low=0.001, high=1.0, log=True)}
SETTINGS = Tuning("optuna", trials=8, patience=8, folds=2, batch=4, workers=2)
HOLDER = """
import sys
from pathlib import Path
from mlops.training.shared_study import opened
with opened(Path("x"), "question", {"MLOPS_STUDIES": sys.argv[1]}).claimed(3) as mine:
    print(mine, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgresql() as url:
        yield url


def searched(storage: Path, name: str, calls: list[int] | None = None) -> Search:
    def bowl(parameters: dict[str, Any], fold: int) -> float:
        if calls is not None:
            calls.append(fold)
        return (parameters["rate"] - 0.05) ** 2 * (1 + fold)

    return tune(SEARCH, bowl, SETTINGS, direction="minimize", seed=3, storage=storage, name=name)


def test_two_searches_share_the_trials_and_find_what_a_file_finds(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = searched(tmp_path / "study.db", "shared")
    monkeypatch.setenv(PLACE, address)
    calls: list[int] = []
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(searched, tmp_path / "no.db", "shared", calls) for _ in range(2)]
        assert [one.result() for one in asked] == [alone, alone]
    assert len(calls) == sum(len(trial.scores) for trial in alone.trials)
    assert not (tmp_path / "no.db").exists()
    searched(tmp_path / "no.db", "shared", calls)
    assert len(calls) == sum(len(trial.scores) for trial in alone.trials)
    searched(tmp_path / "no.db", "another", calls)
    assert len(calls) > sum(len(trial.scores) for trial in alone.trials)


def test_a_trial_is_one_callers_until_its_process_ends(address: str) -> None:
    study = opened(Path("x"), "question", {PLACE: address})
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, address],
        env={**os.environ, "PYTHONPATH": str(SOURCE / "engine/src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with study.claimed(3) as mine, study.claimed(4) as free:
            assert (mine, free) == (False, True)
            with study.claimed(4) as again:
                assert not again
        other.kill()
        with study.claimed(3, wait=True) as mine:
            assert mine


def test_the_first_to_finish_a_trial_is_kept(address: str) -> None:
    study = opened(Path("x"), "finished", {PLACE: address})
    for scores in ((0.1, 1 / 3), (2.0, 3.0)):
        study.add(Trial(0, {"rate": 0.1 + 0.2}, scores, pruned=True))
    assert study.finished() == {0: Trial(0, {"rate": 0.1 + 0.2}, (0.1, 1 / 3), True)}


def test_a_server_that_is_gone_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(TuningError) as error:
        opened(tmp_path, "x", {PLACE: "postgresql://me:secret@127.0.0.1:1/name"})
    said = str(error.value)
    assert "at postgresql://127.0.0.1:1/name cannot be used" in said
    assert "correct MLOPS_STUDIES" in said
    assert "secret" not in said


def test_another_address_and_a_missing_driver_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TuningError, match="MLOPS_STUDIES names no PostgreSQL: give it as"):
        opened(tmp_path / "s.db", "x", {PLACE: "mysql://there/name"})

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(shared_study, "import_module", missing)
    with pytest.raises(TuningError, match=r"add `psycopg\[binary\]` to `dev` .*`make lock setup`"):
        opened(tmp_path, "x", {PLACE: "postgresql://there/name"})
    assert isinstance(opened(tmp_path / "s.db", "x", {}), Study)
