"""W3C trace context: which trace a request belongs to, and whether it is recorded."""

from __future__ import annotations

import random
import re

import msgspec

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 0x01


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """This service's own span in a trace; ``parent_span_id`` is 0 where the trace starts here."""

    trace_id: int
    span_id: int
    parent_span_id: int
    sampled: bool

    @property
    def traceparent(self) -> str:
        """The header that makes the next hop a child of this span."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}"

    @property
    def trace_id_hex(self) -> str:
        """The trace id as logs and headers show it."""
        return f"{self.trace_id:032x}"


class TraceStarter:
    """Continues traces that come from outside and starts others, sampling a share of those."""

    def __init__(self, sample_ratio: float, chance: random.Random) -> None:
        self._sample_ratio = sample_ratio
        self._chance = chance

    def start(self, traceparent: str, *, believed: bool = True) -> TraceContext:
        """Return a new span's context: a child of ``traceparent`` where that is valid.

        The decision of a ``believed`` parent to sample is kept (W3C Trace Context, section 3.2.2.5). Others can only
        decide against it: who says it of every request would have all of them recorded. Then it is by chance, and not
        by the trace's identity, which is the caller's choice, too.
        """
        span_id = self._chance.getrandbits(64) or 1
        match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        if match is None:
            return TraceContext(self._chance.getrandbits(128) or 1, span_id, 0, self._draw())
        sampled = bool(int(match[3], 16) & _SAMPLED)
        if sampled and not believed:
            sampled = self._draw()
        return TraceContext(int(match[1], 16), span_id, int(match[2], 16), sampled)

    def _draw(self) -> bool:
        return self._sample_ratio >= 1 or self._chance.random() < self._sample_ratio
