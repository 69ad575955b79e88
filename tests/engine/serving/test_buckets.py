"""Tables are scored from a bucket into a bucket, whole or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import bucket
import pandas as pd
import pytest

from mlops.cli import main
from mlops.files import sha256
from mlops.serving.buckets import Bucket, _patient


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with bucket.bucket() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_DEFAULT_REGION", bucket.REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", bucket.KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", bucket.SECRET)
        yield address


def names(storage: str, prefix: str) -> list[str]:
    listed = bucket.client(storage).list_objects_v2(Bucket=bucket.NAME, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", [])]


def test_from_a_bucket_into_a_bucket(
    storage: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = bucket.client(storage)
    rows = pd.read_parquet(trained / "data/raw/2025-02.parquet")
    for name, part in (("a.parquet", rows.head(30)), ("north/b.parquet", rows.tail(30))):
        part.to_parquet(tmp_path / "x.parquet")
        client.upload_file(str(tmp_path / "x.parquet"), bucket.NAME, f"nightly/in/{name}")
    for beside in ("_SUCCESS", "old.csv.lineage.json"):
        client.put_object(Bucket=bucket.NAME, Key=f"nightly/in/{beside}", Body=b"{}")
    place = f"s3://{bucket.NAME}/nightly"  # the bucket is that of other tests, too
    told = ["predict", f"{place}/in/", "--out", f"{place}/scores", "--partition", "date"]
    told += ["--bundle", str(trained / "candidate"), "--log", f"{place}/log", "--ids"]
    for day in ("2026-11-27", "2026-11-28"):
        assert main([*told, "--at", day]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"60 rows scored: {place}/scores/date=2026-11-27/part.parquet"
    assert sum("already" in line for line in out) == 2
    assert names(storage, "nightly/scores/") == [
        f"nightly/scores/date=2026-11-{day}/{name}"
        for day in (27, 28)
        for name in ("_part.parquet.lineage.json", "part.parquet")
    ]
    assert len(names(storage, "nightly/log/")) == 2
    assert all(
        name.startswith("nightly/log/predictions/date=2026-11-27/")
        for name in names(storage, "nightly/log/")
    )
    key = "nightly/scores/date=2026-11-27/"
    client.download_file(bucket.NAME, f"{key}part.parquet", str(tmp_path / "part.parquet"))
    body = client.get_object(Bucket=bucket.NAME, Key=f"{key}_part.parquet.lineage.json")["Body"]
    said = json.loads(body.read())
    assert said["output"]["sha256"] == sha256(tmp_path / "part.parquet")
    assert [one["name"] for one in said["inputs"]] == ["a.parquet", "north/b.parquet"]


@pytest.mark.parametrize(
    ("given", "out"),
    [
        ("s3://data/none", "x.csv"),
        ("foo://x/y", "x.csv"),
        ("rows.parquet", "foo://bucket/x.csv"),
        ("rows.parquet", "s3://data/scores.txt"),
    ],
)
def test_what_cannot_be_reached_is_said_in_a_sentence(
    given: str,
    out: str,
    storage: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.read_parquet(trained / "data/raw/2025-02.parquet").head(5).to_parquet("rows.parquet")
    before = names(storage, "")
    assert main(["predict", given, "--out", out, "--bundle", str(trained / "candidate")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mlops predict: ")
    assert ": " in said.partition("mlops predict: ")[2]
    assert "Traceback" not in said
    assert names(storage, "") == before
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize("counted", ["part-x.parquet", "part-y.parquet"])
def test_what_a_log_counted_before_it_was_deleted_is_there(counted: str, storage: str) -> None:
    content = json.dumps({"files": {counted: 9}, "counts": {}}).encode()
    key = f"counted/{counted}/counts/date=2026-11-27/0123456789ab.json"
    bucket.client(storage).put_object(Bucket=bucket.NAME, Key=key, Body=content)
    log = Bucket.of(f"s3://{bucket.NAME}/counted/{counted}")
    assert log.has("predictions", "model=0123456789ab/part-x.parquet") == (counted[5] == "x")
    assert not log.has("predictions", "model=ffffffffffff/part-x.parquet")


def test_google_is_not_asked_for_minutes() -> None:
    assert _patient("gs://bucket/x") == "gs://bucket/x?retry_limit_seconds=15"
    assert _patient("gs://bucket/x?scheme=http").endswith("http&retry_limit_seconds=15")
    for other in ("gs://b?retry_limit_seconds=2", "s3://bucket/x"):
        assert _patient(other) == other
    assert Bucket.of("gs://bucket/some/x/").path == "bucket/some/x"
