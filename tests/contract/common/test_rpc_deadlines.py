"""Deadlines end a call on both sides, and travel from hop to hop less a margin."""

import asyncio
import time
from datetime import timedelta

import grpc
import pytest

from penstock.router.v1 import router_service_pb2 as router
from penstock_common import errors
from penstock_common.rpc.channel import DEADLINE_MARGIN_SECONDS, ScopeInterceptor, SuiteChannel, translated
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.testing.transports import SOCKET

EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED
SHORT_SECONDS = 0.05
# grpc sends a timeout rounded up, to about three digits.
CLOCK_SECONDS = 0.015


async def failure_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def all_of(call):
    return [response async for response in call]


async def test_a_unary_call_ends_at_its_deadline_and_so_does_its_servicer(served, servicing):
    async with served(unary=servicing.unary) as stubs:
        start = time.monotonic()
        failure = await failure_of(stubs.route(timeout=SHORT_SECONDS))
        waited = time.monotonic() - start
        assert failure.code() is EXCEEDED
        assert SHORT_SECONDS * 0.9 < waited < SHORT_SECONDS + 0.5
        assert await servicing.seconds_until_ended() < 0.1
        assert servicing.seen is asyncio.CancelledError
    assert type(translated(failure, "router")) is errors.DeadlineExceeded


async def test_a_stream_ends_at_its_deadline_and_so_does_its_servicer(served, servicing):
    async with served(stream=servicing.stream) as stubs:
        call = stubs.generate(timeout=SHORT_SECONDS)
        received = [await anext(aiter(call))]
        assert (await failure_of(anext(aiter(call)))).code() is EXCEEDED
        assert await servicing.seconds_until_ended() < 0.1
        assert servicing.seen is asyncio.CancelledError
        assert await call.code() is EXCEEDED
    assert len(received) == 1


async def test_a_stream_that_nobody_reads_any_more_ends_at_its_deadline(served, servicing):
    async with served(stream=servicing.flood) as stubs:
        call = stubs.generate(timeout=SHORT_SECONDS)
        await anext(aiter(call))
        assert await servicing.seconds_until_ended() < SHORT_SECONDS + 0.1
        assert await call.code() is EXCEEDED


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_call_whose_deadline_has_passed_reaches_no_servicer(served, servicing, timeout, transport):
    if timeout == 0 and transport == SOCKET:
        pytest.skip("grpcio sends it, and now and then it is answered in time")
    async with served(unary=servicing.unary, stream=servicing.stream) as stubs:
        assert (await failure_of(stubs.route(timeout=timeout))).code() is EXCEEDED
        assert (await failure_of(all_of(stubs.generate(timeout=timeout)))).code() is EXCEEDED
        # A later call tells that the earlier ones are not on their way.
        await stubs.router.ListModels(router.ListModelsRequest()).code()
    assert not servicing.started.is_set()


async def test_a_servicer_that_ignores_its_cancellation_changes_nothing_for_the_caller(served):
    ended = asyncio.Event()

    async def stubborn(request, context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
        return router.RouteResponse()

    async with served(unary=stubborn) as stubs:
        assert (await failure_of(stubs.route(timeout=SHORT_SECONDS))).code() is EXCEEDED
        async with asyncio.timeout(5):
            await ended.wait()
    assert asyncio.current_task().cancelling() == 0


async def test_an_error_raised_in_answer_to_the_deadline_does_not_replace_it(served):
    async def behaviour(request, context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise errors.UpstreamFailed("Interrupted.", upstream="openai") from None

    async with served(unary=behaviour) as stubs:
        failure = await failure_of(stubs.route(timeout=SHORT_SECONDS))
    assert failure.code() is EXCEEDED
    assert type(translated(failure, "router")) is errors.DeadlineExceeded
    assert asyncio.current_task().cancelling() == 0


async def test_a_deadline_in_a_call_of_a_call_belongs_to_the_call_that_set_it(served, servicing):
    """The inner deadline fails the inner call only; the outer servicer goes on."""
    seen = []
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, context):
            try:
                await inner.route(timeout=SHORT_SECONDS)
            except grpc.aio.AioRpcError as error:
                seen.append(error.code())
            return router.RouteResponse()

        async with served(unary=outer_behaviour) as outer:
            await outer.route(timeout=30)
    assert seen == [EXCEEDED]
    assert asyncio.current_task().cancelling() == 0


async def test_the_outer_deadline_ends_the_calls_below_it(served, servicing):
    seen = []
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, context):
            try:
                return await inner.route(timeout=30)
            except BaseException as error:
                seen.append(type(error))
                raise

        async with served(unary=outer_behaviour) as outer:
            assert (await failure_of(outer.route(timeout=SHORT_SECONDS))).code() is EXCEEDED
            assert await servicing.seconds_until_ended() < 0.1
    assert seen == [asyncio.CancelledError]
    assert asyncio.current_task().cancelling() == 0


async def test_equal_deadlines_of_nested_calls_leave_the_task_uncancelled(served, servicing):
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, context):
            await inner.route(timeout=context.time_remaining())
            return router.RouteResponse()

        async with served(unary=outer_behaviour) as outer:
            for _ in range(20):
                assert (await failure_of(outer.route(timeout=0.01))).code() in (EXCEEDED, grpc.StatusCode.INTERNAL)
    assert asyncio.current_task().cancelling() == 0


@pytest.fixture
def scoped(monkeypatch):
    """Runs a test within a request's scope."""

    def enter(**fields):
        CURRENT_SCOPE.set(RequestScope(**fields))

    return enter


@pytest.fixture
def remaining():
    """A servicer's function that notes the time it was given."""
    noted = []

    async def behaviour(request, context):
        noted.append(context.time_remaining())
        return router.RouteResponse()

    return behaviour, noted


async def test_a_call_without_a_deadline_gets_the_default(served, remaining):
    behaviour, noted = remaining
    async with served(unary=behaviour) as stubs:
        stubs.channel = SuiteChannel(stubs.channel, (ScopeInterceptor(timedelta(seconds=7)),))
        await stubs.route()
        await stubs.route(timeout=3)
    assert 6.5 < noted[0] < 7 + CLOCK_SECONDS
    assert 2.5 < noted[1] < 3 + CLOCK_SECONDS


async def test_each_hop_hands_on_what_remains_less_a_margin(served, remaining, scoped):
    behaviour, noted = remaining
    async with served(unary=behaviour) as last:
        last.channel = SuiteChannel(last.channel)

        async def relay(request, context):
            left = context.time_remaining()
            noted.append(left)
            scoped(request_id="r", deadline=time.monotonic() + left)
            return await last.route(request)

        async with served(unary=relay) as first:
            first.channel = SuiteChannel(first.channel)
            scoped(request_id="r", deadline=time.monotonic() + 10)
            await first.route()
            await first.route(timeout=5)
            await first.route(timeout=50)
    for index, expected in enumerate((10 - DEADLINE_MARGIN_SECONDS, 5, 10 - DEADLINE_MARGIN_SECONDS)):
        first_hop, second_hop = noted[2 * index : 2 * index + 2]
        assert expected - 0.5 < first_hop < expected + CLOCK_SECONDS
        assert first_hop - 0.5 < second_hop < first_hop - DEADLINE_MARGIN_SECONDS + CLOCK_SECONDS


async def test_a_hop_without_time_left_fails_before_it_is_made(served, remaining, scoped):
    behaviour, noted = remaining
    async with served(unary=behaviour) as stubs:
        stubs.channel = SuiteChannel(stubs.channel)
        scoped(deadline=time.monotonic() + DEADLINE_MARGIN_SECONDS / 2)
        assert (await failure_of(stubs.route())).code() is EXCEEDED
    assert noted == []


async def test_identity_travels_as_metadata_beside_the_callers_own(served, scoped):
    seen = []

    async def behaviour(request, context):
        seen.extend(context.invocation_metadata())
        return router.RouteResponse()

    scope = RequestScope(request_id="r-1", tenant="acme", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    async with served(unary=behaviour) as stubs:
        stubs.channel = SuiteChannel(stubs.channel)
        CURRENT_SCOPE.set(scope)
        await stubs.route(metadata=(("own", "1"),))
    assert ("own", "1") in [tuple(entry) for entry in seen]
    assert RequestScope.from_metadata(seen) == scope
