"""A day is counted once, whatever becomes of its rows, and its outcomes when they are mature."""

import json
import multiprocessing
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded import answered, record, report

from mlops.bundle import contents
from mlops.bundle.counting import Tally
from mlops.bundle.losses import outcomes
from mlops.bundle.reading import PROFILE, Loaded, parsed
from mlops.bundle.reference import layout
from mlops.config.settings import Derived, Features, Monitoring
from mlops.contract import Contract
from mlops.data import prepared
from mlops.features.encoding import Encoder
from mlops.monitoring import log as reading
from mlops.monitoring.case import Day
from mlops.monitoring.log import Source, days, traffic
from mlops.monitoring.rows import LogError, silent

FIRST = date(2026, 3, 2)
TASKS = ("binary", "multiclass", "regression")
Promising = Callable[[str], Path]


class Known(NamedTuple):
    """A bundle, and rows that it is asked about with what turns out to be true of them."""

    bundle: Loaded
    digest: str
    rows: pa.Table
    true: list[Any]


@pytest.fixture(scope="module")
def known(promising: Promising) -> Callable[[str], Known]:
    made: dict[str, Known] = {}

    def of(task: str) -> Known:
        if task not in made:
            root = promising(task)
            content = contents.read(root / "candidate")
            loaded = parsed(content)
            contract = loaded.contract
            names = [*loaded.encoder.inputs, contract.target]
            rows = prepared.table(root / "data/prepared/holdout", names).slice(0, 300)
            true = rows.column(contract.target).to_pylist()
            if contract.labels:
                true = [str(value).lower() if task == "binary" else value for value in true]
            made[task] = Known(loaded, content.bundle_digest, rows, true)
        return made[task]

    return of


@pytest.fixture
def binary(known: Callable[[str], Known]) -> Known:
    return known("binary")


def source(folder: Path, about: Known, **settings: Any) -> Source:
    cells = layout(json.loads(about.bundle.files[PROFILE]), about.bundle.settings)
    asked = Monitoring(**{"maturity_days": 10, **settings})
    return Source(folder, about.bundle, about.digest, cells, asked)


def day(after: int) -> date:
    return FIRST + timedelta(days=after)


def recorded(folder: Path, about: Known, *numbers: int, rows: int = 300) -> None:
    for number in numbers:
        record(folder, about.bundle, about.digest, day(number), about.rows.slice(0, rows))


def counted(about: Known, rows: pa.Table, of: Source) -> Any:
    """Count rows as the bundle's own stages do."""
    encoder = about.bundle.encoder
    columns = prepared.arrays(rows, about.bundle.contract, encoder.inputs)
    tally = Tally(of.layout)
    values = encoder.by_feature(encoder.matrix(columns))
    tally.add(values, answered(about.bundle, rows), columns)
    return tally.counts()


def unread(folder: Path) -> None:
    """Take all rows away, so that who still reads them fails."""
    shutil.rmtree(folder / "predictions")


@pytest.mark.parametrize("task", TASKS)
def test_a_day_has_the_counts_that_its_rows_have_without_a_log(
    known: Callable[[str], Known], tmp_path: Path, task: str
) -> None:
    about = known(task)
    recorded(tmp_path, about, 0)
    of = source(tmp_path, about)
    (found,) = days(of, day(1)).values()
    expected = counted(about, about.rows, of)
    assert found.counts.features == expected.features
    assert found.counts.outputs == expected.outputs
    assert found.counts.slices == expected.slices
    assert found.counts.moments == pytest.approx(expected.moments)
    assert found.counts.heaviest == expected.heaviest
    assert found.counts.repeats == expected.repeats
    assert found.roles == {"champion": 300}
    assert found.model == about.digest


def test_who_each_row_is_of_is_counted_by_the_keys(binary: Known, tmp_path: Path) -> None:
    whose = [f"{at % 30:016x}" for at in range(300)]
    record(tmp_path, binary.bundle, binary.digest, day(0), binary.rows, units=list(whose))
    from mlops.bundle.counting import repetition

    (found,) = days(source(tmp_path, binary), day(0)).values()
    assert repetition(found.counts) == pytest.approx(30 * 10**2, rel=0.4)


def test_a_day_is_read_once_and_stays_when_its_rows_are_deleted(
    binary: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, binary, 0, 1)
    of = source(tmp_path, binary)
    first = days(of, day(1))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}

    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("rows are read a second time")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "ParquetFile", read)
        assert days(of, day(1)) == first
        assert traffic(tmp_path, first, day(1)) == {str(day(0)): 300, str(day(1)): 300}
    unread(tmp_path)
    assert days(of, day(1)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == written


def test_days_after_the_last_one_are_not_looked_at(binary: Known, tmp_path: Path) -> None:
    recorded(tmp_path, binary, 0, 1, 2)
    assert list(days(source(tmp_path, binary), day(1))) == [str(day(0)), str(day(1))]
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_a_file_that_comes_late_is_added_as_if_it_had_come_at_once(
    binary: Known, tmp_path: Path
) -> None:
    of = source(tmp_path, binary)
    record(tmp_path, binary.bundle, binary.digest, day(0), binary.rows.slice(0, 100))
    days(of, day(0))
    late = binary.rows.slice(100, 200)
    record(tmp_path, binary.bundle, binary.digest, day(0), late, role="batch")
    twice = days(of, day(0))
    shutil.rmtree(tmp_path / "counts")
    assert days(of, day(0)) == twice
    assert twice[str(day(0))].counts.rows == 300
    assert twice[str(day(0))].roles == {"champion": 100, "batch": 200}


def test_a_file_that_comes_when_the_others_are_deleted_is_added(
    binary: Known, tmp_path: Path
) -> None:
    of = source(tmp_path, binary)
    recorded(tmp_path, binary, 0, rows=100)
    report(tmp_path, day(0), day(1), dict(enumerate(binary.true[:100])))
    settled = days(of, day(10))[str(day(0))]
    unread(tmp_path)
    late = binary.rows.slice(100, 200)
    record(tmp_path, binary.bundle, binary.digest, day(0), late, role="batch")
    found = days(of, day(11))[str(day(0))]
    whole = counted(binary, binary.rows, of)
    assert (found.counts.rows, found.counts.features) == (300, whole.features)
    assert (found.outcomes, found.known) == (settled.outcomes, 100)


def test_a_file_that_was_written_again_is_counted_anew(binary: Known, tmp_path: Path) -> None:
    of = source(tmp_path, binary)
    recorded(tmp_path, binary, 0, rows=100)
    days(of, day(0))
    recorded(tmp_path, binary, 0, rows=250)
    found = days(of, day(0))[str(day(0))]
    assert found.counts.features == counted(binary, binary.rows.slice(0, 250), of).features
    assert found.roles == {"champion": 250}


def test_what_a_shadow_said_nobody_got(
    binary: Known, known: Callable[[str], Known], tmp_path: Path
) -> None:
    of = source(tmp_path, binary)
    recorded(tmp_path, binary, 0, rows=100)
    record(tmp_path, binary.bundle, binary.digest, day(0), binary.rows, role="shadow")
    other = "f" * 64
    record(tmp_path, binary.bundle, other, day(0), binary.rows, role="shadow")
    record(tmp_path, binary.bundle, other, day(1), binary.rows.slice(0, 40), role="challenger")
    found = days(of, day(1))
    assert found[str(day(0))].counts.rows == 100
    assert traffic(tmp_path, found, day(1)) == {str(day(0)): 100, str(day(1)): 40}
    assert days(source(tmp_path, binary._replace(digest=other)), day(1))[str(day(1))].roles == {
        "challenger": 40
    }
    assert traffic(tmp_path, found, day(1)) == {str(day(0)): 100, str(day(1)): 40}


@pytest.mark.parametrize("task", TASKS)
def test_outcomes_are_counted_when_they_are_mature_and_only_those(
    known: Callable[[str], Known], tmp_path: Path, task: str
) -> None:
    about = known(task)
    recorded(tmp_path, about, 0, 5)
    heard = range(0, 300, 2)
    for number in (0, 5):
        report(tmp_path, day(number), day(number + 3), {at: about.true[at] for at in heard})
    of = source(tmp_path, about)
    young = days(of, day(9))
    assert [one.outcomes for one in young.values()] == [None, None]
    first, second = days(of, day(10)).values()
    assert (first.known, second.outcomes) == (150, None)
    rows = about.rows.take(list(heard))
    contract = about.bundle.contract
    columns = prepared.arrays(rows, contract, [*of.layout.sliced, contract.target])
    true = prepared.target(columns, contract)
    expected = outcomes(of.layout, true, answered(about.bundle, rows), columns, contract.labels)
    assert first.outcomes is not None
    assert set(first.outcomes.losses) == set(expected.losses)
    for group, losses in expected.losses.items():
        for name, sums in losses.items():
            assert first.outcomes.losses[group][name] == pytest.approx(sums)
    np.testing.assert_allclose(first.outcomes.calibration, expected.calibration)


def test_what_is_reported_after_maturity_changes_no_settled_day(
    binary: Known, tmp_path: Path
) -> None:
    recorded(tmp_path, binary, 0)
    report(tmp_path, day(0), day(3), dict(enumerate(binary.true[:100])))
    of = source(tmp_path, binary)
    settled = days(of, day(10))
    report(tmp_path, day(0), day(12), dict(enumerate(binary.true)))
    assert days(of, day(20)) == settled
    shutil.rmtree(tmp_path / "counts")
    assert days(of, day(20)) == settled  # who counts anew leaves out what came later, too


def test_outcomes_that_all_come_late_count_from_the_first_day_of_them(
    binary: Known, tmp_path: Path
) -> None:
    recorded(tmp_path, binary, 0)
    of = source(tmp_path, binary, maturity_days=5)
    assert not days(of, day(10))[str(day(0))].known
    report(tmp_path, day(0), day(12), dict(enumerate(binary.true)))
    late = days(of, day(20))[str(day(0))]
    assert late.known == 300
    assert late.heard == str(day(12))
    assert days(of, day(20))[str(day(0))] == late
    shutil.rmtree(tmp_path / "counts")
    assert days(of, day(20))[str(day(0))] == late


def test_another_maturity_or_silence_counts_outcomes_again(binary: Known, tmp_path: Path) -> None:
    recorded(tmp_path, binary, 0)
    yes = {at: value for at, value in enumerate(binary.true) if value == "true"}
    report(tmp_path, day(0), day(3), yes)
    assert days(source(tmp_path, binary), day(10))[str(day(0))].known == len(yes)
    report(tmp_path, day(0), day(1), {at: value for at, value in yes.items() if at < 150})
    sooner = days(source(tmp_path, binary, maturity_days=2), day(10))[str(day(0))]
    assert 0 < sooner.known < len(yes)  # the others came on the third day
    silence = days(source(tmp_path, binary, silence="false"), day(10))[str(day(0))]
    assert silence.known == 300
    rows, lost, _ = silence.outcomes.losses[""]["brier"]  # type: ignore[union-attr]
    true = np.array([value == "true" for value in binary.true])
    given = answered(binary.bundle, binary.rows)
    assert (rows, lost) == (300, pytest.approx(np.square(given - true).sum()))
    unread(tmp_path)
    assert days(source(tmp_path, binary), day(10))[str(day(0))] == silence  # nothing to count


@pytest.mark.parametrize(
    ("task", "silence", "code"),
    [
        ("binary", "false", 0),
        ("binary", False, 0),
        ("binary", True, 1),
        ("multiclass", "middle", 1),
        ("regression", 0, 0),
        ("regression", 12.5, 12.5),
    ],
)
def test_silence_is_an_outcome(
    known: Callable[[str], Known], tmp_path: Path, task: str, silence: Any, code: float
) -> None:
    about = known(task)
    asked = msgspec.convert({"silence": silence}, Monitoring)
    assert silent(about.bundle.contract, asked.silence) == code
    recorded(tmp_path, about, 0)
    found = days(source(tmp_path, about, silence=silence), day(10))[str(day(0))]
    assert found.known == 300
    assert sum(cell[2] for cell in found.outcomes.calibration[-1]) == pytest.approx(  # type: ignore[union-attr]
        300 * code if task != "multiclass" else 0
    )


@pytest.mark.parametrize(
    ("task", "silence", "said"),
    [
        ("binary", "no", "'no': choose from false, true"),
        ("multiclass", 1, "1: choose from low, middle, high"),
        ("regression", "false", "'false': give a number"),
        ("regression", False, "False: give a number"),
        ("regression", float("nan"), "nan: give a number"),
    ],
)
def test_a_silence_that_is_no_outcome_is_refused(
    known: Callable[[str], Known], task: str, silence: Any, said: str
) -> None:
    with pytest.raises(LogError, match=f"^monitoring.silence is {said}"):
        silent(known(task).bundle.contract, silence)


def test_a_silence_that_yaml_reads_as_false_belongs_in_quotes() -> None:
    target = {"type": "category", "categories": ["no", "yes"], "role": "target"}
    columns = {"n": {"type": "number"}, "left": target}
    said = {"name": "c", "task": "binary", "source": {"format": "csv"}, "columns": columns}
    contract = msgspec.convert(said, Contract)
    with pytest.raises(LogError, match='False: write "no" and "yes" in quotes'):
        silent(contract, False)
    assert silent(contract, "no") == 0


def kept(folder: Path) -> Path:
    (path,) = (folder / "counts").rglob("*.json")
    return path


@pytest.mark.parametrize("damage", ["", "{", '{"date": 1}', "[]", "\x00" * 50])
def test_damaged_counts_are_a_sentence_with_the_remedy(
    binary: Known, tmp_path: Path, damage: str
) -> None:
    recorded(tmp_path, binary, 0)
    of = source(tmp_path, binary)
    whole = days(of, day(0))
    kept(tmp_path).write_text(damage)
    with pytest.raises(LogError, match=r"cannot be read .*: remove it, to have the day") as refused:
        days(of, day(0))
    assert "\n" not in str(refused.value)
    kept(tmp_path).unlink()
    assert days(of, day(0)) == whole


def test_counts_of_another_bundle_or_with_other_cells_are_refused(
    binary: Known, tmp_path: Path
) -> None:
    recorded(tmp_path, binary, 0)
    of = source(tmp_path, binary)
    days(of, day(0))
    path = kept(tmp_path)
    whole = msgspec.json.decode(path.read_bytes(), type=Day)
    for change, said in (
        ({"model": "0" * 64}, "is of another bundle, 000000000000: remove it"),
        ({"counts": msgspec.structs.replace(whole.counts, features=[1])}, "has other cells"),
    ):
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(whole, **change)))
        with pytest.raises(LogError, match=said):
            days(of, day(0))


def test_the_log_of_another_bundle_has_no_days(binary: Known, tmp_path: Path) -> None:
    recorded(tmp_path, binary, 0)
    assert days(source(tmp_path, binary._replace(digest="e" * 64)), day(0)) == {}


def test_rows_that_cannot_be_read_are_a_sentence(binary: Known, tmp_path: Path) -> None:
    recorded(tmp_path, binary, 0)
    (part,) = (tmp_path / "predictions").rglob("*.parquet")
    part.write_bytes(b"PAR1 and no more")
    with pytest.raises(LogError, match=r"^rows of 2026-03-02 cannot be read as Parquet"):
        days(source(tmp_path, binary), day(0))
    with pytest.raises(LogError, match="cannot be read as Parquet: bring it back"):
        traffic(tmp_path, {}, day(0))


@pytest.mark.parametrize(
    "name", ["date=", "date=today", "date=2026-13-40", "date=20260302", "date=1"]
)
def test_folders_that_are_no_days_are_none_of_the_log(
    binary: Known, tmp_path: Path, name: str
) -> None:
    recorded(tmp_path, binary, 0)
    shutil.copytree(tmp_path / "predictions/date=2026-03-02", tmp_path / "predictions" / name)
    found = days(source(tmp_path, binary), day(0))
    assert list(found) == ["2026-03-02"]
    assert traffic(tmp_path, found, day(0)) == {"2026-03-02": 300}


def test_a_monitor_that_was_killed_goes_on_where_it_was(
    binary: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, binary, 0, 1, 2)
    of = source(tmp_path, binary)
    write = reading._write

    def killed(of: Source, about: Day) -> None:
        if about.date == str(day(1)):
            raise KeyboardInterrupt
        write(of, about)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reading, "_write", killed)
        days(of, day(2))
    assert kept(tmp_path).parent.name == f"date={day(0)}"
    counted_anew = days(of, day(2))
    shutil.rmtree(tmp_path / "counts")
    assert days(of, day(2)) == counted_anew


def test_two_monitors_at_once_leave_what_one_would(binary: Known, tmp_path: Path) -> None:
    for name in ("one", "two"):
        recorded(tmp_path / name, binary, *range(4), rows=50)
    alone = days(source(tmp_path / "one", binary), day(3))
    fork = multiprocessing.get_context("fork")
    both = [
        fork.Process(target=days, args=(source(tmp_path / "two", binary), day(3))) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert days(source(tmp_path / "two", binary), day(3)) == alone
    names = [path.name for path in (tmp_path / "two/counts").rglob("*.*")]
    assert names == [f"{binary.digest[:12]}.json"] * 4


def test_no_network_is_asked(
    binary: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Iterator[None]:
        raise AssertionError("the network is asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    recorded(tmp_path, binary, 0)
    report(tmp_path, day(0), day(3), dict(enumerate(binary.true[:100])))
    assert days(source(tmp_path, binary), day(10))[str(day(0))].known == 100


def test_personal_data_are_not_in_the_log_and_not_judged(binary: Known, tmp_path: Path) -> None:
    contract = binary.bundle.contract
    columns = dict(contract.columns)
    for name in ("size", "kind"):
        columns[name] = msgspec.structs.replace(columns[name], pii=True, reason="it is needed")
    secret = msgspec.structs.replace(contract, columns=columns)
    about = binary._replace(bundle=msgspec.structs.replace(binary.bundle, contract=secret))
    recorded(tmp_path, about, 0)
    of = source(tmp_path, about)
    assert of.unrecorded == {"size", "kind"}
    (found,) = days(of, day(0)).values()
    parts = {cells.name: part for cells, part in of.layout.split(found.counts.features)}
    assert parts["size"][-1] == parts["kind"][-1] == 300
    assert parts["new"][-1] == 0
    assert found.counts.outputs == counted(binary, binary.rows, of).outputs


def test_a_log_that_is_only_looked_at_stays_as_it_is(binary: Known, tmp_path: Path) -> None:
    recorded(tmp_path, binary, 0)
    assert days(source(tmp_path, binary), day(0), keep=False)[day(0).isoformat()].counts.rows
    assert not (tmp_path / "counts").exists()


def test_features_of_one_datetime_tell_the_date(binary: Known) -> None:
    declared = msgspec.convert(
        {
            "name": "orders",
            "task": "binary",
            "columns": {
                "ordered": {"type": "datetime"},
                "paid": {"type": "datetime"},
                "price": {"type": "number"},
                "back": {"type": "boolean", "role": "target"},
            },
        },
        Contract,
    )
    derived = {
        "weekday": Derived("day_of_week", ["ordered"], "shop"),
        "hour": Derived("hour_of_day", ["ordered"], "shop"),
        "unpaid": Derived("is_missing_datetime", ["paid"], "shop"),
        "delay": Derived("elapsed_days", ["ordered", "paid"], "shop"),
        "log_price": Derived("log1p", ["price"], "shop"),
    }
    encoder = Encoder.build(declared, Features(derived=derived))
    loaded = msgspec.structs.replace(binary.bundle, contract=declared, encoder=encoder)
    nothing: Any = None
    of = Source(Path(), loaded, "0" * 64, nothing, Monitoring())
    assert of.calendar == {"weekday"}
