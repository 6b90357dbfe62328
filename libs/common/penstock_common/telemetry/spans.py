"""Spans made from recorded steps, with the times of the steps, when somebody will look at them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from penstock_common.telemetry.steps import Step
from penstock_common.telemetry.trace_context import TraceContext

Attributes = Mapping[str, str | int | float | bool | Sequence[str]]


class Spans(Protocol):
    """Takes requests that have ended."""

    @property
    def is_on(self) -> bool:
        """Whether anybody receives spans."""
        ...

    def emit(self, trace: TraceContext, root: Step, attributes: Attributes) -> None:
        """Emit the span of ``root`` with the ids of ``trace``, and the steps below it as its children."""
        ...


class NoSpans:
    """Implements ``Spans`` where nobody receives them."""

    is_on = False

    def emit(self, trace: TraceContext, root: Step, attributes: Attributes) -> None:
        """Do nothing."""


@contextmanager
def open_spans(otlp: str, service_name: str, version: str) -> Generator[Spans, None, None]:
    """Yield what exports to ``otlp`` (empty: nowhere), flushed on exit within 3 s."""
    if not otlp:
        yield NoSpans()
        return
    # The SDK is for those who have a collector.
    from penstock_common.telemetry.span_exporter import exporting

    with exporting(otlp, service_name, version) as spans:
        yield spans
