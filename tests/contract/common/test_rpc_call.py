"""What a call object promises, whichever transport made it."""

import asyncio

import grpc
import pytest

from penstock.router.v1 import router_service_pb2 as router
from penstock_common import errors
from penstock_common.testing.transports import IN_PROCESS

OK, NOT_FOUND, CANCELLED = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED


@pytest.fixture
def counted():
    """A servicer's function that counts its runs, and the list of them."""
    runs = []

    async def behaviour(request, context):
        runs.append(request)
        return router.RouteResponse()

    return behaviour, runs


async def refusing(request, context):
    raise errors.ModelNotFound("No such model.", model="m")


@pytest.fixture
def three(responses):
    async def behaviour(request, context):
        for text in "abc":
            yield responses(text)
        context.set_trailing_metadata((("late", "1"),))

    return behaviour


@pytest.fixture
def one_then_refusal(responses):
    async def behaviour(request, context):
        yield responses("a")
        raise errors.ModelNotFound("No such model.", model="m")

    return behaviour


async def outcome_of(awaitable):
    """Return the status code that awaiting raised, "cancelled", or the result."""
    try:
        return await awaitable
    except grpc.aio.AioRpcError as error:
        return error.code()
    except asyncio.CancelledError:
        return "cancelled"


async def texts_of(call):
    return [response.event.text_delta.text async for response in call]


async def test_status_after_success(served, counted):
    async with served(unary=counted[0]) as stubs:
        call = stubs.route()
        assert not call.done()
        await call
        assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)
        assert (await call.code(), await call.details()) == (OK, "")


async def test_status_after_failure(served):
    async with served(unary=refusing) as stubs:
        call = stubs.route()
        assert await outcome_of(call) is NOT_FOUND
        assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)
        assert (await call.code(), await call.details()) == (NOT_FOUND, "No such model.")
        assert "grpc-status-details-bin" in dict(await call.trailing_metadata())


async def test_a_call_awaited_twice_runs_once_and_answers_twice(served, counted):
    behaviour, runs = counted
    async with served(unary=behaviour) as stubs:
        call = stubs.route()
        assert await call == await call == router.RouteResponse()
    assert len(runs) == 1


async def test_a_failed_call_awaited_twice_fails_twice(served):
    async with served(unary=refusing) as stubs:
        call = stubs.route()
        assert [await outcome_of(call), await outcome_of(call)] == [NOT_FOUND, NOT_FOUND]


async def test_a_call_awaited_by_two_tasks_runs_once(served):
    runs, go = [], asyncio.Event()

    async def behaviour(request, context):
        runs.append(request)
        await go.wait()
        return router.RouteResponse()

    async def wait_for(call):
        return await call

    async with served(unary=behaviour) as stubs:
        call = stubs.route()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait_for(call)) for _ in range(2)]
            group.create_task(call.initial_metadata())
            while not runs:
                await asyncio.sleep(0)
            go.set()
    assert [task.result() for task in tasks] == [router.RouteResponse()] * 2
    assert len(runs) == 1


async def test_cancelling_one_of_two_waiting_tasks_cancels_the_call(served, servicing):
    async def wait_for(call):
        return await outcome_of(call)

    async with served(unary=servicing.unary) as stubs:
        call = stubs.route()
        tasks = [asyncio.create_task(wait_for(call)) for _ in range(2)]
        await servicing.started.wait()
        tasks[1].cancel()
        assert await asyncio.gather(*tasks) == ["cancelled", "cancelled"]
        assert await call.code() is CANCELLED
        await servicing.seconds_until_ended()


@pytest.mark.parametrize("question", ["code", "details", "initial_metadata", "trailing_metadata"])
async def test_asking_for_the_status_of_a_call_that_nobody_awaits_runs_it(served, counted, question):
    behaviour, runs = counted
    async with served(unary=behaviour) as stubs, asyncio.timeout(5):
        call = stubs.route()
        await getattr(call, question)()
        assert len(runs) == 1
        assert await call == router.RouteResponse()
        assert len(runs) == 1


async def test_asking_for_the_status_of_a_failing_call_does_not_raise(served):
    async with served(unary=refusing) as stubs:
        assert await stubs.route().code() is NOT_FOUND


async def test_a_stream_that_is_iterated_again_is_empty(served, three):
    async with served(stream=three) as stubs:
        call = stubs.generate()
        assert await texts_of(call) == ["a", "b", "c"]
        assert await texts_of(call) == []
        assert await call.code() is OK
        assert list(await call.trailing_metadata()) == [("late", "1")]


async def test_read_gives_each_response_and_then_the_end_for_ever(served, three):
    async with served(stream=three) as stubs:
        call = stubs.generate()
        read = [await call.read() for _ in range(5)]
    assert [response.event.text_delta.text for response in read[:3]] == ["a", "b", "c"]
    assert read[3:] == [grpc.aio.EOF, grpc.aio.EOF]


async def test_a_failed_stream_raises_once_when_iterated_and_always_when_read(served, one_then_refusal):
    async with served(stream=one_then_refusal) as stubs:
        iterated, read = stubs.generate(), stubs.generate()
        assert await outcome_of(texts_of(iterated)) is NOT_FOUND
        assert await outcome_of(texts_of(iterated)) == []
        assert (await read.read()).event.text_delta.text == "a"
        assert [await outcome_of(read.read()) for _ in range(3)] == [NOT_FOUND] * 3
        assert await iterated.code() is NOT_FOUND


async def test_the_status_of_a_stream_is_known_at_its_end(served, three):
    async with served(stream=three) as stubs:
        call = stubs.generate()
        code = asyncio.create_task(call.code())
        assert (await anext(aiter(call))).event.text_delta.text == "a"
        assert not code.done()
        assert await texts_of(call) == ["b", "c"]
        assert await code is OK


async def test_initial_metadata_may_be_asked_for_before_the_first_response(served, responses):
    async def behaviour(request, context):
        await context.send_initial_metadata((("early", "1"),))
        yield responses("a")
        yield responses("b")

    async with served(stream=behaviour) as stubs:
        call = stubs.generate()
        assert list(await call.initial_metadata()) == [("early", "1")]
        assert await texts_of(call) == ["a", "b"]


async def test_a_failure_after_asking_for_initial_metadata_is_still_told(served):
    async def behaviour(request, context):
        raise errors.ModelNotFound("No such model.", model="m")
        yield

    async with served(stream=behaviour) as stubs:
        call = stubs.generate()
        await call.initial_metadata()
        assert await outcome_of(texts_of(call)) is NOT_FOUND


async def test_a_call_cancelled_before_it_is_awaited_is_cancelled(served, three, counted):
    async with served(unary=counted[0], stream=three) as stubs:
        for call, awaiting in ((stubs.route(), None), (stubs.generate(), texts_of)):
            assert (call.cancel(), call.cancel()) == (True, False)
            assert call.cancelled()
            assert await outcome_of(awaiting(call) if awaiting else call) == "cancelled"
            assert (await call.code(), await call.details()) == (CANCELLED, "Locally cancelled by application!")


async def test_a_stream_cancelled_between_responses_is_cancelled_once_and_then_over(served, three):
    async with served(stream=three) as stubs:
        call = stubs.generate()
        await anext(aiter(call))
        assert call.cancel()
        assert call.done()
        assert [await outcome_of(texts_of(call)) for _ in range(2)] == ["cancelled", []]
        read = stubs.generate()
        await read.read()
        read.cancel()
        assert [await outcome_of(read.read()) for _ in range(2)] == ["cancelled", "cancelled"]


async def test_done_callbacks_run_at_the_end_or_at_once_when_it_has_ended(served, counted, three):
    async with served(unary=counted[0], stream=three) as stubs:
        unary, stream = stubs.route(), stubs.generate()
        told = []
        for call in (unary, stream):
            call.add_done_callback(lambda call: told.append((call, call.done())))
        assert told == []
        await unary
        await texts_of(stream)
        # A socket's stream ends a moment after its last response.
        await stream.code()
        assert told == [(unary, True), (stream, True)]
        unary.add_done_callback(lambda call: told.append("late"))
        assert told[2:] == ["late"]


async def test_time_remaining_is_that_of_the_deadline(served, counted):
    left = []

    async def behaviour(request, context):
        left.append(context.time_remaining())
        return router.RouteResponse()

    async with served(unary=behaviour) as stubs:
        endless = stubs.route()
        assert endless.time_remaining() is None
        await endless
        bounded = stubs.route(timeout=30)
        assert 29 < bounded.time_remaining() < 31
        await bounded
    assert left[0] is None
    assert 29 < left[1] < 31


async def test_aclose_waits_for_the_servicers_finally_and_may_be_repeated(served, servicing, transport):
    if transport != IN_PROCESS:
        pytest.skip("a socket's call has no aclose")
    async with served(stream=servicing.stream) as stubs:
        unstarted = stubs.generate()
        await unstarted.aclose()
        assert not servicing.started.is_set()
        assert await outcome_of(texts_of(unstarted)) == "cancelled"
        call = stubs.generate()
        await anext(aiter(call))
        await call.aclose()
        assert servicing.ended.is_set()
        await call.aclose()
        assert await call.code() is CANCELLED


async def test_aclose_beside_a_reading_task_ends_the_reader_and_waits_for_the_servicer(served, servicing, transport):
    if transport != IN_PROCESS:
        pytest.skip("a socket's call has no aclose")
    async with served(stream=servicing.stream) as stubs:
        call = stubs.generate()
        reader = asyncio.create_task(outcome_of(texts_of(call)))
        await servicing.started.wait()
        await asyncio.sleep(0)
        await call.aclose()
        assert servicing.seen is asyncio.CancelledError
        assert await reader == "cancelled"


async def test_a_streamed_request_is_refused_in_process(served, transport):
    if transport != IN_PROCESS:
        pytest.skip("a socket takes it")
    async with served() as stubs:
        for shape in (stubs.channel.stream_unary, stubs.channel.stream_stream):
            with pytest.raises(NotImplementedError, match="/a/B"):
                shape("/a/B")(iter(()))
