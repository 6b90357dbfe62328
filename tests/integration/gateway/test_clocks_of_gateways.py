"""Gateways whose clocks differ turn to the next day together: by Redis' clock, in the counters and in the ledger alike."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from penstock_common.background import background_work
from penstock_common.redis_connection import RedisConnection
from penstock_gateway.adapters.counting.clocks import MOST_APART, SharedClock
from penstock_gateway.adapters.counting.in_redis import RedisLimiter, Terms
from penstock_gateway.app import limits as limits_module
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure
from penstock_gateway.domain.limits.windows import Window, WindowKind

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PATIENT = timedelta(seconds=30)


def microseconds(at):
    return round(at.timestamp() * 1_000_000)


def test_a_clock_goes_by_redis_from_when_it_was_heard_on():
    own = [NOON]
    clock = SharedClock(lambda: own[0])
    assert clock() == NOON
    # Heard in the middle of a round trip of two seconds.
    clock.heard(microseconds(NOON + 4 * SECOND), NOON, NOON + 2 * SECOND)
    assert clock() == NOON + 3 * SECOND
    own[0] += 5 * SECOND
    assert (clock(), clock.own()) == (NOON + 8 * SECOND, NOON + 5 * SECOND)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_clock_that_is_far_off_is_not_followed_and_told_once(sign):
    clock = SharedClock(lambda: NOON)
    with capture_logs() as logs:
        for gap in (MOST_APART, MOST_APART + SECOND, MOST_APART + SECOND):
            clock.heard(microseconds(NOON + sign * gap), NOON, NOON)
    assert clock() == NOON
    assert [(one["event"], one["redis_is_ahead_seconds"]) for one in logs] == [("clocks_apart", sign * 11)]
    clock.heard(microseconds(NOON + sign * SECOND), NOON, NOON)
    assert clock() == NOON + sign * SECOND


async def test_gateways_whose_clocks_differ_count_in_the_same_day(redis_server):
    day = Limit("t", TENANT, Allowance(Measure.SPEND, Window(WindowKind.DAY), 10), "spend_per_day")
    async with background_work() as in_background, RedisConnection(redis_server.url, PATIENT) as redis:

        async def redis_time():
            seconds, micros = await redis.execute("TIME")
            return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))

        began, found = await redis_time(), []
        for gap in (-5 * SECOND, 5 * SECOND):
            # Its clock stands, so that what it says is what it has heard.
            stands = began + gap
            limiter = RedisLimiter(redis, Terms(), None, in_background=in_background, now=lambda at=stands: at)
            await limiter.beat()
            verdict = await limiter.reserve(f"r{gap}", "t", (day,), Demand(spend=1, most=1), PATIENT)
            found.append(verdict.reservation.admitted_at)
        assert began <= found[0] <= found[1] <= await redis_time()


async def test_the_ledger_has_a_request_in_the_period_that_has_counted_it(serve, document, monkeypatch):
    admitted, opened = [], limits_module.open_limiter

    @asynccontextmanager
    async def opening(*args):
        async with opened(*args) as limiter:
            reserve = limiter.reserve

            async def reserving(*asked):
                verdict = await reserve(*asked)
                admitted.append(verdict.reservation.admitted_at)
                return verdict

            limiter.reserve = reserving
            yield limiter

    monkeypatch.setattr(limits_module, "open_limiter", opening)
    document["tenants"][0]["tier"] = {"spend_per_day": 1}
    suite = await serve()
    assert (await suite.ask()).status == 200
    (row,) = await suite.ledger_after_close()
    assert datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC) == admitted[0]
