"""A log in a bucket is collected, then judged; what was counted outlives its rows."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from bucket import KEY, NAME, REGION, SECRET, bucket, client

from mlops.bundle.alerts import read
from mlops.cli import main
from mlops.monitoring.monitor import settled_by

FOLDER = ".mlops/log"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with bucket() as listening, pytest.MonkeyPatch.context() as patch:
        told = {"ENDPOINT_URL": listening, "DEFAULT_REGION": REGION}
        told |= {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "MAX_ATTEMPTS": "1"}
        for name, value in told.items():
            patch.setenv(f"AWS_{name}", value)
        yield listening


@pytest.fixture(scope="module")
def url(address: str, trained: Path) -> str:
    """A log of three days in a bucket, as `mlops predict` wrote it."""
    raw, place = trained / "data/raw", f"s3://{NAME}/log"
    bundle = str(trained / "candidate")
    scores = f"s3://{NAME}/scores"
    for at, month in enumerate(sorted(raw.glob("*.parquet"))):
        told = ["predict", str(month), "--out", scores, "--partition", "date", "--bundle", bundle]
        assert main([*told, "--log", place, "--at", f"2026-03-0{at + 1}"]) == 0
    return place


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("conf", "params.yaml"):
        source = trained / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def monitor(log: str, trained: Path, *more: str) -> int:
    told = ["monitor", "--log", log, "--bundle", str(trained / "candidate"), "--at", "2026-03-03"]
    return main([*told, *more])


def test_a_log_in_a_bucket_is_judged_as_one_that_is_here(
    url: str, address: str, trained: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = monitor(url, trained)
    said = capsys.readouterr()
    (folder,) = (project / FOLDER).iterdir()
    assert f"and 3 files, collected: {FOLDER}/{folder.name}\n" in said.err
    report = read(Path("reports/monitor/monitor.json"))
    assert report["log"]["days"] == 3
    assert monitor(str(folder), trained, "--out", "here") == code
    assert (
        Path("here/monitor.json").read_bytes() == Path("reports/monitor/monitor.json").read_bytes()
    )
    assert monitor(f"{url}/", trained, "--replay", "2d") == 0
    assert f"and 0 files, collected: {FOLDER}/{folder.name}\n" in capsys.readouterr().err


def test_what_was_counted_outlives_its_rows(
    url: str, address: str, trained: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As between runs of the workflow: counts are kept, and days that are done not fetched."""
    code = monitor(url, trained)
    before = Path("reports/monitor/monitor.json").read_bytes()
    (folder,) = (project / FOLDER).iterdir()
    (first, *_) = counts = sorted((folder / "counts").rglob("*.json"))
    about = msgspec.json.decode(first.read_bytes())
    first.write_bytes(msgspec.json.encode({**about, "settled": settled_by(trained / "candidate")}))
    assert len(counts) == 3
    shutil.rmtree(folder / "predictions")
    capsys.readouterr()
    assert monitor(url, trained) == code
    assert "and 2 files, collected" in capsys.readouterr().err
    assert Path("reports/monitor/monitor.json").read_bytes() == before
    found = client(address).list_objects_v2(Bucket=NAME, Prefix="log/")
    assert found["KeyCount"] == 3


@pytest.mark.parametrize("where", ["s3://absent/log", "s4://x/log", "file:///nowhere/log"])
def test_a_place_that_cannot_be_reached_leaves_no_report(
    where: str, address: str, trained: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = project / "reports/monitor/monitor.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    assert monitor(where, trained) == 2
    said = capsys.readouterr().err
    assert said.startswith("mlops monitor: ")
    assert said.count("\n") == 1
    assert "cannot be used" in said
    assert not old.exists()


def test_no_log_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "--log", ""]) == 2
    assert "say which log is read" in capsys.readouterr().err


def test_a_damaged_file_is_named_and_the_rest_judged(
    url: str, trained: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = project / "place"
    assert main(["collect", "--from", url, "--log", str(place)]) == 0
    (bad, *_) = parts = sorted((place / "predictions").rglob("*.parquet"))
    assert len(parts) == 3
    bad.write_bytes(b"PAR1")
    monitor(place.as_uri(), trained)
    assert f"{bad.name} is no whole Parquet of a log" in capsys.readouterr().err
    assert read(Path("reports/monitor/monitor.json"))["log"]["days"] == 2


def test_a_place_without_a_log_is_not_quiet(
    address: str, trained: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert monitor(f"s3://{NAME}/misspelled", trained) == 2
    said = capsys.readouterr().err
    assert "no predictions stand in the place that --log names: correct its address" in said
    assert not Path("reports/monitor/monitor.json").exists()
