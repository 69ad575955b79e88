"""No credential stands in what a run says or writes."""

from pathlib import Path

import pytest

from mlops.data.errors import DataError
from mlops.ingestion.environment import Secrets, address, parsed

from .conftest import Shop

PASSWORD = "p%40ss-nobody-sees"


def test_a_variable_is_read_from_the_shell_or_from_the_one_secret() -> None:
    secrets = Secrets({"A": "from the shell", "INGEST_ENV": "A=x\n# note=1\nB=b=c\n"})
    assert secrets.read("A") == "from the shell"
    assert secrets.read("B") == "b=c"
    with pytest.raises(DataError, match="C is not set: export it, or in automation add a line C="):
        secrets.read("C")
    assert Secrets({"INGEST_ENV": "C=now"}).read("C") == "now"  # the remedy


def test_what_was_read_is_masked_in_every_form() -> None:
    url = f"postgresql://me:{PASSWORD}@db.example/shop?token=query-token"
    told = {"URL": url, "AUTH": "Bearer abcdef", "OPTIONS": '{"secret": "a-key-of-s3"}'}
    secrets = Secrets({**told, "HOOK": "https://api.example/key-in-path/v1"})
    for name in ("URL", "AUTH", "HOOK"):
        secrets.read(name)
    assert secrets.masked("no https://api.example/key-in-path/v1?at=5") == "no ***?at=5"
    assert secrets.read_options("OPTIONS") == {"secret": "a-key-of-s3"}
    said = f"{url} failed: {PASSWORD} p@ss-nobody-sees query-token abcdef a-key-of-s3"
    masked = secrets.masked(said)
    for secret in (PASSWORD, "p@ss", "query-token", "abcdef", "a-key-of-s3"):
        assert secret not in masked
    assert Secrets({}).masked("at ftp://you:secret@host/x") == "at ftp://***@host/x"


def test_options_that_are_no_json_are_not_told() -> None:
    with pytest.raises(DataError, match="holds no JSON object") as error:
        Secrets({"O": "key=hidden-value"}).read_options("O")
    assert "hidden-value" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pw@db:5432/shop?sslmode=require", "postgresql://db:5432/shop?sslmode"),
        ("https://api.example/v1?key=abc&page=2", "https://api.example/v1?key&page"),
        ("s3://bucket/orders/*.parquet", "s3://bucket/orders/*.parquet"),
        ("http://[broken", "***"),
    ],
)
def test_an_address_in_lineage(url: str, shown: str) -> None:
    assert address(url) == shown


def test_lines_that_say_nothing_are_no_variables() -> None:
    assert parsed("\n  A=1\nnothing\n# B=2\n") == {"A": "1"}


@pytest.mark.parametrize("url", ["postgresql://me:{}@127.0.0.1:1/shop", "odd://me:{}@h/{}"])
def test_a_password_is_in_no_output(shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_ENV", f"ORDERS_URL={url.format(PASSWORD, PASSWORD)}")
    origin = {"kind": "sql", "url_env": "ORDERS_URL", "query": "SELECT 1"}
    with pytest.raises(DataError, match="cannot be read from its origin") as error:
        shop.ingest(origin=origin)
    chain, one = str(error.value), error.value
    assert one.__suppress_context__  # nor in a traceback
    assert PASSWORD not in chain
    assert "p@ss" not in chain
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
