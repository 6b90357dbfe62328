"""A collector of traces for tests: the real OTLP/gRPC service on port 0, which keeps what it is sent.

It answers from a thread of its own, because an exporter that flushes at the
end of a test blocks the event loop that the test runs in.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

TIMEOUT_SECONDS = 60.0

AttributeValue = str | bool | int | float | tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class CollectedSpan:
    """One span as it came over the wire; ids in hexadecimal, times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str
    """Empty where the trace begins."""
    name: str
    kind: str
    """``SERVER``, ``INTERNAL``, …"""
    start_ns: int
    end_ns: int
    error: str
    """The status message of a failed span; empty where it did not fail."""
    attributes: Mapping[str, AttributeValue]
    resource: Mapping[str, AttributeValue]


class OtlpCollector(services.TraceServiceServicer):
    """Gathers spans between entering and leaving its context.

    async with OtlpCollector() as collector:
        ...  # something that exports to collector.endpoint
        spans = await collector.trace(trace_id, at_least=3)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[CollectedSpan] = []
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._server = grpc.server(ThreadPoolExecutor(max_workers=1, thread_name_prefix="otlp-collector"))
        services.add_TraceServiceServicer_to_server(self, self._server)
        self._port = 0

    @property
    def endpoint(self) -> str:
        """Where exporters send to: ``http://127.0.0.1:…``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def spans(self) -> Sequence[CollectedSpan]:
        """Every span that has come, in the order of arrival."""
        with self._lock:
            return tuple(self._spans)

    async def trace(
        self, trace_id: str, at_least: int = 1, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> list[CollectedSpan]:
        """Return the spans of one trace, by their start, as soon as there are ``at_least`` so many.

        Raises:
            TimeoutError: if they do not come in time; the message names those that did.
        """
        arrived = asyncio.Event()
        with self._lock:
            self._waiting[arrived] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(found := self._of(trace_id)) < at_least:
                    await arrived.wait()
                    arrived.clear()
        except TimeoutError:
            names = [span.name for span in self._of(trace_id)]
            raise TimeoutError(f"{at_least} spans of trace {trace_id} expected, got {names}") from None
        finally:
            with self._lock:
                del self._waiting[arrived]
        return sorted(found, key=lambda span: span.start_ns)

    def _of(self, trace_id: str) -> list[CollectedSpan]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        """Keep the spans, and wake who waits for them."""
        with self._lock:
            for batch in request.resource_spans:
                resource = _attributes(batch.resource.attributes)
                self._spans += [_collected(span, resource) for scope in batch.scope_spans for span in scope.spans]
            for arrived, loop in self._waiting.items():
                loop.call_soon_threadsafe(arrived.set)
        return pb.ExportTraceServiceResponse()

    async def __aenter__(self) -> Self:
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._server.stop(None).wait)


def _collected(span: trace_pb2.Span, resource: Mapping[str, AttributeValue]) -> CollectedSpan:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return CollectedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        error=(span.status.message or "error") if failed else "",
        attributes=_attributes(span.attributes),
        resource=resource,
    )


def _attributes(pairs: Any) -> dict[str, AttributeValue]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: common_pb2.AnyValue) -> AttributeValue:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    return None if kind is None else getattr(value, kind)
