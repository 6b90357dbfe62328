"""Limits of one process: for a suite without Redis, and while Redis is away."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from penstock_gateway.domain.access.identity import Tenant
from penstock_gateway.domain.life.admission import CONCURRENT_REQUESTS, REQUESTS_PER_MINUTE, RateState, Verdict

WINDOW_SECONDS = 60
_WINDOW_NS = WINDOW_SECONDS * 1_000_000_000
# When a place among the concurrent requests comes free is unknown; callers come again after this long.
CONCURRENCY_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Counts:
    recent: deque[int] = field(default_factory=deque[int])
    running: dict[str, int] = field(default_factory=dict[str, int])


class InMemoryLimiter:
    """A sliding log per tenant: never more than the limit in any minute, exactly.

    ``clock`` gives nanoseconds: whole ones, since sums of fractions would refuse
    a caller who comes back exactly when told to.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._counts: dict[str, _Counts] = {}

    async def answers(self) -> bool:
        """Return whether it can be asked just now."""
        return True

    async def reserve(self, tenant: Tenant, request_id: str, lease: timedelta) -> Verdict:
        """Count the request against every limit at once, or against none."""
        now = self._clock()
        counts = self._counts.setdefault(tenant.name, _Counts())
        while counts.recent and counts.recent[0] <= now - _WINDOW_NS:
            counts.recent.popleft()
        limit, concurrent = tenant.tier.requests_per_minute, tenant.tier.concurrent_requests
        if limit is not None and len(counts.recent) >= limit:
            free_in = _duration(counts.recent[-limit] + _WINDOW_NS - now if limit else _WINDOW_NS)
            return Verdict(_state(counts, limit, now), REQUESTS_PER_MINUTE, free_in)
        if concurrent is not None and not _has_place(counts.running, concurrent, now):
            retry_after = timedelta(seconds=CONCURRENCY_RETRY_SECONDS)
            return Verdict(_state(counts, limit, now), CONCURRENT_REQUESTS, retry_after)
        if limit is not None:
            counts.recent.append(now)
        if concurrent is not None:
            counts.running[request_id] = now + lease // timedelta(microseconds=1) * 1_000
        return Verdict(_state(counts, limit, now))

    def release(self, tenant: Tenant, request_id: str) -> None:
        """Give the request's place among the concurrent ones back."""
        counts = self._counts.get(tenant.name)
        if counts is not None:
            counts.running.pop(request_id, None)


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
