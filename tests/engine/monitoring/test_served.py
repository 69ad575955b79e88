"""What a server used, and what came of it, as rows to train on."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.cli import main
from mlops.files import sha256
from mlops.serving.recording.segment import Answers, Declaration, Outcomes
from mlops.serving.recording.tables import batches

DIGEST = "d" * 64
COLUMNS = [("amount", "number", True), ("spent", "number", True), ("income", "number", False)]
ABOUT = Declaration(
    DIGEST, "binary", ["false", "true"], 0.5, COLUMNS, [], views=["spending", "staff"]
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
OLD, NEW = 1_772_000_000_000_000, 1_772_300_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three answers, one of them a shadow's, of a bundle; of another one; an outcome of one."""
    folder = tmp_path / "log"

    def answers(digest: str, role: str, ids: list[str]) -> Answers:
        rows = len(ids)
        predictions = np.full(rows, 0.75, "<f8").tobytes()
        return Answers(
            digest,
            role,
            ids,
            [1] * rows,
            [NOON] * rows,
            [(1.5, 20.0 + at) for at in range(rows)],
            predictions,
            as_of=[(OLD, NEW), (OLD, None), (None, None)][:rows],
            entities=[("0123456789abcdef", "[7]")] * rows,
        )

    later = NOON + 86_400
    blocks = [
        answers(DIGEST, "champion", ["a", "b", "c"]),
        answers(DIGEST, "shadow", ["d"]),
        answers("e" * 64, "champion", ["f"]),
        Outcomes(["b", "b"], [0, 0], [later, later + 1], ["false", "true"]),
    ]
    about = {DIGEST: ABOUT, "e" * 64: ABOUT}
    for number, block in enumerate(blocks):
        for part, batch in batches(block, about):
            path = folder / part.folder / f"part-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_batches([batch]), path)
    return folder


def test_rows_have_what_was_used_and_what_came_of_it(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "served.parquet"
    assert main(["features", "served", "--log", str(log), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"4 rows, 1 of them with an outcome: {out}\n"
    rows = {one["request_id"]: one for one in pq.ParquetFile(out).read().to_pylist()}
    assert [*rows] == ["a", "b", "c", "f"]
    assert [rows[name]["spent"] for name in "abc"] == [20.0, 21.0, 22.0]
    assert [rows[name]["outcome"] for name in "abc"] == [None, "true", None]
    known = [rows[name]["features_known_time"] for name in "abc"]
    newest, old = (datetime.fromtimestamp(at / 1e6, UTC).replace(tzinfo=None) for at in (NEW, OLD))
    assert known == [newest, old, None]
    assert rows["a"]["income"] is None
    assert rows["a"]["features_of"]["spending"] == "0123456789abcdef"


def test_lineage_names_every_file_of_the_log(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "served.parquet"
    assert main(["features", "served", "--log", str(log), "--out", str(out)]) == 0
    told = json.loads(out.with_name("served.parquet.lineage.json").read_text())
    assert (told["rows"], told["outcomes"]) == (4, 1)
    paths = {one["name"]: one["sha256"] for one in told["inputs"]}
    assert paths == {p.relative_to(log).as_posix(): sha256(p) for p in log.rglob("*.parquet")}
    assert told["output"] == {"name": "served.parquet", "sha256": sha256(out)}
    assert b"mlops.lineage" in pq.read_metadata(out).metadata


def test_nothing_is_written_where_there_is_nothing(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "served.parquet"
    command = ["features", "served", "--log", str(log), "--since", "2026-03-02"]
    assert main([*command, "--out", str(out)]) == 2
    assert "no such answers" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "served.csv")]) == 2
    assert "must end in .parquet" in capsys.readouterr().err
    assert [path for path in tmp_path.iterdir() if path != log] == []
