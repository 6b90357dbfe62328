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


class Elsewhere(msgspec.Struct, frozen=True, gc=False):
    """What other processes hold of a tenant's limits, as last heard; believed for a minute."""

    used: int = 0
    running: int = 0
    until_ns: int = 0


class Unshared(msgspec.Struct, frozen=True):
    """What a process knows better than the count that all share, which it was without.

    ``ages_ms``: of arrivals within the window that it let in alone, the oldest first. ``running``: all its requests, as
    whoever shares may have forgotten them, and what is left of their leases, in milliseconds.
    """

    ages_ms: list[int]
    running: list[tuple[str, int]]


_NOBODY = Elsewhere()


class _Counts(msgspec.Struct):
    """A tenant's arrivals within the window, and when the leases of those that run end; and what is not shared of it."""

    recent: deque[int]
    running: dict[str, int]
    used_ns: int = 0
    elsewhere: Elsewhere = _NOBODY
    unshared: deque[int] = msgspec.field(default_factory=deque[int])
    is_alone: bool = False


class InMemoryLimiter:
    """A sliding log per tenant: never more than the limit in any minute, exactly.

    Where a count is shared, ``hear`` follows it, so that counting alone goes on
    from what was last known instead of granting everything anew, and
    ``take_unshared`` says what that count must be told afterwards.

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
        recent, elsewhere = counts.recent, counts.elsewhere
        if limit is not None and len(recent) + elsewhere.used >= limit:
            return Verdict(
                _state(counts, limit, now), REQUESTS_PER_MINUTE, _duration(_free_at(counts, limit, now) - now)
            )
        if concurrent is not None and not _has_place(counts.running, _share(concurrent, elsewhere), now):
            retry_after = timedelta(seconds=CONCURRENCY_RETRY_SECONDS)
            return Verdict(_state(counts, limit, now), CONCURRENT_REQUESTS, retry_after)
        if concurrent is not None:
            counts.running[request_id] = now + _nanoseconds(lease)
        if limit is None:
            return _UNLIMITED
        recent.append(now)
        return Verdict(RateState(limit, limit - len(recent) - elsewhere.used, _WINDOW), counted_at=now)

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

    def forget_newest(self, tenant: Tenant) -> None:
        """Follow the shared count in counting one request no more."""
        counts = self._counts.get(tenant.name)
        if counts is not None and counts.recent:
            counts.recent.pop()

    def hear(self, tenant: Tenant, used: int, running: int, admitted: tuple[str, timedelta] | None) -> None:
        """Learn what all processes together have of the tenant's limits, with the request that was just let in here."""
        now = self._clock()
        counts = self._counts_of(tenant.name, now)
        if admitted is not None:
            request_id, lease = admitted
            if tenant.tier.requests_per_minute is not None:
                counts.recent.append(now)
            if tenant.tier.concurrent_requests is not None:
                counts.running[request_id] = now + _nanoseconds(lease)
        used, running = max(0, used - len(counts.recent)), max(0, running - len(counts.running))
        counts.elsewhere = Elsewhere(used, running, now + _WINDOW_NS) if used or running else _NOBODY

    def note_alone(self, tenant: Tenant, *, is_counted: bool) -> None:
        """Remember that the request just let in was so without the shared count, which may have counted it nevertheless."""
        counts = self._counts[tenant.name]
        counts.is_alone = True
        if tenant.tier.requests_per_minute is not None and not is_counted:
            counts.unshared.append(counts.recent[-1])
            while counts.unshared[0] < counts.recent[0]:
                counts.unshared.popleft()

    def take_unshared(self, tenant: Tenant) -> Unshared | None:
        """Return what the shared count must be told of the tenant, once; None where that is nothing."""
        counts = self._counts.get(tenant.name)
        if counts is None or not counts.is_alone:
            return None
        now = self._clock()
        ages = [(now - at) // 1_000_000 for at in counts.unshared if at > now - _WINDOW_NS]
        counts.unshared.clear()
        counts.is_alone = False
        running = [(name, (end - now) // 1_000_000) for name, end in counts.running.items() if end > now]
        return Unshared(ages, running)

    def give_back(self, tenant: Tenant, unshared: Unshared) -> None:
        """Remember again what could not be told."""
        now = self._clock()
        counts = self._counts_of(tenant.name, now)
        counts.is_alone = True
        counts.unshared.extendleft(now - age_ms * 1_000_000 for age_ms in reversed(unshared.ages_ms))

    def _counts_of(self, name: str, now: int) -> _Counts:
        """Return the tenant's counts of today, and look at whoever has not asked for longest: each call forgets one more."""
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
        recent = counts.recent
        while recent and recent[0] <= now - _WINDOW_NS:
            recent.popleft()
        if counts.elsewhere.until_ns <= now:
            counts.elsewhere = _NOBODY
        return counts


def _free_at(counts: _Counts, limit: int, now: int) -> int:
    """Return when a tenant that has reached its limit is let in again."""
    recent, elsewhere = counts.recent, counts.elsewhere
    if not limit:
        return now + _WINDOW_NS
    all_but_ours = elsewhere.until_ns if len(recent) < limit else max(elsewhere.until_ns, recent[-limit] + _WINDOW_NS)
    ours = limit - elsewhere.used
    return min(all_but_ours, recent[-ours] + _WINDOW_NS) if ours > 0 else all_but_ours


def _share(concurrent: int, elsewhere: Elsewhere) -> int:
    """Return how many may run here; one always, as those elsewhere may have ended since."""
    return max(min(1, concurrent), concurrent - elsewhere.running)


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
    if counts.elsewhere.used:
        reset = max(reset, counts.elsewhere.until_ns - now)
    return RateState(limit, max(0, limit - len(counts.recent) - counts.elsewhere.used), _duration(reset))


def _duration(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=-(-nanoseconds // 1_000))


def _nanoseconds(duration: timedelta) -> int:
    return ((duration.days * 86_400 + duration.seconds) * 1_000_000 + duration.microseconds) * 1_000
