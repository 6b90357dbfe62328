"""Limits shared by every process of the suite, counted in Redis in one atomic step."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from redis.exceptions import ResponseError

from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_gateway.adapters.limits_in_memory import (
    CONCURRENCY_RETRY_SECONDS,
    WINDOW_SECONDS,
    InMemoryLimiter,
    Unshared,
)
from penstock_gateway.domain.access.identity import Tenant
from penstock_gateway.domain.life.admission import CONCURRENT_REQUESTS, REQUESTS_PER_MINUTE, RateState, Verdict

_log = structlog.get_logger(__name__)

_UNLIMITED = -1
_ADMITTED, _TOO_FAST = 0, 1
_MAX_OWED = 10_000
_NOTHING = (0,)

# A count lives for this long after its last use, though it says nothing for more than a minute: a Redis that is full
# gives up what would end soonest (`volatile-ttl`), and that must be a cached answer.
_LIFE_MS = 35 * 86_400_000

# A log of arrival times per tenant, newest first, never longer than the limit:
# exact over any minute, one step to check, about ten bytes an entry. Concurrent
# requests are members of a sorted set that expire by themselves.
# KEYS: log, running. ARGV: limit, concurrent, request id, window ms, lease ms; then what was let in without Redis:
# the number of arrivals and their ages in ms, the oldest first, and for each that still runs its id and lease ms.
# Returns: verdict, used, ms until a place is free, ms until all are, when it was counted, running.
_RESERVE = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, concurrent = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = tonumber(ARGV[4])
local used, newest, running = 0, now - window, 0
local arrivals = tonumber(ARGV[6])
if limit >= 0 and arrivals > 0 then
  local last = tonumber(redis.call('LINDEX', KEYS[1], 0) or 0)
  for i = 7, 6 + arrivals do
    last = math.max(last, now - tonumber(ARGV[i]))
    redis.call('LPUSH', KEYS[1], last)
  end
  redis.call('LTRIM', KEYS[1], 0, math.max(limit, 1) - 1)
  redis.call('PEXPIRE', KEYS[1], @LIFE@)
end
for i = 7 + arrivals, #ARGV - 1, 2 do
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[i + 1]), ARGV[i])
  redis.call('PEXPIRE', KEYS[2], math.max(@LIFE@, tonumber(ARGV[i + 1])))
end
if concurrent >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  running = redis.call('ZCARD', KEYS[2])
end
if limit >= 0 then
  local oldest = redis.call('LINDEX', KEYS[1], -1)
  while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
  end
  used = redis.call('LLEN', KEYS[1])
  newest = tonumber(redis.call('LINDEX', KEYS[1], 0) or newest)
  if used >= limit then
    local place = now
    if limit > 0 then place = tonumber(redis.call('LINDEX', KEYS[1], limit - 1)) end
    return {1, used, place + window - now, newest + window - now, 0, running}
  end
end
if concurrent >= 0 then
  if running >= concurrent then
    return {2, used, 0, newest + window - now, 0, running}
  end
  running = running + 1
  redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], math.max(@LIFE@, tonumber(ARGV[5])))
end
if limit >= 0 then
  redis.call('LPUSH', KEYS[1], now)
  redis.call('PEXPIRE', KEYS[1], @LIFE@)
  used = used + 1
end
return {0, used, 0, window, now, running}
""".replace("@LIFE@", str(_LIFE_MS))
)


@asynccontextmanager
async def open_limiter(url: str, patience: timedelta) -> AsyncGenerator[InMemoryLimiter | RedisLimiter, None]:
    """Yield a limiter that counts in the Redis at ``url``; in this process alone where that is empty."""
    local = InMemoryLimiter()
    if not url:
        yield local
        return
    async with RedisConnection(url, patience) as redis:
        yield RedisLimiter(redis, local)


class RedisLimiter:
    """Counts in Redis; while Redis is away, each process counts for itself, from what was last known on.

    What it lets in meanwhile is told to Redis with the tenant's next request: being away for a moment grants nobody
    anything twice.
    """

    def __init__(self, redis: RedisConnection, fallback: InMemoryLimiter) -> None:
        self._redis = redis
        self._fallback = fallback
        self._away = False
        # Places to give back that Redis could not be told of: their set and their request.
        self._owed: deque[tuple[str, str]] = deque(maxlen=_MAX_OWED)

    async def answers(self) -> bool:
        """Return whether Redis can be asked just now."""
        try:
            await self._redis.execute("PING")
        except (RedisUnavailable, ResponseError):
            return False
        return True

    async def reserve(self, tenant: Tenant, request_id: str, lease: timedelta) -> Verdict:
        """Count the request against every limit at once, or against none."""
        tier = tenant.tier
        if tier.requests_per_minute is None and tier.concurrent_requests is None:
            return Verdict(RateState())
        limit = _UNLIMITED if tier.requests_per_minute is None else tier.requests_per_minute
        concurrent = _UNLIMITED if tier.concurrent_requests is None else tier.concurrent_requests
        unshared = self._fallback.take_unshared(tenant)
        arguments = (limit, concurrent, request_id, WINDOW_SECONDS * 1000, _milliseconds(lease), *_told(unshared))
        try:
            reply: list[int] = await self._redis.run(_RESERVE, _keys(tenant), *arguments)
        except (RedisUnavailable, ResponseError) as error:
            self._note_outage(error)
            is_done = isinstance(error, RedisUnavailable) and error.may_be_done
            if unshared is not None and not is_done:
                self._fallback.give_back(tenant, unshared)
            verdict = await self._fallback.reserve(tenant, request_id, lease)
            if not verdict.refused_by:
                self._fallback.note_alone(tenant, is_counted=is_done)
            return verdict
        except asyncio.CancelledError:
            # The command is on its way, and nobody will release what it reserves.
            self.release(tenant, request_id)
            raise
        self._away = False
        self._settle_debts()
        self._fallback.hear(tenant, reply[1], reply[5], None if reply[0] else (request_id, lease))
        return _verdict(limit, reply)

    def release(self, tenant: Tenant, request_id: str) -> None:
        """Give the request's place among the concurrent ones back; does not wait for Redis."""
        if tenant.tier.concurrent_requests is not None:
            running = _keys(tenant)[1]
            if self._away or not self._redis.send("ZREM", running, request_id):
                self._owed.append((running, request_id))
        self._fallback.release(tenant, request_id)

    def take_back(self, tenant: Tenant, verdict: Verdict) -> None:
        """Count a request no more of which nothing was done after all; what Redis is not told of stays counted."""
        if verdict.counted_at:
            self._redis.send("LREM", _keys(tenant)[0], 1, verdict.counted_at)
            self._fallback.forget_newest(tenant)

    def _settle_debts(self) -> None:
        while self._owed and self._redis.send("ZREM", *self._owed[0]):
            self._owed.popleft()

    def _note_outage(self, error: Exception) -> None:
        if not self._away:
            _log.warning("limits_counted_locally", reason=str(error))
        self._away = True


def _keys(tenant: Tenant) -> tuple[str, str]:
    # The hash tag keeps a tenant's keys in one slot of a cluster.
    return f"{{t:{tenant.name}}}:limits:log", f"{{t:{tenant.name}}}:limits:running"


def _verdict(limit: int, reply: list[int]) -> Verdict:
    decision, used, place_ms, reset_ms, counted_at, _ = reply
    state = RateState() if limit < 0 else RateState(limit, max(0, limit - used), timedelta(milliseconds=reset_ms))
    if decision == _ADMITTED:
        return Verdict(state, counted_at=counted_at)
    if decision == _TOO_FAST:
        return Verdict(state, REQUESTS_PER_MINUTE, timedelta(milliseconds=place_ms))
    return Verdict(state, CONCURRENT_REQUESTS, timedelta(seconds=CONCURRENCY_RETRY_SECONDS))


def _told(unshared: Unshared | None) -> tuple[int | str, ...]:
    if unshared is None:
        return _NOTHING
    running = (word for name, left_ms in unshared.running for word in (name, left_ms))
    return (len(unshared.ages_ms), *unshared.ages_ms, *running)


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
