"""Trace context as W3C has it, and spans that a real collector can read."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mlops.serving.telemetry.traces import Traces, TracesError, parse, traces

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01".encode()


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (VALID, 1),
        (f"00-{TRACE}-{PARENT}-00".encode(), 0),
        (f"00-{TRACE}-{PARENT}-ff".encode(), 1),
        (f"cc-{TRACE}-{PARENT}-01".encode(), 1),
        (f"cc-{TRACE}-{PARENT}-01-what the future holds".encode(), 1),
    ],
)
def test_valid_headers(header: bytes, flags: int) -> None:
    found = parse(header)
    assert found is not None
    assert (found.trace_id, found.span_id, found.flags) == (TRACE, PARENT, flags)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        f"ff-{TRACE}-{PARENT}-01".encode(),
        f"00-{TRACE}-{PARENT}-01-more".encode(),
        f"cc-{TRACE}-{PARENT}-01.more".encode(),
        f"00-{TRACE.upper()}-{PARENT}-01".encode(),
        f"00-{'0' * 32}-{PARENT}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[:-1]}-{PARENT}-01".encode(),
        f"00-{TRACE}-{PARENT}-1".encode(),
        f"00-{TRACE}-{PARENT}-0x".encode(),
        f"0-{TRACE}-{PARENT}-01".encode(),
        f" {VALID.decode()}".encode(),
        VALID + b"\n",
        VALID + b"," + VALID,
        "00-\u0660af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".encode(),
    ],
)
def test_invalid_headers_are_ignored(header: bytes | None) -> None:
    assert parse(header) is None
    assert Traces().begin(header).trace_id != TRACE


@given(st.binary(max_size=80))
def test_no_bytes_upset_it(header: bytes) -> None:
    trace = Traces().begin(header)
    assert parse(trace.header) is not None


def test_the_answer_goes_on_with_the_trace_in_a_span_of_its_own() -> None:
    trace = Traces().begin(VALID)
    answered = parse(trace.header)
    assert answered is not None
    assert (answered.trace_id, answered.flags, trace.parent_id) == (TRACE, 1, PARENT)
    assert answered.span_id != PARENT


def test_traces_that_begin_here_differ_and_are_not_sampled() -> None:
    found = [Traces().begin(None) for _ in range(100)]
    assert len({trace.trace_id for trace in found}) == 100
    assert len({trace.span_id for trace in found}) == 100
    assert {trace.flags for trace in found} == {0}


def test_nothing_is_imported_or_sent_unless_asked_for() -> None:
    code = (
        "import sys; from mlops.serving.telemetry.traces import traces; found = traces();"
        "found.end(found.begin(None), 200); found.close(); assert not found.active;"
        "assert not [n for n in sys.modules if n.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], env=_environment(), check=True)
    off = _environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:1", OTEL_SDK_DISABLED="true")
    subprocess.run([sys.executable, "-c", code], env=off, check=True)
    none = _environment(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:1", OTEL_TRACES_EXPORTER="none"
    )
    subprocess.run([sys.executable, "-c", code], env=none, check=True)


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", {}),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}),
    ],
)
def test_what_cannot_be_sent_is_refused_at_start(
    name: str, value: str, others: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, text in {name: value, **others}.items():
        monkeypatch.setenv(key, text)
    with pytest.raises(TracesError, match=f"{name}={value}"):
        traces()


SPANS = """
import sys
from mlops.serving.telemetry.traces import traces

found = traces("churn")
caller = found.begin(sys.argv[1].encode())
found.end(caller, 200, {"mlops.model": "abc"})
failed = found.begin(None, "GET /model")
found.end(failed, 503)
print(caller.header.decode(), failed.header.decode())
found.close()
"""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """The address of a server that takes OTLP, and what it took: path, media type, body."""
    taken: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, self.headers["content-type"], body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


def test_a_collector_gets_the_spans(
    collector: tuple[str, list[tuple[str, str, bytes]]],
) -> None:
    address, taken = collector
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SPANS, VALID.decode()],
        env=_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address),
        check=True,
        capture_output=True,
        text=True,
    )
    headers = done.stdout.split()
    assert {(path, kind) for path, kind, _ in taken} == {("/v1/traces", "application/x-protobuf")}
    spans: dict[str, Any] = {}
    for _, _, body in taken:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert named["service.name"] == "churn"
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"POST /predict", "GET /model"}
    for header, span in zip(headers, (spans["POST /predict"], spans["GET /model"]), strict=True):
        sent = parse(header.encode())
        assert sent is not None
        assert (span.trace_id.hex(), span.span_id.hex()) == (sent.trace_id, sent.span_id)
        assert span.kind == span.SPAN_KIND_SERVER
        assert span.end_time_unix_nano >= span.start_time_unix_nano
    caller, failed = spans["POST /predict"], spans["GET /model"]
    assert (caller.trace_id.hex(), caller.parent_span_id.hex()) == (TRACE, PARENT)
    attributes = {a.key: a.value for a in caller.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["http.route"].string_value == "/predict"
    assert attributes["mlops.model"].string_value == "abc"
    assert failed.parent_span_id == b""
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert json.dumps(sorted(attributes)) == json.dumps(
        ["http.request.method", "http.response.status_code", "http.route", "mlops.model"]
    )


def test_a_caller_that_is_not_sampled_is_not_exported(
    collector: tuple[str, list[tuple[str, str, bytes]]],
) -> None:
    address, taken = collector
    unsampled = VALID[:-1].decode() + "0"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SPANS, unsampled],
        env=_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address),
        check=True,
    )
    names = [
        span.name
        for _, _, body in taken
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert names == ["GET /model"]


def _environment(**more: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    return {**plain, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", **more}
