"""Every kind of origin, each on a real one: databases, a server, a bucket, lake tables."""

import datetime
import glob
import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bucket as buckets
import databases
import pandas as pd
import pyarrow as pa
import pytest
import s3fs

from mlops.contract import Source
from mlops.data.errors import DataError
from mlops.ingestion import packages
from mlops.ingestion.readers import http

from .conftest import COLUMNS, KEYED, Row, Shop, order

DAY = datetime.date.fromisoformat
ROWS = [order(n, f"2026-01-0{1 + n % 3}", amount=None if n == 5 else n / 4) for n in range(12)]
NAMES = [*COLUMNS, "is_deleted"]


def frame(rows: list[Row] = ROWS) -> pd.DataFrame:
    """Return orders as another system would have them."""
    made = pd.DataFrame(rows, columns=NAMES)
    for name in ("ordered_at", "updated_at"):
        made[name] = pd.to_datetime(made[name])
    return made.astype({"paid": bool, "is_deleted": bool})


def content(shop: Shop) -> dict[str, bytes]:
    """Return the partitions, and begin anew."""
    parts = shop.parts()
    for day in parts:
        for file in (shop.folder / f"date={day}").iterdir():
            file.unlink()
        (shop.folder / f"date={day}").rmdir()
    return parts


@pytest.fixture
def expected(shop: Shop) -> dict[str, bytes]:
    """The bytes that SQLite comes to."""
    shop.sell(ROWS)
    shop.ingest()
    return content(shop)


def test_postgresql_comes_to_the_bytes_of_sqlite(
    shop: Shop, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sql

    with databases.postgresql() as url:
        engine = sql.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sql.text(f"CREATE TABLE orders ({_types()})"))
            insert = f"INSERT INTO orders VALUES ({', '.join(':' + n for n in NAMES)})"
            for row in frame().astype(object).replace({float("nan"): None}).to_dict("records"):
                connection.execute(sql.text(insert), row)
        engine.dispose()
        monkeypatch.setenv("ORDERS_URL", url)
        query = "SELECT * FROM orders WHERE ordered_at >= :since AND ordered_at < :until"
        origin = {"kind": "sql", "url_env": "ORDERS_URL", "query": query}
        shop.ingest(origin=origin)
        assert shop.parts() == expected
        assert not shop.ingest(DAY("2026-01-02"), origin=origin).changed
    with pytest.raises(DataError, match=r"cannot be read from its origin.*it is reachable"):
        shop.ingest(origin=origin)


def _types() -> str:
    kinds = ("bigint", "text", "timestamp", "timestamp", "numeric(9, 2)", "boolean", "text")
    return ", ".join(f"{n} {k}" for n, k in zip(NAMES, (*kinds, "boolean"), strict=True))


class Api(BaseHTTPRequestHandler):
    """An API of orders; what it gives is set by the test."""

    answers: Callable[[str, Mapping[str, str]], tuple[int, Any, dict[str, str]]]
    asked: list[str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        code, body, headers = type(self).answers(self.path, dict(self.headers))
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(sent)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


Served = Callable[[Callable[[str, Mapping[str, str]], tuple[int, Any, dict[str, str]]]], str]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve an API in a thread; return its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def start(answers: Any) -> str:
        Api.answers, Api.asked = staticmethod(answers), []
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    server.shutdown()
    thread.join()
    server.server_close()


def records(rows: list[Row] = ROWS) -> list[dict[str, Any]]:
    """Return orders as JSON has them."""
    made = [dict(zip(NAMES, row, strict=True)) for row in rows]
    return [{k: v for k, v in one.items() if v is not None} for one in made]


def test_an_api_gives_pages_by_the_next_link(
    shop: Shop, expected: dict[str, bytes], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(path: str, headers: Mapping[str, str]) -> Any:
        if headers.get("Authorization") != "Bearer a-token-nobody-sees":
            return 401, {}, {}
        at = int(parse_qs(urlsplit(path).query).get("at", ["0"])[0])
        following = f"/orders?at={at + 5}" if at + 5 < len(ROWS) else None
        page = {"data": {"items": records()[at : at + 5]}, "links": {"next": following}}
        return 200, page, {}

    origin = {
        "kind": "http",
        "url": f"{served(answers)}/orders",
        "parameters": {"from": "{since}", "before": "{until}"},
        "records": "data.items",
        "pages": {"next": "links.next"},
        "headers_env": {"Authorization": "API_AUTH"},
    }
    monkeypatch.setenv("API_AUTH", "Bearer a-token-nobody-sees")
    shop.ingest(DAY("2026-01-01"), origin=origin)
    assert Api.asked == ["/orders?from=2026-01-01", "/orders?at=5", "/orders?at=10"]
    assert shop.parts() == expected
    monkeypatch.setenv("API_AUTH", "Bearer another")
    with pytest.raises(DataError, match=r"\(status 401\).*`headers_env`") as error:
        shop.ingest(origin=origin)
    assert "another" not in str(error.value)
    assert shop.parts() == expected


def test_an_api_gives_numbered_pages_until_one_is_empty(
    shop: Shop, expected: dict[str, bytes], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(path: str, _: Mapping[str, str]) -> Any:
        at = 5 * (int(parse_qs(urlsplit(path).query)["page"][0]) - 1)
        return 200, records(ROWS[::-1])[at : at + 5], {}

    url = served(answers)
    monkeypatch.setenv("API_URL", f"{url}/key-in-path?token=nobody")
    shop.ingest(origin={"kind": "http", "url_env": "API_URL", "pages": {"parameter": "page"}})
    assert len(Api.asked) == 4
    assert Api.asked[0] == "/key-in-path?token=nobody&page=1"
    assert shop.parts() == expected
    told = (shop.folder / "date=2026-01-01/.lineage.json").read_text()
    assert json.loads(told)["origin"] == {"kind": "http", "url": url}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_api_gives_lines(
    shop: Shop, expected: dict[str, bytes], served: Served, form: str
) -> None:
    body = frame().to_csv(index=False).encode()
    if form == "jsonl":
        body = "\n".join(map(json.dumps, records())).encode()
    origin = {"kind": "http", "url": served(lambda *_: (200, body, {})), "format": form}
    shop.ingest(origin=origin)
    assert shop.parts() == expected
    if form == "csv":
        Api.answers = staticmethod(lambda *_: (200, body + b"1,2,3\n", {}))
        with pytest.raises(DataError, match=r"^the answer row 13 has 3 cells"):
            shop.ingest(origin=origin)


def test_a_busy_api_is_asked_again_and_a_broken_answer_is_none(
    shop: Shop, expected: dict[str, bytes], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(http.time, "sleep", waited.append)
    begun = iter([(503, {}, {"Retry-After": "7"}), (200, records(), {"Content-Length": "9999"})])

    def answers(*_: Any) -> Any:
        return next(begun, (200, records(), {}))

    origin = {"kind": "http", "url": served(answers)}
    shop.ingest(origin=origin)
    assert waited == [7.0, 1.0]
    assert shop.parts() == expected
    Api.answers = staticmethod(lambda *_: (503, {}, {}))
    with pytest.raises(DataError, match=r"does not answer \(status 503\)"):
        shop.ingest(origin=origin)
    assert len(waited) == 5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>", {}), "answers with no json: correct `format`"),
        ((200, {"rows": []}, {}), "no list of records at data: correct `records`"),
        ((302, {}, {"Location": "http://elsewhere.invalid/"}), "leads to http://elsewhere.invalid"),
        ((200, {"data": [], "next": "http://elsewhere.invalid/"}, {}), "leads to http://elsewhere"),
        ((200, {"data": [], "next": "/"}, {}), "names a page as the next that it gave before"),
        ((200, {"data": [{"order_id": 1}]}, {}), "lacks customer, ordered_at, updated_at, paid"),
    ],
)
def test_an_api_that_answers_otherwise_is_told(
    shop: Shop, served: Served, answer: Any, said: str
) -> None:
    origin = {
        "kind": "http",
        "url": f"{served(lambda *_: answer)}/",
        "records": "data",
        "pages": {"next": "next"},
    }
    with pytest.raises(DataError, match=said):
        shop.ingest(origin=origin)
    assert shop.parts() == {}


def test_an_api_is_no_file_of_this_machine(shop: Shop) -> None:
    with pytest.raises(DataError, match=r"file:///etc/passwd is no address of an API"):
        shop.ingest(origin={"kind": "http", "url": "file:///etc/passwd"})


def test_files_by_day(shop: Shop, expected: dict[str, bytes]) -> None:
    for day, part in frame().groupby(frame()["ordered_at"].dt.date.astype(str)):
        part.sample(frac=1, random_state=1).to_csv(shop.root / f"drop-{day}.csv", index=False)
    source = {"origin": {"kind": "files", "glob": "drop-{day}.csv"}, "format": "csv"}
    shop.ingest(DAY("2026-01-02"), DAY("2026-01-03"), **source)
    assert shop.parts() == {"2026-01-02": expected["2026-01-02"]}
    shop.ingest(DAY("2026-01-01"), **source)
    assert shop.parts() == expected
    Path("drop-2026-01-03.csv").write_text("a,b\n1,2,3,4\n")
    with pytest.raises(DataError, match="row 1 has 4 cells and there are 2 columns"):
        shop.ingest(**source)
    for name in glob.glob("drop-*"):
        Path(name).unlink()
    with pytest.raises(DataError, match=r"nothing is at drop-\{day\}\.csv"):
        shop.ingest(**source)
    assert shop.parts() == expected


def test_objects_of_a_bucket(
    shop: Shop, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.bucket() as address:
        client = buckets.client(address)
        for day, part in frame().groupby(frame()["ordered_at"].dt.date.astype(str)):
            name = f"orders/day={day}/a.parquet"
            client.put_object(Bucket=buckets.NAME, Key=name, Body=part.to_parquet(index=False))
        options = {
            "key": buckets.KEY,
            "secret": buckets.SECRET,
            "endpoint_url": address,
            "skip_instance_cache": True,
        }
        monkeypatch.setenv("BUCKET", json.dumps(options))
        origin = {
            "kind": "bucket",
            "glob": f"s3://{buckets.NAME}/orders/day={{day}}/*.parquet",
            "options_env": "BUCKET",
        }
        shop.ingest(DAY("2026-01-03"), origin=origin)
        assert shop.parts() == {"2026-01-03": expected["2026-01-03"]}
        shop.ingest(DAY("2026-01-01"), origin=origin)
        assert shop.parts() == expected
        told = (shop.folder / "date=2026-01-03/.lineage.json").read_text()
        assert f"s3://{buckets.NAME}/orders" in told
        assert buckets.SECRET not in told
        wrong = {**origin, "glob": "s3://nowhere/*"}
        with pytest.raises(DataError) as error:
            shop.ingest(origin=wrong)
        assert buckets.SECRET not in str(error.value)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_delta_table_at_a_version(shop: Shop, expected: dict[str, bytes]) -> None:
    import deltalake

    table = pa.Table.from_pandas(frame(), preserve_index=False)
    deltalake.write_deltalake("lake", table)
    deltalake.write_deltalake("lake", table.slice(0, 2), mode="append")
    origin = {"kind": "delta", "url": "lake", "version": 0}
    shop.ingest(DAY("2026-01-02"), DAY("2026-01-03"), origin=origin)
    assert shop.parts() == {"2026-01-02": expected["2026-01-02"]}
    shop.ingest(DAY("2026-01-01"), origin=origin)
    assert shop.parts() == expected
    told = json.loads((shop.folder / "date=2026-01-02/.lineage.json").read_text())
    assert told["origin"] == {"kind": "delta", "url": "lake", "version": 0}
    newest = {"by": "ordered_at"}
    shop.ingest(DAY("2026-01-01"), origin={"kind": "delta", "url": "lake"}, partition=newest)
    assert len(shop.rows()) == 14


def test_an_iceberg_table_at_a_snapshot(
    shop: Shop, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.catalog import load_catalog

    told = {"type": "sql", "uri": "sqlite:///catalog.db", "warehouse": f"file://{shop.root}/ice"}
    catalog = load_catalog("shop", **told)
    catalog.create_namespace("sales")
    rows = pa.Table.from_pandas(frame(), preserve_index=False)
    rows = rows.cast(
        pa.schema(
            [
                f.with_type(pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f
                for f in rows.schema
            ]
        )
    )
    table = catalog.create_table("sales.orders", rows.schema)
    table.append(rows)
    first = table.current_snapshot().snapshot_id
    table.append(rows.slice(0, 2))
    catalog.close()
    monkeypatch.setenv("CATALOG", json.dumps(told))
    origin = {
        "kind": "iceberg",
        "catalog": "shop",
        "table": "sales.orders",
        "snapshot": first,
        "properties_env": "CATALOG",
    }
    shop.ingest(DAY("2026-01-02"), DAY("2026-01-03"), origin=origin)
    assert shop.parts() == {"2026-01-02": expected["2026-01-02"]}
    shop.ingest(DAY("2026-01-01"), origin=origin)
    assert shop.parts() == expected


FUNCTIONS = """
import sqlite3
from contextlib import closing

import pandas as pd

ASKED = []

def some(since=None, until=None):
    ASKED.append((since, until))
    with closing(sqlite3.connect("shop.db")) as base:
        told = "SELECT * FROM orders WHERE ordered_at >= ?"
        yield pd.read_sql(told, base, params=(str(since or ""),))

def everything():
    ASKED.append(())
    yield from some()
"""


def test_a_function_of_the_owner_may_take_the_window(
    shop: Shop, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.root / "src/project").mkdir(parents=True)
    (shop.root / "src/project/__init__.py").touch()
    (shop.root / "src/project/sources.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(shop.root / "src"))
    with monkeypatch.context() as patch:
        for name in ("project", "project.sources"):
            patch.delitem(sys.modules, name, raising=False)
        shop.sell(ROWS)
        first, end = DAY("2026-01-02"), DAY("2026-01-03")
        shop.ingest(first, end, origin=None, ingest="everything")
        assert shop.parts() == {"2026-01-02": expected["2026-01-02"]}  # the rest was not asked for
        shop.ingest(DAY("2026-01-01"), origin=None, ingest="some")
        assert shop.parts() == expected
        from project.sources import ASKED

        assert ASKED[-1] == (DAY("2026-01-01"), None)
        shop.ingest(origin=None, ingest="some")
        assert ASKED[-1] == (DAY("2026-01-03"), None)  # the newest again
        for name in ("project", "project.sources"):
            sys.modules.pop(name, None)


def test_without_partition_an_origin_fills_one_file(shop: Shop) -> None:
    done = shop.ingest(partition=None)
    assert [path.name for path in shop.folder.iterdir()] == ["ingested.parquet"]
    table = pd.read_parquet(shop.folder / "ingested.parquet")
    assert (done.rows, len(table), list(table)) == (12, 12, list(COLUMNS))
    first = (shop.folder / "ingested.parquet").read_bytes()
    shop.ingest(partition=None)
    assert (shop.folder / "ingested.parquet").read_bytes() == first
    shop.sell([])
    with pytest.raises(DataError, match="has no rows at its origin"):
        shop.ingest(partition=None)
    assert (shop.folder / "ingested.parquet").read_bytes() == first


def test_many_rows_stream(shop: Shop) -> None:
    rows = [order(n, f"2026-01-{1 + n % 28:02d}") for n in range(60_000)]
    shop.sell(rows)
    done = shop.ingest()
    assert (done.rows, len(done.written)) == (60_000, 28)


@pytest.mark.parametrize(
    ("module", "distribution", "origin"),
    [
        ("sqlalchemy", "sqlalchemy", {"kind": "sql", "url": "sqlite://", "query": "SELECT 1"}),
        ("fsspec", "fsspec", {"kind": "bucket", "glob": "s3://a/*"}),
        ("gcsfs", "gcsfs", {"kind": "bucket", "glob": "gs://a/*"}),
        ("deltalake", "deltalake", {"kind": "delta", "url": "lake"}),
        ("pyiceberg.catalog", "pyiceberg", {"kind": "iceberg", "table": "a.b"}),
        ("psycopg", "psycopg", {"kind": "sql", "url": "postgresql://h/d", "query": "SELECT 1"}),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_to_do(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    distribution: str,
    origin: dict[str, Any],
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError) as error:
        shop.ingest(origin=origin)
    remedy = "to `train` in pyproject.toml's dependency groups, then `make lock setup`"
    assert str(error.value).endswith(f"needs {distribution}: add it {remedy}")
    assert packages.missing("x", "y").startswith("x needs y")


def test_one_origin_is_declared_without_its_password() -> None:
    import msgspec

    for wrong, said in (
        ({"kind": "sql", "url": "postgresql://u:p@h/d", "query": "q"}, "holds a password"),
        ({"kind": "sql", "query": "q"}, "give `url`, or `url_env`"),
        ({"kind": "http", "url": "http://h", "headers": {"Authorization": "x"}}, "`headers_env`"),
        ({"kind": "bucket", "glob": "folder/*"}, "kind files"),
        ({"kind": "ftp"}, "Invalid value 'ftp'"),
    ):
        with pytest.raises(msgspec.ValidationError, match=said):
            msgspec.convert({"origin": wrong}, Source)
    with pytest.raises(msgspec.ValidationError, match="give one"):
        msgspec.convert({"ingest": "f", "origin": {"kind": "files", "glob": "*"}}, Source)
    with pytest.raises(msgspec.ValidationError, match="give an `origin`, or `ingest`"):
        msgspec.convert({"partition": KEYED}, Source)


def test_the_database_is_let_go_where_a_row_is_refused(shop: Shop) -> None:
    shop.sell([order(1, None)])
    with pytest.raises(DataError):
        shop.ingest()
    with closing(sqlite3.connect("shop.db", timeout=0)) as base, base:
        base.execute("DROP TABLE orders")
