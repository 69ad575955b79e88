"""W3C trace context; OpenTelemetry spans where a collector is configured."""

import os
import random
import re
import time
from collections.abc import Mapping
from typing import Any

from ...errors import ProjectError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SERVICE = "mlops"

_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


class TracesError(ProjectError):
    """Traces are asked for that cannot be sent."""


class Trace:
    """One request's place in a trace: our span, and the caller's where it named one."""

    __slots__ = ("flags", "parent_id", "span", "span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str, flags: int, parent_id: str = "") -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.parent_id = parent_id
        self.span: Any = None

    @property
    def header(self) -> bytes:
        """The traceparent that the answer carries."""
        return b"00-%b-%b-%02x" % (self.trace_id.encode(), self.span_id.encode(), self.flags)


def parse(header: bytes | None) -> Trace | None:
    """Return the caller's span from a traceparent header, or None where it is invalid.

    A later version than 00 may go on after the flags; version 00 may not.
    """
    match = _FORM.fullmatch(header) if header else None
    if match is None or (match[1] == b"00" and match[5]):
        return None
    trace_id, span_id = match[2].decode(), match[3].decode()
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, int(match[4], 16) & 1)


class Traces:
    """Begins and ends the trace of each request; without a tracer, in a microsecond."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("mlops.serving") if provider else None

    @property
    def active(self) -> bool:
        """Whether spans are sent, so that every request needs one."""
        return self._tracer is not None

    def begin(self, header: bytes | None, name: str = "POST /predict") -> Trace:
        """Return the trace of a request that goes on where its traceparent says, or starts one."""
        caller = parse(header)
        if self._tracer is not None:
            return self._spanned(caller, name)
        if caller is None:
            return Trace(_identifier(128), _identifier(64), 0)
        return Trace(caller.trace_id, _identifier(64), caller.flags, caller.span_id)

    def end(self, trace: Trace, status: int, attributes: Mapping[str, Any] | None = None) -> None:
        """End the request's span, where there is one. No attribute may hold a row's value."""
        if trace.span is None:
            return
        from opentelemetry.trace import StatusCode

        trace.span.set_attributes({"http.response.status_code": status, **(attributes or {})})
        if status >= 500:
            trace.span.set_status(StatusCode.ERROR)
        trace.span.end()

    def close(self) -> None:
        """Send what is not sent yet; waits for the collector, so call it in a thread."""
        if self._provider is not None:
            self._provider.shutdown()

    def _spanned(self, caller: Trace | None, name: str) -> Trace:
        from opentelemetry import trace as api

        context = None
        if caller is not None:
            remote = api.SpanContext(
                int(caller.trace_id, 16),
                int(caller.span_id, 16),
                True,
                api.TraceFlags(caller.flags),
            )
            context = api.set_span_in_context(api.NonRecordingSpan(remote))
        assert self._tracer is not None
        method, _, route = name.partition(" ")
        span = self._tracer.start_span(
            name,
            context=context,
            kind=api.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
            start_time=time.time_ns(),
        )
        own = span.get_span_context()
        begun = Trace(f"{own.trace_id:032x}", f"{own.span_id:016x}", int(own.trace_flags))
        begun.parent_id = caller.span_id if caller else ""
        begun.span = span
        return begun


def traces(service: str = SERVICE) -> Traces:
    """Return what traces requests; OpenTelemetry is imported only where its variables ask for it.

    Raises TracesError where they ask for what is not installed or not known here.
    """
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    asked = exporter or ("otlp" if any(os.environ.get(name) for name in ENDPOINTS) else "none")
    if asked == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Traces()
    if asked not in ("otlp", "console"):
        raise TracesError(f"OTEL_TRACES_EXPORTER={asked} is not known here: set otlp or console")
    return Traces(_provider(asked, service))


def _provider(exporter: str, service: str) -> Any:
    protocol = next(filter(None, map(os.environ.get, PROTOCOLS)), "http/protobuf")
    if exporter == "otlp" and protocol != "http/protobuf":
        raise TracesError(f"{PROTOCOLS[1]}={protocol} is not known here: set http/protobuf")
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        if exporter == "otlp":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TracesError(
            "traces need the packages of requirements/otel.txt: install them, or unset "
            f"OTEL_TRACES_EXPORTER and {' and '.join(ENDPOINTS)}"
        ) from error
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    sends = OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(sends))
    return provider


def _identifier(bits: int) -> str:
    """Return random hexadecimal digits that are not all zero."""
    while not (number := _random.getrandbits(bits)):
        continue
    return f"{number:0{bits // 4}x}"
