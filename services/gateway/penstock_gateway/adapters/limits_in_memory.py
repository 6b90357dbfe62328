"""Limits of one process: for a suite that is one, without Redis, and while Redis is away."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta

import msgspec

from penstock_gateway.domain.access.identity import Tenant
from penstock_gateway.domain.life.admission import CONCURRENT_REQUESTS, REQUESTS_PER_MINUTE, RateState, Verdict

WINDOW_SECONDS = 60
_WINDOW = timedelta(seconds=WINDOW_SECONDS)
_WINDOW_NS = WINDOW_SECONDS * 1_000_000_000
# When a place among the concurrent requests comes free is unknown; callers come again after this long.
CONCURRENCY_RETRY_SECONDS = 1.0

_UNLIMITED = Verdict(RateState())


class _Counts(msgspec.Struct):
    """A tenant's arrivals within the window, and when the leases of those that run end."""

    recent: deque[int]
    running: dict[str, int]
    used_ns: int = 0


class InMemoryLimiter:
    """A sliding log per tenant: never more than the limit in any minute, exactly.

    Memory holds at most a tenant's limits in entries, and forgets a tenant
    that asked nothing for a minute. ``clock`` gives nanoseconds: whole ones,
    since sums of fractions would refuse a caller who comes back exactly when
    told to.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        # Who asked last stands last.
        self._counts: OrderedDict[str, _Counts] = OrderedDict()

    async def answers(self) -> bool:
        """Return whether it can be asked just now."""
        return True

    async def reserve(self, tenant: Tenant, request_id: str, lease: timedelta) -> Verdict:
        """Count the request against every limit at once, or against none."""
        limit, concurrent = tenant.tier.requests_per_minute, tenant.tier.concurrent_requests
        if limit is None and concurrent is None:
            return _UNLIMITED
        now = self._clock()
        counts = self._counts_of(tenant.name, now)
        recent = counts.recent
        while recent and recent[0] <= now - _WINDOW_NS:
            recent.popleft()
        if limit is not None and len(recent) >= limit:
            free_in = _duration(recent[-limit] + _WINDOW_NS - now) if limit else _WINDOW
            return Verdict(_state(counts, limit, now), REQUESTS_PER_MINUTE, free_in)
        if concurrent is not None and not _has_place(counts.running, concurrent, now):
            retry_after = timedelta(seconds=CONCURRENCY_RETRY_SECONDS)
            return Verdict(_state(counts, limit, now), CONCURRENT_REQUESTS, retry_after)
        if concurrent is not None:
            counts.running[request_id] = now + _nanoseconds(lease)
        if limit is None:
            return _UNLIMITED
        recent.append(now)
        return Verdict(RateState(limit, limit - len(recent), _WINDOW), counted_at=now)

    def release(self, tenant: Tenant, request_id: str) -> None:
        """Give the request's place among the concurrent ones back."""
        counts = self._counts.get(tenant.name)
        if counts is not None:
            counts.running.pop(request_id, None)

    def take_back(self, tenant: Tenant, verdict: Verdict) -> None:
        """Count a request no more of which nothing was done after all."""
        counts = self._counts.get(tenant.name)
        if counts is not None and verdict.counted_at in counts.recent:
            counts.recent.remove(verdict.counted_at)

    def _counts_of(self, name: str, now: int) -> _Counts:
        """Return the tenant's counts, and look at the one who has not asked for longest: each call forgets one more."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = _Counts(deque(), {})
        counts.used_ns = now
        self._counts.move_to_end(name)
        oldest, its_counts = next(iter(self._counts.items()))
        if its_counts.used_ns <= now - _WINDOW_NS:
            if any(end > now for end in its_counts.running.values()):
                self._counts.move_to_end(oldest)
            else:
                del self._counts[oldest]
        return counts


def _has_place(running: dict[str, int], most: int, now: int) -> bool:
    """Return whether one more may run; leases that have ended are looked for only where it matters."""
    if len(running) >= most:
        for request_id in [request_id for request_id, end in running.items() if end <= now]:
            del running[request_id]
    return len(running) < most


def _state(counts: _Counts, limit: int | None, now: int) -> RateState:
    if limit is None:
        return RateState()
    reset = counts.recent[-1] + _WINDOW_NS - now if counts.recent else 0
    return RateState(limit, max(0, limit - len(counts.recent)), _duration(reset))


def _duration(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=-(-nanoseconds // 1_000))


def _nanoseconds(duration: timedelta) -> int:
    return ((duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds) * 1_000
