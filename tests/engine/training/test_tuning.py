"""A search ends the same however often it was interrupted, and says what is wrong."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sweeps import some

from mlops.config.settings import SearchRange, Tuning
from mlops.training import study, tuning
from mlops.training.tuning import Search, TuningError, tune

SEARCH = {
    "rate": SearchRange(low=0.001, high=1.0, log=True),
    "depth": SearchRange(low=1, high=12, integer=True),
    "kind": SearchRange(choices=["plain", None, [8, 4], True]),
}
TRIALS, FOLDS = 14, 3
SIZE = {"folds": FOLDS, "workers": 1, "batch": 4, "prune": True}
FIELDS = ("trials", "patience", *SIZE)

# Another process: it says when it is inside the call of a number, and goes on once it is told.
OTHER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_tuning import bowl, searched

calls = 0

def objective(parameters, fold):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        print("inside", flush=True)
        sys.stdin.readline()
    return bowl(parameters, fold)

found = searched(Path(sys.argv[1]), objective)
print(calls, found, flush=True)
"""


def bowl(parameters: dict[str, Any], fold: int = 0) -> float:
    kind = {"plain": 0.3, "None": 0.2, "[8, 4]": 0.0, "True": 0.5}[str(parameters["kind"])]
    shape = (parameters["rate"] - 0.05) ** 2 + 0.01 * abs(parameters["depth"] - 6) + kind
    return shape * (1 + fold / 8)


def searched(
    storage: Path,
    objective: Callable[[dict[str, Any], int], float] = bowl,
    search: dict[str, SearchRange] | None = None,
    **changes: Any,
) -> Search:
    asked = {name: changes.pop(name) for name in FIELDS if name in changes}
    tuning = Tuning(**{"method": "optuna", "trials": TRIALS, "patience": TRIALS} | SIZE | asked)
    settings: dict[str, Any] = {
        "direction": "minimize",
        "seed": 3,
        "storage": storage,
        "name": "question",
    }
    return tune(SEARCH if search is None else search, objective, tuning, **settings | changes)


def fits(found: Search) -> int:
    return sum(len(trial.scores) for trial in found.trials)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return searched(tmp_path_factory.mktemp("whole") / "study.db")


def test_the_same_seed_finds_the_same_and_another_differs(whole: Search, tmp_path: Path) -> None:
    assert searched(tmp_path / "again.db") == whole
    assert searched(tmp_path / "again.db", seed=4).trials[0] != whole.trials[0]


def test_the_best_of_the_trials_is_returned(whole: Search) -> None:
    assert len(whole.trials) == TRIALS
    assert whole.value == min(t.value for t in whole.trials if t.value is not None)
    assert np.mean([bowl(whole.parameters, fold) for fold in range(FOLDS)]) == whole.value


def test_values_have_the_type_and_range_that_was_asked(whole: Search) -> None:
    for trial in whole.trials:
        assert list(trial.parameters) == list(SEARCH)
        assert 0.001 <= trial.parameters["rate"] <= 1.0
        assert type(trial.parameters["depth"]) is int
        assert 1 <= trial.parameters["depth"] <= 12
        assert trial.parameters["kind"] in ["plain", None, [8, 4], True]
    assert len({str(trial.parameters["kind"]) for trial in whole.trials}) > 1


def test_the_first_trial_is_the_model_as_configured(tmp_path: Path) -> None:
    first = {"rate": 0.0, "depth": 7.0, "kind": [8, 4], "another": 1}
    found = searched(tmp_path / "study.db", first=first, trials=2)
    assert found.trials[0].parameters == {"rate": 0.001, "depth": 7, "kind": [8, 4]}
    drawn = searched(tmp_path / "study.db", first={"rate": "much", "kind": "else"}, trials=2)
    assert 0.001 <= drawn.trials[0].parameters["rate"] <= 1.0
    assert drawn.trials[0].parameters["kind"] in ["plain", None, [8, 4], True]


@pytest.mark.parametrize("moment", [1, 2, 22])
@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_search_ends_as_an_uninterrupted_one(
    whole: Search, tmp_path: Path, moment: int, workers: int
) -> None:
    calls = []

    def interrupted(parameters: dict[str, Any], fold: int) -> float:
        calls.append(fold)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return bowl(parameters, fold)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "study.db", interrupted, workers=workers)
    assert searched(tmp_path / "study.db", interrupted, workers=workers) == whole
    assert len(calls) <= fits(whole) + workers * FOLDS


@pytest.mark.parametrize("workers", [2, 4, 9])
def test_workers_find_what_one_finds(whole: Search, tmp_path: Path, workers: int) -> None:
    begun, calls = threading.Barrier(2), count()

    def together(parameters: dict[str, Any], fold: int) -> float:
        if next(calls) < 2:
            begun.wait(60)  # until another works too
        return bowl(parameters, fold)

    assert searched(tmp_path / "study.db", together, workers=workers) == whole
    assert next(calls) == fits(whole)


def test_an_error_of_one_worker_ends_the_others(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def failing(parameters: dict[str, Any], fold: int) -> float:
        if fold == 0 and both.wait(60) == 0:
            raise ZeroDivisionError
        return bowl(parameters)

    endless = {"workers": 2, "folds": 1_000_000_000}
    with pytest.raises(ZeroDivisionError):
        searched(tmp_path / "study.db", failing, **endless)
    with pytest.raises(ZeroDivisionError):  # and no trial is said to be finished, or worked at
        searched(tmp_path / "study.db", failing, **endless)


def test_what_a_batch_asks_does_not_depend_on_the_rest_of_it(tmp_path: Path) -> None:
    """A batch that was cut by `trials` is finished as if it had never been."""
    whole = searched(tmp_path / "whole.db", trials=11)
    for trials in (3, 6, 11):
        found = searched(tmp_path / "study.db", trials=trials)
        assert found.trials == whole.trials[:trials]


def test_a_longer_search_before_changes_nothing(whole: Search, tmp_path: Path) -> None:
    assert searched(tmp_path / "study.db") == whole
    found = searched(tmp_path / "study.db", pytest.fail, trials=5)
    assert found.trials == whole.trials[:5]
    patient = searched(tmp_path / "study.db", pytest.fail, patience=1)
    assert patient == searched(tmp_path / "fresh.db", patience=1)
    assert len(patient.trials) < TRIALS


def test_a_finished_search_runs_nothing_again(tmp_path: Path) -> None:
    first = searched(tmp_path / "study.db", trials=3)
    assert searched(tmp_path / "study.db", pytest.fail, trials=3) == first
    assert len(searched(tmp_path / "study.db", trials=4).trials) == 4


@pytest.mark.parametrize(
    "change",
    [{"batch": 5}, {"folds": 2}, {"prune": False}, {"seed": 4}, {"direction": "maximize"}],
)
def test_what_decides_what_is_asked_begins_another_study(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    searched(tmp_path / "study.db", trials=2)
    calls = []
    searched(tmp_path / "study.db", lambda p, f: calls.append(f) or bowl(p, f), trials=2, **change)  # type: ignore[func-returns-value]
    assert len(calls) == 2 * change.get("folds", FOLDS)


def test_another_question_is_another_study(tmp_path: Path) -> None:
    first = searched(tmp_path / "study.db", trials=3)
    second = searched(tmp_path / "study.db", lambda p, f: -bowl(p, f), name="other", trials=3)
    assert [t.value for t in second.trials] == [-(t.value or 0) for t in first.trials]
    assert [t.number for t in second.trials] == [0, 1, 2]


def scripted(values: list[float | None]) -> Callable[[dict[str, Any], int], float]:
    """Return an objective that gives each trial its value on every fold; None interrupts."""
    left, last = iter(values), 0.0

    def objective(_: dict[str, Any], fold: int) -> float:
        nonlocal last
        if fold == 0:
            if (value := next(left)) is None:
                raise KeyboardInterrupt
            last = value
        return last

    return objective


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(("batch", "length"), [(1, 5), (2, 6), (4, 8)])
def test_patience_ends_the_search_also_after_an_interruption(
    tmp_path: Path, direction: str, batch: int, length: int
) -> None:
    sign = 1 if direction == "minimize" else -1
    values = [5.0, 4.0, 4.0, 4.5, None, 6.0, 7.0, 7.0, 7.0, 1.0]
    objective = scripted([value if value is None else sign * value for value in values])
    asked = {"patience": 3, "direction": direction, "batch": batch, "prune": False}
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "study.db", objective, **asked)
    found = searched(tmp_path / "study.db", objective, **asked)
    ended = [5.0, 4.0, 4.0, 4.5, 6.0, 7.0, 7.0, 7.0][:length]
    assert [sign * (t.value or 0) for t in found.trials] == ended
    assert found.value == sign * 4.0
    assert found.parameters == found.trials[1].parameters


def test_a_score_that_is_not_finite_counts_and_never_wins(tmp_path: Path) -> None:
    objective = scripted([float("nan"), 2.0, float("-inf"), 3.0, 4.0, 5.0])
    found = searched(tmp_path / "study.db", objective, trials=6)
    assert [t.value for t in found.trials] == [None, 2.0, None, 3.0, 4.0, 5.0]
    assert [len(t.scores) for t in found.trials] == [1, 3, 1, 3, 3, 3]
    assert (found.value, found.pruned) == (2.0, 0)
    assert len({str(t.parameters) for t in found.trials}) == 6


def test_no_finite_score_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="none of 4 trials had a finite score: narrow `search`"):
        searched(tmp_path / "study.db", lambda *_: float("nan"), patience=3)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_trial_worse_than_most_of_earlier_batches_ends(tmp_path: Path, direction: str) -> None:
    sign = 1 if direction == "minimize" else -1
    early = [[5, 5, 5], [1, 1, 1], [2, 2, 2], [4, 4, 4], [3, 9, 9]]  # as medians 3, 4 and 4
    late = [[3.1, 0, 0], [3.0, 6, 0], [3, 5, 9], [0, 0, 0], [5, 5, 5]]
    scores = iter([*early, *late])
    current: list[float] = []

    def objective(_: dict[str, Any], fold: int) -> float:
        if fold == 0:
            current[:] = next(scores)
        return sign * current[fold]

    asked = {"batch": 5, "trials": 10, "direction": direction}
    found = searched(tmp_path / "study.db", objective, **asked)
    assert [len(trial.scores) for trial in found.trials] == [3] * 5 + [1, 2, 3, 3, 1]
    assert [trial.pruned for trial in found.trials] == [False] * 5 + [
        True,
        True,
        False,
        False,
        True,
    ]
    assert (found.value, found.pruned, found.best.number) == (0, 3, 8)


def test_a_trial_that_was_ended_is_never_the_best(tmp_path: Path) -> None:
    late = iter([[3.1, -99, -99], [2.9, 2.9, 2.9]])
    current: list[float] = []

    def objective(_: dict[str, Any], fold: int) -> float:
        if fold == 0:
            current[:] = next(late) if next(trials) >= 5 else [3.0, 3.0, 3.0]
        return current[fold]

    trials = count()
    found = searched(tmp_path / "study.db", objective, batch=5, trials=7)
    assert found.trials[5].pruned
    assert found.best.number == 6
    trials, late = count(), iter([[3.1, -99, -99], [2.9, 2.9, 2.9]])
    whole = searched(tmp_path / "study.db", objective, batch=5, trials=7, prune=False)
    assert whole.best.number == 5


def test_each_trial_is_reported(
    whole: Search, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path / "study.db", trials=2)
    searched(tmp_path / "study.db")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("tuning 1/2: ")
    assert lines[2].startswith("tuning found ")
    assert lines[3] == "tuning resumes after 2 finished trials"
    assert lines[4].startswith("tuning 3/14: ")
    assert "rate=" in lines[4]
    assert sum("after 1 of 3 folds, ended early" in line for line in lines) == sum(
        len(trial.scores) == 1 for trial in whole.trials
    )
    assert lines[-1] == (
        f"tuning found {whole.value:.6g} in trial {whole.best.number + 1} of 14, "
        f"{whole.pruned} of which ended early"
    )
    assert whole.pruned > 0


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


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 100)


def _torn(path: Path) -> None:
    searched(path, trials=3)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))


def _execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def _foreign(path: Path) -> None:
    _execute(path, "create table finished (something text)")


def _edited(path: Path) -> None:
    searched(path, trials=3)
    _execute(path, "update finished set scores = '[0.1' where number = 1")


def _counted(path: Path) -> None:
    searched(path, trials=3)
    _execute(path, "update finished set scores = '7' where number = 1")


@pytest.mark.parametrize("damage", [_garbage, _torn, _foreign, _edited, _counted, Path.mkdir])
def test_a_damaged_history_is_one_sentence_with_the_remedy(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(storage := tmp_path / "study.db")
    with pytest.raises(TuningError, match=r"study\.db cannot be used.*delete it") as caught:
        searched(storage)
    assert "\n" not in str(caught.value)


def test_a_history_of_an_earlier_version_is_left_alone(whole: Search, tmp_path: Path) -> None:
    storage = tmp_path / "study.db"
    earlier = optuna.storages.RDBStorage(f"sqlite:///{storage}")
    old = optuna.create_study(storage=earlier, study_name="question")
    old.optimize(lambda trial: trial.suggest_float("rate", 0, 1), n_trials=1)
    earlier.remove_session()
    assert searched(storage) == whole
    assert len(old.trials) == 1
    earlier.engine.dispose()


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("attempt to write a readonly database", "let this user write it"),
        ("database or disk is full", "make room"),
    ],
)
def test_a_history_that_cannot_be_written_is_not_to_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError(reason)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(TuningError, match=remedy) as caught:
        searched(tmp_path / "study.db")
    assert "delete" not in str(caught.value)


def test_a_folder_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(TuningError, match=r"takes no lock \(No locks available\): let this user"):
        searched(tmp_path / "study.db")


class Other:
    """A process that searches the same, and waits inside the call of a number until told."""

    def __init__(self, storage: Path, call: int) -> None:
        arguments = [str(storage), str(call), str(Path(__file__).parent), *sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-c", OTHER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "inside\n"

    def kill(self) -> None:
        """End it as a machine without memory does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL

    def told(self) -> tuple[int, str]:
        """Let it go on; return how many folds it evaluated, and what it found."""
        printed, _ = self._process.communicate("go on\n", timeout=60)
        calls, _, found = printed.strip().partition(" ")
        return int(calls), found


def counting(calls: list[int]) -> Callable[[dict[str, Any], int], float]:
    def counted(parameters: dict[str, Any], fold: int) -> float:
        calls.append(fold)
        return bowl(parameters, fold)

    return counted


@pytest.mark.parametrize("call", some(range(2, 30), 14))
def test_the_trial_of_a_process_that_was_killed_is_done_by_another(
    whole: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The other works at a trial, while this process does the rest of its batch and waits."""
    other = Other(tmp_path / "study.db", call)
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        if text.startswith("waits"):
            other.kill()

    monkeypatch.setattr(tuning, "_say", hear)
    calls: list[int] = []
    assert searched(tmp_path / "study.db", counting(calls)) == whole
    waits = [text for text in said if text.startswith("waits")]
    assert len(waits) == 1
    assert "at which another process works" in waits[0]
    done = sum(len(trial.scores) for trial in whole.trials[: int(waits[0].split()[3][:-1]) - 1])
    assert len(calls) == fits(whole) - done
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]  # no lock is left


def test_processes_share_the_trials_and_find_the_same(
    whole: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, told = Other(tmp_path / "study.db", 1), []

    def hear(text: str) -> None:
        if text.startswith("waits") and not told:
            told.append(pool.submit(other.told))

    monkeypatch.setattr(tuning, "_say", hear)
    calls: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        assert searched(tmp_path / "study.db", counting(calls)) == whole
        theirs, found = told[0].result()
    assert found == repr(whole)
    assert len(calls) + theirs == fits(whole)
    assert theirs >= FOLDS


def test_searches_in_one_process_do_each_trial_once(whole: Search, tmp_path: Path) -> None:
    begin, calls = threading.Barrier(3), count()

    def counted(parameters: dict[str, Any], fold: int) -> float:
        next(calls)
        return bowl(parameters, fold)

    def asked(_: int) -> Search:
        begin.wait(60)
        return searched(tmp_path / "study.db", counted, workers=2)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(asked, range(3))) == [whole] * 3
    assert next(calls) == fits(whole)


def test_links_to_one_history_share_it(whole: Search, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/study.db").symlink_to(tmp_path / "shared/study.db")
    assert searched(tmp_path / "here/study.db") == whole
    assert searched(tmp_path / "shared/study.db", pytest.fail) == whole


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
    monkeypatch.setattr(study, "PATIENCE", 0.05)
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
        searched(tmp_path / "study.db", lambda *_: 1 / 0)


def test_a_path_with_odd_characters_holds_the_history(tmp_path: Path) -> None:
    storage = tmp_path / "50% {odd}?mode=ro #1" / "study.db"
    searched(storage, trials=1)
    assert storage.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [storage.parent.name]
