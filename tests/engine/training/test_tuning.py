"""A search ends the same however often it was interrupted, and says what is wrong."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops.config.settings import SearchRange
from mlops.training import tuning
from mlops.training.tuning import Search, TuningError, tune

SEARCH = {
    "rate": SearchRange(low=0.001, high=1.0, log=True),
    "depth": SearchRange(low=1, high=12, integer=True),
    "kind": SearchRange(choices=["plain", None, [8, 4], True]),
}
TRIALS = 14

# What a killed process ran: it reports from inside the objective of one trial and waits there.
VICTIM = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from test_tuning import bowl, searched

calls = 0

def objective(parameters):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        Path(sys.argv[3]).write_text("inside")
        sys.stdin.read()
    return bowl(parameters)

searched(Path(sys.argv[1]), objective)
"""


def bowl(parameters: dict[str, Any]) -> float:
    kind = {"plain": 0.3, "None": 0.2, "[8, 4]": 0.0, "True": 0.5}[str(parameters["kind"])]
    return (parameters["rate"] - 0.05) ** 2 + 0.01 * abs(parameters["depth"] - 6) + kind


def searched(
    storage: Path,
    objective: Callable[[dict[str, Any]], float] = bowl,
    search: dict[str, SearchRange] | None = None,
    **changes: Any,
) -> Search:
    settings: dict[str, Any] = {
        "direction": "minimize",
        "trials": TRIALS,
        "patience": TRIALS,
        "seed": 3,
        "storage": storage,
        "name": "question",
    }
    return tune(SEARCH if search is None else search, objective, **settings | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return searched(tmp_path_factory.mktemp("whole") / "study.db")


def test_the_same_seed_finds_the_same_and_another_differs(whole: Search, tmp_path: Path) -> None:
    assert searched(tmp_path / "again.db") == whole
    assert searched(tmp_path / "other.db", seed=4).trials[0] != whole.trials[0]


def test_the_best_of_the_trials_is_returned(whole: Search) -> None:
    assert len(whole.trials) == TRIALS
    assert whole.value == min(t.value for t in whole.trials if t.value is not None)
    assert bowl(whole.parameters) == whole.value


def test_values_have_the_type_and_range_that_was_asked(whole: Search) -> None:
    for trial in whole.trials:
        assert list(trial.parameters) == list(SEARCH)
        assert 0.001 <= trial.parameters["rate"] <= 1.0
        assert type(trial.parameters["depth"]) is int
        assert 1 <= trial.parameters["depth"] <= 12
        assert trial.parameters["kind"] in ["plain", None, [8, 4], True]
    assert len({str(trial.parameters["kind"]) for trial in whole.trials}) > 1


@pytest.mark.parametrize("moment", [1, 2, 12])
def test_an_interrupted_search_ends_as_an_uninterrupted_one(
    whole: Search, tmp_path: Path, moment: int
) -> None:
    calls = []

    def interrupted(parameters: dict[str, Any]) -> float:
        calls.append(parameters)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return bowl(parameters)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "study.db", interrupted)
    assert searched(tmp_path / "study.db", interrupted) == whole
    assert len(calls) == TRIALS + 1


def test_a_killed_search_ends_as_an_uninterrupted_one(whole: Search, tmp_path: Path) -> None:
    for moment in (3, 9):
        _kill_inside_trial(tmp_path, moment)
    calls = []
    resumed = searched(tmp_path / "study.db", lambda p: calls.append(p) or bowl(p))  # type: ignore[func-returns-value]
    assert resumed == whole
    assert len(calls) == TRIALS - 2 - 8


def _kill_inside_trial(folder: Path, moment: int) -> None:
    """Run a search in a process of its own and kill it inside its trial number `moment`."""
    os.mkfifo(pipe := folder / f"pipe-{moment}")
    arguments = [str(folder / "study.db"), str(moment), str(pipe), str(Path(__file__).parent)]
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM, *arguments, *sys.path],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert pipe.read_text() == "inside"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_a_finished_search_runs_nothing_again(tmp_path: Path) -> None:
    first = searched(tmp_path / "study.db", trials=3)
    assert searched(tmp_path / "study.db", pytest.fail, trials=3) == first
    assert len(searched(tmp_path / "study.db", trials=4).trials) == 4


def test_another_question_is_another_study(tmp_path: Path) -> None:
    first = searched(tmp_path / "study.db", trials=3)
    second = searched(tmp_path / "study.db", lambda p: -bowl(p), name="other", trials=3)
    assert [t.value for t in second.trials] == [-(t.value or 0) for t in first.trials]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_patience_ends_the_search_also_after_an_interruption(
    tmp_path: Path, direction: str
) -> None:
    sign = 1 if direction == "minimize" else -1
    scores = iter([5.0, 4.0, 4.0, 4.5, None, 6.0, 1.0])

    def scripted(_: dict[str, Any]) -> float:
        if (score := next(scores)) is None:
            raise KeyboardInterrupt
        return sign * score

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "study.db", scripted, patience=3, direction=direction)
    found = searched(tmp_path / "study.db", scripted, patience=3, direction=direction)
    assert [sign * (t.value or 0) for t in found.trials] == [5.0, 4.0, 4.0, 4.5, 6.0]
    assert found.value == sign * 4.0
    assert found.parameters == found.trials[1].parameters


def test_a_score_that_is_not_finite_counts_and_never_wins(tmp_path: Path) -> None:
    scores = iter([float("nan"), 2.0, float("-inf"), 3.0])
    found = searched(tmp_path / "study.db", lambda _: next(scores), trials=4)
    assert [t.value for t in found.trials] == [None, 2.0, None, 3.0]
    assert found.value == 2.0
    assert len({str(t.parameters) for t in found.trials}) == 4


def test_no_finite_score_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="none of 3 trials had a finite score: narrow `search`"):
        searched(tmp_path / "study.db", lambda _: float("nan"), patience=3)


def test_each_trial_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searched(tmp_path / "study.db", trials=2)
    searched(tmp_path / "study.db", trials=3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("tuning 1/2: ")
    assert lines[2] == "tuning resumes after 2 finished trials"
    assert lines[3].startswith("tuning 3/3: ")
    assert "rate=" in lines[3]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({}, "nothing to tune: give the model's file in conf/model/ a `search:` section"),
        ({"a": SearchRange(low=2, high=1)}, "model.search.a is no range"),
        ({"a": SearchRange(low=0, high=1, log=True)}, "model.search.a is no range"),
        ({"a": SearchRange(low=0, high=1.5, integer=True)}, "must be whole numbers"),
        ({"a": SearchRange(choices=[])}, "model.search.a is no range"),
    ],
)
def test_a_search_that_cannot_be_is_refused(
    tmp_path: Path, search: dict[str, SearchRange], message: str
) -> None:
    with pytest.raises(TuningError, match=message) as caught:
        searched(tmp_path / "study.db", search=search)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize("count", [{"trials": 0}, {"patience": 0}])
def test_no_trials_are_refused(tmp_path: Path, count: dict[str, int]) -> None:
    with pytest.raises(TuningError, match="give 1 or more"):
        searched(tmp_path / "study.db", **count)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 100)


def _torn(path: Path) -> None:
    searched(path, trials=3)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(len(content) - 8192))


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table studies (something text)")
    database.close()


@pytest.mark.parametrize("damage", [_garbage, _torn, _foreign, Path.mkdir])
def test_a_damaged_history_is_one_sentence_with_the_remedy(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(storage := tmp_path / "study.db")
    with pytest.raises(TuningError, match=r"study\.db cannot be used.*delete it") as caught:
        searched(storage)
    assert "\n" not in str(caught.value)


def test_two_searches_of_one_question_do_its_trials_once(
    whole: Search, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def counted(parameters: dict[str, Any]) -> float:
        calls.append(parameters)
        time.sleep(0.01)
        return bowl(parameters)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: searched(tmp_path / "study.db", counted), range(2)))
    assert found == [whole, whole]
    assert len(calls) == TRIALS
    assert "tuning waits for another process that searches the same" in capfd.readouterr().err


def test_searches_of_several_questions_begin_one_history_together(tmp_path: Path) -> None:
    begin = threading.Barrier(4)

    def asked(name: str) -> Search:
        begin.wait()
        return searched(tmp_path / "study.db", name=name, trials=2)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(asked, "abcd"))
    assert found == [found[0]] * 4


def test_a_history_that_another_program_holds_is_not_to_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "PATIENCE", 0.05)
    storage = tmp_path / "study.db"
    searched(storage, trials=1)
    with closing(sqlite3.connect(storage, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(TuningError, match=r"another program holds it; let that end") as caught:
            searched(storage, trials=2)
        assert "delete" not in str(caught.value)
    assert len(searched(storage, trials=2).trials) == 2


def test_an_error_of_the_objective_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        searched(tmp_path / "study.db", lambda _: 1 / 0)


def test_a_path_with_odd_characters_holds_the_history(tmp_path: Path) -> None:
    storage = tmp_path / "50% {odd}?mode=ro #1" / "study.db"
    searched(storage, trials=1)
    assert storage.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [storage.parent.name]
