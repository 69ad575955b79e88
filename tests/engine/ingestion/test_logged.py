"""A person is found in a server's log by whatever it calls them, and leaves it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from baked import SOURCE

from mlops.cli import main
from mlops.log_layout import KEY, hashing
from mlops.serving.recording.segment import Answers, Declaration, Outcomes, encode
from mlops.serving.recording.tables import batches
from mlops.views.online import hidden_text, key, key_text

DIGEST = "d" * 64
COLUMNS: dict[str, Any] = {
    "customer": {"type": "text", "role": "id", "pii": True},
    "branch": {"type": "integer"},
    "asked_at": {"type": "datetime", "role": "time"},
    "amount": {"type": "number"},
    "bad": {"type": "boolean", "role": "target"},
}
WHO = ["ada", "bob", "ada", "eve"]
PARTNER = {1: "kim", 3: "kim"}  # whom the view of two keys knows


def table(**of: str) -> dict[str, Any]:
    keys = {name: {"type": kind} for name, kind in of.items()}
    columns = {**keys, "at": {"type": "datetime"}, "sum": {"type": "number"}}
    return {"keys": [*of], "event_time": "at", "lag": "0 days", "columns": columns}


def view(table: str, *of: str) -> dict[str, Any]:
    features = {f"{table}_sum": {"type": "number", "sql": "sum(sum)"}}
    return {
        "table": table,
        "entity": {one: one for one in of},
        "ttl": "9 days",
        "online": True,
        "features": features,
    }


def answers(hashed: Callable[[bytes], str], ids: str = "r") -> Answers:
    """Return a block of one request a person; the last sent its key for the routing alone."""
    entities = [
        (
            hidden_text(key((who,)), hashed),
            key_text(key((7 + at,))),
            hidden_text(key((7 + at, PARTNER.get(at, "nobody"))), hashed),
        )
        for at, who in enumerate(WHO)
    ]
    entities[3] = (None, None, entities[3][2])  # type: ignore[assignment]
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    return Answers(
        DIGEST,
        "champion",
        [f"{ids}{at}" for at in range(4)],
        [1] * 4,
        [moment] * 4,
        [(7.0 + at, 1.5) for at in range(4)],
        np.full(4, 0.25, "<f8").tobytes(),
        units=[None, None, None, hashed(b"eve")],
        as_of=[(1, 1, 1)] * 4,
        entities=entities,
    )


ABOUT = Declaration(
    DIGEST,
    "binary",
    ["false", "true"],
    0.5,
    [("branch", "integer", True), ("amount", "number", True)],
    [],
    views=["customer", "branch", "both"],
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project with a log: a day of answers, outcomes of them, and a segment that waits."""
    root = tmp_path / "project"
    shutil.copytree(SOURCE / "conf", root / "conf")
    shutil.copytree(SOURCE / "requirements", root / "requirements")
    written = {
        "conf/data/loans.yaml": {
            "name": "loans",
            "task": "binary",
            "source": {"format": "csv"},
            "columns": COLUMNS,
        },
        "conf/tables/customer.yaml": table(customer="text"),
        "conf/tables/branch.yaml": table(branch="integer"),
        "conf/tables/both.yaml": table(branch="integer", customer="text"),
        "conf/feature_views/customer.yaml": view("customer", "customer"),
        "conf/feature_views/branch.yaml": view("branch", "branch"),
        "conf/feature_views/both.yaml": view("both", "branch", "customer"),
        "params.yaml": {"data": {"use": "loans"}, "features": {"use": "columns"}},
    }
    for name, content in written.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(yaml.safe_dump(content, sort_keys=False))
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/a.csv").write_text(
        "customer,branch,asked_at,amount,bad\nbob,1,2026-01-01,1,0\n"
    )
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n")
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    log = tmp_path / "log"
    log.mkdir()
    (log / KEY).write_bytes(b"k" * 32)
    hashed = hashing(log)
    assert hashed is not None
    outcomes = Outcomes(["r0", "r1", "r3"], [0, 0, 0], [1772452800.0] * 3, [True, False, True])
    for block in (answers(hashed), outcomes):
        for part, batch in batches(block, {DIGEST: ABOUT}):
            (log / part.folder).mkdir(parents=True)
            pq.write_table(pa.Table.from_batches([batch]), log / part.folder / "part-1.parquet")
    (log / "spool/one").mkdir(parents=True)
    whole = encode(ABOUT) + encode(answers(hashed, "s"))
    (log / "spool/one/000001.segment").write_bytes(whole)
    with chdir(root):
        yield root


def left(log: Path) -> tuple[list[str], list[str]]:
    """Return the requests that a log has answers to, and outcomes of."""
    found = []
    for room in ("predictions", "feedback"):
        (path,) = (log / room).rglob("*.parquet")
        found.append(pq.ParquetFile(path).read()["request_id"].to_pylist())
    return found[0], found[1]


def test_an_entity_that_is_a_hash(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = project.parent / "log"
    before = pq.ParquetFile(next((log / "predictions").rglob("*.parquet"))).schema_arrow
    assert main(["forget", "ada", "--log", str(log)]) == 0
    said = capsys.readouterr().out
    assert left(log) == (["r1", "r3"], ["r1", "r3"])
    path = next((log / "predictions").rglob("*.parquet"))
    assert pq.ParquetFile(path).schema_arrow.equals(before, check_metadata=True)
    assert "removed of the log: 3 rows of 2 files" in said
    assert "predictions/date=2026-03-01/model=dddddddddddd/part-1.parquet: 2 rows" in said
    assert "remains in spool/one/000001.segment" in said
    assert "ada" not in said


def test_a_routing_key_and_a_plain_column(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = project.parent / "log"
    assert main(["forget", "eve", "--log", str(log)]) == 0
    assert left(log) == (["r0", "r1", "r2"], ["r0", "r1"])
    assert main(["forget", "9", "--column", "branch", "--log", str(log)]) == 0
    assert left(log)[0] == ["r0", "r1"]
    assert "not searched" not in capsys.readouterr().err


def test_one_of_several_keys_that_are_hashes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = project.parent / "log"
    assert main(["forget", "kim", "--log", str(log)]) == 0
    assert left(log) == (["r0", "r2"], ["r0"])
    assert "check: entities" not in capsys.readouterr().out


def test_who_is_nowhere_and_what_cannot_be_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = project.parent / "log"
    state = left(log)
    assert main(["forget", "zoe", "--log", str(log)]) == 1
    assert "data/raw, data/tables, the log or what" in capsys.readouterr().err
    (log / KEY).unlink()
    assert main(["forget", "bob", "--log", str(log)]) == 0
    said = capsys.readouterr().out
    assert "entities of both, customer are hashes that cannot be told here" in said
    assert left(log) == state
    assert main(["forget", "bob", "--log", str(project)]) == 2
    assert "has neither predictions nor a spool" in capsys.readouterr().err


def test_one_broken_file_changes_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = project.parent / "log"
    state = left(log)
    raw = (project / "data/raw/a.csv").read_bytes()
    broken = log / "predictions/date=2026-03-02/model=dddddddddddd/part-2.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"PAR1")
    assert main(["forget", "bob", "--log", str(log)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    broken.unlink()
    assert left(log) == state
    assert (project / "data/raw/a.csv").read_bytes() == raw
