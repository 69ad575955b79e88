"""Short of memory, a join spills into the folder that conf/compute names, to the same bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from payments import CHANNELS, TABLE, VIEW

from mlops.compute.choice import CONF, ComputeError, chosen
from mlops.views import join
from mlops.views.join import Join

PLACE = CONF / "local.yaml"
ROWS, CUSTOMERS = 2_000_000, 2000
DAY = 86_400_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    draw = np.random.default_rng(3)
    paid = draw.integers(0, 10 * DAY, ROWS)
    moment = pa.timestamp("us")
    columns = {
        "customer": draw.integers(0, CUSTOMERS, ROWS),
        "paid_at": pa.array(paid, moment),
        "booked_at": pa.array(paid + draw.integers(0, DAY, ROWS), moment),
        "number": np.arange(ROWS),
        "amount": draw.normal(0, 1e9, ROWS),
        "channel": np.array(CHANNELS)[draw.integers(0, 3, ROWS)],
    }
    (tmp_path / TABLE.folder).mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / TABLE.folder / "a.parquet")
    return tmp_path


def values(root: Path) -> pa.Table:
    entities = pa.table({"customer": np.arange(CUSTOMERS)})
    at = np.full(CUSTOMERS, np.datetime64("1970-01-09", "us"))
    with Join(root) as opened:
        return opened.values_at(VIEW, entities, at)


def test_what_was_spilled_gives_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    cut = join._cut

    def watched(view: Any, known: Any, batches: Any) -> Iterator[Any]:
        for history in cut(view, known, batches):
            # It makes its folder when it first spills.
            seen.update(path.relative_to(project).parts[0] for path in project.rglob("duckdb"))
            yield history

    monkeypatch.setattr(join, "_cut", watched)
    whole = values(project)
    assert not seen
    (project / PLACE).parent.mkdir(parents=True)
    told = "joins: {memory: 80MB, threads: 1, spill: .mlops/spill}\n"
    (project / PLACE).write_text(told)
    spilled = values(project)
    assert seen == {".mlops"}
    assert spilled.equals(whole)
    assert not [*(project / ".mlops/spill").iterdir()]


@pytest.mark.parametrize(
    ("text", "said"),
    [("memory: much", "write it like `400MB`"), ("memry: 1GB", "memry"), ("threads: 0", "least 1")],
)
def test_a_setting_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / PLACE).parent.mkdir(parents=True)
    (tmp_path / PLACE).write_text(f"joins: {{{text}}}")
    with pytest.raises(ComputeError, match=said):
        chosen(tmp_path)
    (tmp_path / PLACE).write_text("backend: local")
    assert chosen(tmp_path).joins.memory == "400MB"
