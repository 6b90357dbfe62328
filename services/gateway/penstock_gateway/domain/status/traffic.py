"""What the requests of the last minute had in common: counted as they end, in memory that does not grow.

Twelve slots of five seconds, each with its counts and two histograms. A
histogram's bucket is 10 % wider than the one before, so that a percentile,
read as the middle of its bucket, is within 5 % of the exact value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.settlement import CANCELLED, LedgerRow

SLOT_SECONDS = 5
SLOTS = 12
WINDOW = timedelta(seconds=SLOT_SECONDS * SLOTS)

_SMALLEST_MS = 0.1
_GROWTH = 1.1
_PER_LOG = 1 / math.log(_GROWTH)
_OFFSET = -math.log(_SMALLEST_MS) * _PER_LOG
# Up to a thousand seconds, longer than any request may take.
_BUCKETS = 170
_MAX_UPSTREAMS = 256


@dataclass(frozen=True, slots=True)
class UpstreamTraffic:
    """Attempts made at an upstream, and how many of them failed."""

    attempts: int
    failed_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSummary:
    """The requests that ended within ``WINDOW``. What nothing is known of is None."""

    requests: int
    failures: int
    """Those that failed through no fault of the caller."""
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    time_to_first_token_p50_ms: float | None
    time_to_first_token_p95_ms: float | None
    cache_hit_ratio: float | None
    cost_per_request_nano_usd: int | None
    upstreams: dict[str, UpstreamTraffic]


@dataclass(slots=True)
class _Slot:
    number: int = -1
    requests: int = 0
    failures: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0
    """Requests of which nobody knows what they cost."""
    cache_hits: int = 0
    cache_misses: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    first_tokens: list[int] = field(default_factory=lambda: [0] * _BUCKETS)
    attempts: dict[str, list[int]] = field(default_factory=dict[str, list[int]])


class TrafficWindow:
    """Counts ended requests of one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._slots = [_Slot() for _ in range(SLOTS)]

    def note(self, row: LedgerRow, steps: Iterable[Step], *, is_fault: bool) -> None:
        """Count one ended request; ``steps`` are those of its life, with the attempts among them."""
        number = int(self._monotonic() / SLOT_SECONDS)
        slot = self._slots[number % SLOTS]
        if slot.number != number:
            slot = self._slots[number % SLOTS] = _Slot(number)
        slot.requests += 1
        slot.failures += is_fault
        if row.unit_prices.is_unknown:
            slot.unpriced += 1
        else:
            slot.cost_nano_usd += row.cost_nano_usd
        slot.cache_hits += row.cache_status == "hit"
        slot.cache_misses += row.cache_status == "miss"
        slot.durations[_bucket(row.duration_ms)] += 1
        if row.time_to_first_token_ms is not None:
            slot.first_tokens[_bucket(row.time_to_first_token_ms)] += 1
        if row.attempts:
            _note_attempts(slot.attempts, steps, is_cancelled=row.outcome == CANCELLED)

    def summary(self) -> TrafficSummary:
        """Return what the window holds."""
        oldest = int(self._monotonic() / SLOT_SECONDS) - SLOTS
        slots = [slot for slot in self._slots if slot.number > oldest]
        requests = sum(slot.requests for slot in slots)
        priced = requests - sum(slot.unpriced for slot in slots)
        hits = sum(slot.cache_hits for slot in slots)
        asked = hits + sum(slot.cache_misses for slot in slots)
        durations = _sum(slot.durations for slot in slots)
        first_tokens = _sum(slot.first_tokens for slot in slots)
        return TrafficSummary(
            requests=requests,
            failures=sum(slot.failures for slot in slots),
            duration_p50_ms=_percentile(durations, 0.50),
            duration_p95_ms=_percentile(durations, 0.95),
            time_to_first_token_p50_ms=_percentile(first_tokens, 0.50),
            time_to_first_token_p95_ms=_percentile(first_tokens, 0.95),
            cache_hit_ratio=hits / asked if asked else None,
            cost_per_request_nano_usd=sum(slot.cost_nano_usd for slot in slots) // priced if priced else None,
            upstreams=_upstreams(slots),
        )


def _note_attempts(counts: dict[str, list[int]], steps: Iterable[Step], *, is_cancelled: bool) -> None:
    for step in steps:
        for attempt in step.children if step.name == "generate" else ():
            told = attempt.attributes
            if told.get("asked") is False:
                # We found that it cannot do what is asked for.
                continue
            upstream = str(told.get("upstream", ""))
            if upstream not in counts and len(counts) >= _MAX_UPSTREAMS:
                continue
            count = counts.setdefault(upstream, [0, 0])
            count[0] += 1
            # Whoever leaves ends the attempt that runs, and some requests are at fault; that is no failure of it.
            count[1] += bool(attempt.error) and not is_cancelled and told.get("fault") != "request"


def _upstreams(slots: list[_Slot]) -> dict[str, UpstreamTraffic]:
    totals: dict[str, list[int]] = {}
    for slot in slots:
        for name, (attempts, failed) in slot.attempts.items():
            total = totals.setdefault(name, [0, 0])
            total[0] += attempts
            total[1] += failed
    return {name: UpstreamTraffic(attempts, failed) for name, (attempts, failed) in totals.items()}


def _bucket(milliseconds: float) -> int:
    if milliseconds <= _SMALLEST_MS:
        return 0
    return min(int(math.log(milliseconds) * _PER_LOG + _OFFSET), _BUCKETS - 1)


def _sum(histograms: Iterable[list[int]]) -> list[int]:
    return [sum(counts) for counts in zip(*histograms, strict=True)]


def _percentile(histogram: list[int], share: float) -> float | None:
    """Return the middle of the bucket in which the nearest rank lies."""
    rank = math.ceil(sum(histogram) * share)
    if not rank:
        return None
    for bucket, count in enumerate(histogram):
        rank -= count
        if rank <= 0:
            return _SMALLEST_MS * _GROWTH ** (bucket + 0.5)
    raise AssertionError("a rank beyond the histogram's sum")
