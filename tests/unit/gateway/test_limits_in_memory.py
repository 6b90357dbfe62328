"""The sliding minute, exactly: never more than the limit in any 60 s, and never less than could be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_gateway.adapters.limits_in_memory import InMemoryLimiter
from penstock_gateway.domain.access.identity import Tenant, Tier
from penstock_gateway.domain.life.admission import CONCURRENT_REQUESTS, REQUESTS_PER_MINUTE

LEASE = timedelta(seconds=600)


def tenant(per_minute=None, at_once=None, name="t"):
    return Tenant(name, Tier("own", per_minute, at_once))


@pytest.fixture
def limiter(clock):
    return InMemoryLimiter(clock.nanoseconds)


def run(coroutine):
    """Drive a coroutine that never waits: these limits need no loop."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


# Whole milliseconds, so that a boundary is hit exactly and sums are exact.
WAITS_MS = st.lists(st.one_of(st.integers(0, 5_000), st.sampled_from([0, 1, 59_999, 60_000, 60_001])), max_size=80)


@given(limit=st.integers(0, 6), waits_ms=WAITS_MS)
def test_any_window_holds_at_most_the_limit_and_everything_that_fits_is_let_in(limit, waits_ms):
    now_ms = 0
    limiter = InMemoryLimiter(lambda: now_ms * 1_000_000)
    admitted_ms = []
    for number, wait_ms in enumerate(waits_ms):
        now_ms += wait_ms
        verdict = run(limiter.reserve(tenant(limit), str(number), LEASE))
        # A window is half open: what came 60 s ago no longer counts.
        in_window = [at for at in admitted_ms if at > now_ms - 60_000]
        assert bool(verdict.refused_by) is (len(in_window) >= limit)
        if verdict.refused_by:
            expected_ms = in_window[-limit] + 60_000 - now_ms if limit else 60_000
            assert verdict.retry_after == timedelta(milliseconds=expected_ms)
        else:
            admitted_ms.append(now_ms)
            assert verdict.state.remaining == limit - len(in_window) - 1
            assert verdict.state.reset == timedelta(seconds=60)


@given(limit=st.integers(1, 5), waits_ms=WAITS_MS)
def test_retry_after_is_exact(limit, waits_ms):
    now_ms = 0
    limiter = InMemoryLimiter(lambda: now_ms * 1_000_000)
    for number, wait_ms in enumerate(waits_ms):
        now_ms += wait_ms
        verdict = run(limiter.reserve(tenant(limit), str(number), LEASE))
        if verdict.refused_by:
            now_ms += round(verdict.retry_after.total_seconds() * 1000) - 1
            assert run(limiter.reserve(tenant(limit), "early", LEASE)).refused_by == REQUESTS_PER_MINUTE
            now_ms += 1
            assert not run(limiter.reserve(tenant(limit), "in time", LEASE)).refused_by


async def test_refused_request_counts_against_nothing(limiter, clock):
    await limiter.reserve(tenant(1), "a", LEASE)
    for number in range(10):
        assert (await limiter.reserve(tenant(1), str(number), LEASE)).refused_by
    clock.advance(60)
    assert not (await limiter.reserve(tenant(1), "b", LEASE)).refused_by


async def test_request_refused_for_concurrency_does_not_count_as_a_request(limiter):
    both = tenant(2, 1)
    await limiter.reserve(both, "a", LEASE)
    refused = await limiter.reserve(both, "b", LEASE)
    assert refused.refused_by == CONCURRENT_REQUESTS
    assert refused.state.remaining == 1
    limiter.release(both, "a")
    assert not (await limiter.reserve(both, "c", LEASE)).refused_by


async def test_place_comes_back_on_release_once(limiter):
    await limiter.reserve(tenant(at_once=1), "a", LEASE)
    limiter.release(tenant(at_once=1), "a")
    limiter.release(tenant(at_once=1), "a")
    assert not (await limiter.reserve(tenant(at_once=1), "b", LEASE)).refused_by
    assert (await limiter.reserve(tenant(at_once=1), "c", LEASE)).refused_by == CONCURRENT_REQUESTS


async def test_place_comes_back_when_its_lease_ends(limiter, clock):
    await limiter.reserve(tenant(at_once=1), "a", timedelta(seconds=10))
    clock.advance(9.999)
    assert (await limiter.reserve(tenant(at_once=1), "b", LEASE)).refused_by
    clock.advance(0.001)
    assert not (await limiter.reserve(tenant(at_once=1), "b", LEASE)).refused_by


async def test_tenants_do_not_share(limiter):
    await limiter.reserve(tenant(1, 1, name="a"), "x", LEASE)
    assert not (await limiter.reserve(tenant(1, 1, name="b"), "x", LEASE)).refused_by


async def test_release_of_an_unknown_request_is_nothing(limiter):
    limiter.release(tenant(1, 1), "never seen")


async def test_tenant_that_asked_nothing_for_a_minute_is_forgotten(limiter, clock):
    for number in range(100):
        await limiter.reserve(tenant(5, 5, name=f"t{number}"), "a", timedelta(seconds=30))
    clock.advance(60)
    # Each request looks at one of the others.
    for _ in range(100):
        await limiter.reserve(tenant(1000, name="busy"), "x", LEASE)
    assert list(limiter._counts) == ["busy"]


async def test_tenant_whose_request_still_runs_is_not_forgotten(limiter, clock):
    both = tenant(5, 1, name="streams")
    await limiter.reserve(both, "a", LEASE)
    clock.advance(120)
    for number in range(10):
        await limiter.reserve(tenant(1000, name="busy"), str(number), LEASE)
    assert (await limiter.reserve(both, "b", LEASE)).refused_by == CONCURRENT_REQUESTS
    limiter.release(both, "a")
    clock.advance(60)
    for number in range(10):
        await limiter.reserve(tenant(1000, name="busy"), str(number), LEASE)
    assert list(limiter._counts) == ["busy"]


async def test_tenant_without_limits_leaves_nothing(limiter):
    verdict = await limiter.reserve(tenant(), "a", LEASE)
    assert (verdict.refused_by, verdict.state.limit) == ("", 0)
    assert not limiter._counts


async def test_entries_of_a_tenant_are_no_more_than_its_limits(limiter):
    for number in range(100):
        await limiter.reserve(tenant(10, 5), str(number), LEASE)
    counts = limiter._counts["t"]
    assert (len(counts.recent), len(counts.running)) == (5, 5)


def test_what_is_taken_back_is_counted_no_more(limiter, clock):
    first = run(limiter.reserve(tenant(2), "a", LEASE))
    clock.advance(10)
    second = run(limiter.reserve(tenant(2), "b", LEASE))
    limiter.take_back(tenant(2), second)
    assert run(limiter.reserve(tenant(2), "c", LEASE)).refused_by == ""
    refused = run(limiter.reserve(tenant(2), "d", LEASE))
    assert (refused.refused_by, refused.retry_after) == (REQUESTS_PER_MINUTE, timedelta(seconds=50))
    limiter.take_back(tenant(2), refused)
    limiter.take_back(tenant(name="nobody"), first)
    assert run(limiter.reserve(tenant(2), "e", LEASE)).refused_by == REQUESTS_PER_MINUTE


async def test_a_count_that_is_shared_goes_on_from_what_was_last_known(limiter, clock):
    """Seven of ten were used everywhere, one of them here: three are left, until what others used is a minute old."""
    limiter.hear(tenant(10), 7, 0, ("a", LEASE))
    clock.advance(30)
    verdicts = [await limiter.reserve(tenant(10), f"{number}", LEASE) for number in range(4)]
    assert [verdict.refused_by for verdict in verdicts] == ["", "", "", REQUESTS_PER_MINUTE]
    assert [verdict.state.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert verdicts[-1].retry_after == timedelta(seconds=30)
    clock.advance(29.999)
    assert (await limiter.reserve(tenant(10), "early", LEASE)).refused_by
    clock.advance(0.001)
    assert (await let_in(limiter, tenant(10), 20)) == 7


async def let_in(limiter, of_tenant, times):
    verdicts = [await limiter.reserve(of_tenant, f"more-{number}", LEASE) for number in range(times)]
    return sum(not verdict.refused_by for verdict in verdicts)


@given(
    limit=st.integers(1, 6),
    told=st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), max_size=40),
)
def test_however_often_the_shared_count_goes_away_nobody_gets_more_than_the_limit_in_a_minute(limit, told):
    """One process alone: whoever counts, what was let in within any minute is no more than the limit."""
    now_ms, shared, admitted = 0, [], []
    limiter = InMemoryLimiter(lambda: now_ms * 1_000_000)
    for number, (wait_ms, is_away) in enumerate(told):
        now_ms += wait_ms
        if is_away:
            verdict = run(limiter.reserve(tenant(limit), str(number), LEASE))
            if not verdict.refused_by:
                limiter.note_alone(tenant(limit), is_counted=False)
                admitted.append(now_ms)
        else:
            unshared = limiter.take_unshared(tenant(limit))
            shared += [now_ms - age_ms for age_ms in unshared.ages_ms] if unshared else []
            shared = [at for at in shared if at > now_ms - 60_000]
            is_in = len(shared) < limit
            shared += [now_ms] * is_in
            admitted += [now_ms] * is_in
            limiter.hear(tenant(limit), len(shared), 0, (str(number), LEASE) if is_in else None)
        assert sum(at > now_ms - 60_000 for at in admitted) <= limit


async def test_places_of_others_are_taken_and_one_is_always_left(limiter, clock):
    limiter.hear(tenant(at_once=3), 0, 2, ("a", LEASE))
    assert not (await limiter.reserve(tenant(at_once=3), "b", LEASE)).refused_by
    assert (await limiter.reserve(tenant(at_once=3), "c", LEASE)).refused_by == CONCURRENT_REQUESTS
    limiter.hear(tenant(at_once=1, name="other"), 0, 1, None)
    assert not (await limiter.reserve(tenant(at_once=1, name="other"), "a", LEASE)).refused_by
    clock.advance(60)
    assert not (await limiter.reserve(tenant(at_once=3), "c", LEASE)).refused_by


async def test_what_nobody_else_knows_is_told_once_and_again_where_it_could_not_be_told(limiter, clock):
    both = tenant(5, 5)
    for name in ("a", "b", "c"):
        await limiter.reserve(both, name, timedelta(seconds=90))
        limiter.note_alone(both, is_counted=False)
        clock.advance(30)
    limiter.release(both, "c")
    told = limiter.take_unshared(both)
    # The first two arrivals are a minute old by now; the first one's lease is over, and the third has ended.
    assert (told.ages_ms, told.running) == ([30_000], [("b", 30_000)])
    assert limiter.take_unshared(both) is None
    limiter.give_back(both, told)
    assert limiter.take_unshared(both) == told


async def test_what_the_shared_count_takes_back_is_taken_back_here(limiter):
    limiter.hear(tenant(2), 1, 0, ("a", LEASE))
    limiter.forget_newest(tenant(2))
    limiter.forget_newest(tenant(2))
    limiter.forget_newest(tenant(name="nobody"))
    assert await let_in(limiter, tenant(2), 5) == 2
