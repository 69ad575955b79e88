"""Values written out by day, and who uses a view."""

import subprocess
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from payments import VIEW, Payment, write

from mlops.data.errors import DataError
from mlops.git.repository import Repository
from mlops.views.backfill import backfill
from mlops.views.usage import champions

SINCE, UNTIL = date(2026, 1, 3), date(2026, 1, 5)


def payment(customer: int, day: int, booked: int) -> Payment:
    moment = datetime(2026, 1, day)
    return Payment(customer, moment, datetime(2026, 1, booked), day, 2.0, "app")


def test_each_day_has_every_entity_known_by_then(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", [payment(1, 1, 1), payment(2, 2, 4)])
    out = tmp_path / "out"
    written = list(backfill(VIEW, SINCE, UNTIL, tmp_path, out))
    assert [rows for _, rows in written] == [1, 2, 2]
    spent = [pq.read_table(path)["spent"].to_pylist() for path, _ in written]
    assert spent == [[2.0], [0.0, 2.0], [0.0, 0.0]]  # three days old is too old
    before = {path: path.read_bytes() for path, _ in written}
    assert list(backfill(VIEW, SINCE, UNTIL, tmp_path, out)) == written
    assert {path: path.read_bytes() for path in before} == before


def test_days_the_wrong_way_round_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exchange them"):
        list(backfill(VIEW, UNTIL, SINCE, tmp_path))


def test_a_champion_uses_what_its_commit_resolved(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    def commit(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", name)

    git("init", "--quiet")
    assert list(champions(Repository(tmp_path))) == []
    commit("resolved.yaml", yaml.safe_dump({"features": {"views": {"paying": {}}}}))
    commit("deploy/production/release.yaml", "name: one\n")
    commit("resolved.yaml", yaml.safe_dump({"features": {"views": {"other": {}}}}))
    found = {name: list(views) for name, views in champions(Repository(tmp_path))}
    assert found == {"production": ["paying"]}
