"""Spans for a collector, by OpenTelemetry's SDK; loaded where there is one."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from penstock_common.telemetry import semconv
from penstock_common.telemetry.steps import ATTEMPT, Step
from penstock_common.telemetry.trace_context import TraceContext

_FLUSH_SECONDS = 3.0
_SCOPE = InstrumentationScope("penstock")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class SpanEmitter:
    """Implements ``Spans``: hands finished spans to a processor."""

    def __init__(self, processor: SpanProcessor, service_name: str, version: str) -> None:
        self._processor = processor
        self._resource = Resource({semconv.SERVICE_NAME: service_name, semconv.SERVICE_VERSION: version})
        self._ids = random.Random()  # noqa: S311 - span ids identify, they do not protect
        self.is_on = True

    def emit(
        self, trace: TraceContext, root: Step, attributes: Mapping[str, str | int | float | bool | Sequence[str]]
    ) -> None:
        """Emit the span of ``root`` with the ids of ``trace``, and the steps below it as its children."""
        context = SpanContext(trace.trace_id, trace.span_id, is_remote=False, trace_flags=_SAMPLED)
        parent = None
        if trace.parent_span_id:
            parent = SpanContext(trace.trace_id, trace.parent_span_id, is_remote=True, trace_flags=_SAMPLED)
        self._end(root, context, parent, attributes, SpanKind.SERVER)
        self._emit_children(root, context)

    def _emit_children(self, step: Step, parent: SpanContext) -> None:
        for child in step.children:
            context = SpanContext(parent.trace_id, self._ids.getrandbits(64) or 1, False, _SAMPLED)
            kind = SpanKind.CLIENT if child.name == ATTEMPT else SpanKind.INTERNAL
            self._end(child, context, parent, child.attributes, kind)
            self._emit_children(child, context)

    def _end(
        self,
        step: Step,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Mapping[str, str | int | float | bool | Sequence[str]],
        kind: SpanKind,
    ) -> None:
        status = Status(StatusCode.ERROR, step.error) if step.error else Status(StatusCode.UNSET)
        if step.error:
            attributes = {**attributes, semconv.ERROR_TYPE: step.error}
        self._processor.on_end(
            ReadableSpan(
                name=step.name,
                context=context,
                parent=parent,
                resource=self._resource,
                attributes=attributes,
                kind=kind,
                status=status,
                start_time=step.start_ns,
                end_time=step.end_ns or step.start_ns,
                instrumentation_scope=_SCOPE,
            )
        )


@contextmanager
def exporting(otlp: str, service_name: str, version: str) -> Generator[SpanEmitter, None, None]:
    """Yield an emitter that exports to ``otlp``, flushed on exit within 3 s."""
    exporter = OTLPSpanExporter(endpoint=otlp, insecure=otlp.startswith("http://"))
    processor = BatchSpanProcessor(exporter)
    try:
        yield SpanEmitter(processor, service_name, version)
    finally:
        # A flush knows no bound: where nobody takes the spans it spends 10 s on each batch of 512.
        giving_up = threading.Timer(_FLUSH_SECONDS, exporter.shutdown)
        giving_up.start()
        processor.force_flush()
        giving_up.cancel()
        processor.shutdown()
