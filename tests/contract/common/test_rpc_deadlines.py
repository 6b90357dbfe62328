"""Deadlines end a call on both sides, and travel from hop to hop less a margin."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.rpc.client import DEADLINE_MARGIN_SECONDS, DEFAULT_TIMEOUT
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.testing.transports import IN_PROCESS

SHORT_SECONDS = 0.05
# grpc sends a timeout rounded up, to about three digits.
CLOCK_SECONDS = 0.015


@pytest.fixture
def ample(transport):
    """Seconds in which a call surely reaches its servicer."""
    return 0.5 if transport == IN_PROCESS else 3.0


async def exceeded(call):
    """Await a call that must end at its deadline, and leave the task as it was."""
    async with asyncio.timeout(60):
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await call
    assert asyncio.current_task().cancelling() == 0
    return caught.value


async def test_a_unary_call_ends_at_its_deadline_and_so_does_its_servicer(served, servicing):
    async with served(unary=servicing.unary) as client:
        start = time.monotonic()
        await exceeded(client.ask(timeout=SHORT_SECONDS))
        assert time.monotonic() - start > SHORT_SECONDS * 0.9
        if servicing.started.is_set():
            await servicing.until_ended()
            assert servicing.seen is asyncio.CancelledError


async def test_a_stream_ends_at_its_deadline_and_so_does_its_servicer(served, servicing, ample):
    async with served(stream=servicing.stream) as client:
        responses = client.tell(timeout=ample)
        assert (await anext(aiter(responses))).text == "first"
        await exceeded(anext(aiter(responses)))
        await servicing.until_ended()
        assert servicing.seen is asyncio.CancelledError
        await responses.aclose()


@pytest.mark.parametrize("behaviour", ["stream", "flood"])
async def test_a_stream_that_nobody_reads_any_more_ends_at_its_deadline(served, servicing, behaviour, ample):
    async with served(stream=getattr(servicing, behaviour)) as client:
        responses = client.tell(timeout=ample)
        await anext(aiter(responses))
        await servicing.until_ended()
        await exceeded(_rest_of(responses))
        await responses.aclose()


async def _rest_of(responses):
    # A socket still gives what it had received.
    async for _ in responses:
        pass


async def test_closing_a_stream_while_its_time_ends_it_waits_for_the_servicer(served, note, transport):
    if transport != IN_PROCESS:
        pytest.skip("a socket's servicer is elsewhere")
    closing, go, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def behaviour(request, call):
        try:
            yield note("a")
        finally:
            closing.set()
            await go.wait()
            closed.set()

    async with served(stream=behaviour) as client, asyncio.timeout(60):
        with capture_logs() as logged:
            responses = client.tell(timeout=SHORT_SECONDS)
            await anext(aiter(responses))
            await closing.wait()
            leaving = asyncio.create_task(responses.aclose())
            await asyncio.sleep(0)
            go.set()
            await leaving
    assert closed.is_set()
    assert logged == []


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_call_whose_deadline_has_passed_reaches_no_servicer(served, servicing, timeout, texts_of, note):
    async with served(unary=servicing.unary, stream=servicing.stream) as client:
        await exceeded(client.ask(timeout=timeout))
        await exceeded(texts_of(client.tell(timeout=timeout)))
        # A later call tells that the earlier ones are not on their way.
        with pytest.raises(errors.ServiceUnavailable):
            await client.channel.call(client.unserved, note())
    assert not servicing.started.is_set()


async def test_a_servicer_that_ignores_its_cancellation_changes_nothing_for_the_caller(served, ample):
    ended = asyncio.Event()

    async def stubborn(request, call):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
        return request

    async def stubborn_stream(request, call):
        yield await stubborn(request, call)

    async with served(unary=stubborn, stream=stubborn_stream) as client, asyncio.timeout(60):
        await exceeded(client.ask(timeout=ample))
        await ended.wait()
        responses = client.tell(timeout=ample)
        await exceeded(anext(aiter(responses)))
        await responses.aclose()


async def test_an_error_raised_in_answer_to_the_deadline_does_not_replace_it(served):
    async def behaviour(request, call):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise errors.UpstreamFailed("Interrupted.", upstream="openai") from None

    async with served(unary=behaviour) as client:
        await exceeded(client.ask(timeout=SHORT_SECONDS))


async def test_a_defect_in_answer_to_the_deadline_is_logged_and_does_not_replace_it(served, ample):
    async def behaviour(request, call):
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with capture_logs() as logged:
        async with served(unary=behaviour) as client, asyncio.timeout(60):
            await exceeded(client.ask(timeout=ample))
            while not logged:
                await asyncio.sleep(0)
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_deadline_in_a_call_of_a_call_belongs_to_the_call_that_set_it(served, servicing):
    """The inner deadline fails the inner call only; the outer servicer goes on."""
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, call):
            await exceeded(inner.ask(timeout=SHORT_SECONDS))
            return request

        async with served(unary=outer_behaviour) as outer:
            assert (await outer.ask("a", timeout=30)).text == "a"
    assert asyncio.current_task().cancelling() == 0


async def test_the_outer_deadline_ends_the_calls_below_it(served, servicing, ample):
    seen = []
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, call):
            CURRENT_SCOPE.set(RequestScope())
            try:
                return await inner.ask(timeout=30)
            except BaseException as error:
                seen.append(type(error))
                raise

        async with served(unary=outer_behaviour) as outer:
            await exceeded(outer.ask(timeout=ample))
            await servicing.until_ended()
    assert seen == [asyncio.CancelledError]


async def test_equal_deadlines_of_nested_calls_leave_the_task_uncancelled(served, servicing):
    async with served(unary=servicing.unary) as inner:

        async def outer_behaviour(request, call):
            return await inner.ask(timeout=call.seconds_left())

        async with served(unary=outer_behaviour) as outer:
            for _ in range(20):
                await exceeded(outer.ask(timeout=0.01))


async def test_a_cancellation_beside_the_deadline_stays_the_callers(served, transport):
    """Both come while the servicer waits: the task is cancelled, whatever its time."""
    if transport != IN_PROCESS:
        pytest.skip("over a socket the two are in no order")
    cancelled = []

    async def behaviour(request, call):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            caller.cancel()
            raise

    async def call():
        try:
            await client.ask(timeout=SHORT_SECONDS)
        except asyncio.CancelledError:
            cancelled.append(asyncio.current_task().cancelling())
            raise

    async with served(unary=behaviour) as client:
        caller = asyncio.create_task(call())
        await asyncio.wait((caller,))
    assert caller.cancelled()
    assert cancelled == [1]


@pytest.fixture
def remaining():
    """A servicer's function that notes the time it was given."""
    noted = []

    async def behaviour(request, call):
        noted.append(call.seconds_left())
        return request

    return behaviour, noted


async def test_a_call_without_a_deadline_gets_the_default(served, remaining):
    behaviour, noted = remaining
    async with served(unary=behaviour) as client:
        await client.ask()
        await client.ask(timeout=3)
    default = DEFAULT_TIMEOUT.total_seconds()
    # A minute travels in steps of a tenth of a second, rounded up.
    assert default - 10 < noted[0] < default + 0.2
    assert 0 < noted[1] < 3 + CLOCK_SECONDS


async def test_each_hop_hands_on_what_remains_less_a_margin(served, remaining):
    behaviour, noted = remaining
    async with served(unary=behaviour) as last:

        async def relay(request, call):
            noted.append(call.seconds_left())
            return await last.ask()

        async with served(unary=relay) as first:
            CURRENT_SCOPE.set(RequestScope(request_id="r", deadline=time.monotonic() + 10))
            await first.ask()
            await first.ask(timeout=5)
            await first.ask(timeout=50)
    for index, expected in enumerate((10 - DEADLINE_MARGIN_SECONDS, 5, 10 - DEADLINE_MARGIN_SECONDS)):
        assert 0 < noted[2 * index] < expected + CLOCK_SECONDS


async def test_over_sockets_the_second_hop_has_less_time_than_the_first(served_by_socket, remaining):
    """In process both end with the request's own deadline, as they run in one task."""
    behaviour, noted = remaining
    async with served_by_socket(unary=behaviour) as last:

        async def relay(request, call):
            noted.append(call.seconds_left())
            return await last.ask()

        async with served_by_socket(unary=relay) as first:
            await first.ask(timeout=5)
    assert noted[1] < noted[0] - DEADLINE_MARGIN_SECONDS + CLOCK_SECONDS


async def test_a_hop_without_time_left_fails_before_it_is_made(served, remaining, texts_of):
    behaviour, noted = remaining
    async with served(unary=behaviour) as client:
        CURRENT_SCOPE.set(RequestScope(deadline=time.monotonic() + DEADLINE_MARGIN_SECONDS / 2))
        await exceeded(client.ask())
        await exceeded(texts_of(client.tell()))
    assert noted == []
