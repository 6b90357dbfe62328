"""A caller that leaves ends everything below it, at once, over both transports."""

import asyncio

import grpc
import pytest

from penstock.router.v1 import router_service_pb2 as router
from penstock_common.rpc.streaming import cancelled_on_exit

AT_ONCE_SECONDS = 0.1


async def read_all(call):
    return [response async for response in call]


async def started(task, event):
    """Wait until the servicer has started, or fail with the caller's error."""
    waiting = asyncio.create_task(event.wait())
    async with asyncio.timeout(5):
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done(), task


async def test_cancelling_a_task_that_awaits_a_call_cancels_the_servicer(served, servicing):
    async with served(unary=servicing.unary) as stubs:

        async def caller():
            await stubs.route()

        task = asyncio.create_task(caller())
        await started(task, servicing.started)
        task.cancel()
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        with pytest.raises(asyncio.CancelledError):
            await task
    assert servicing.seen is asyncio.CancelledError


async def test_cancelling_a_task_that_awaits_a_response_of_a_stream_cancels_the_servicer(served, servicing):
    first = asyncio.Event()
    async with served(stream=servicing.stream) as stubs:
        call = stubs.generate()

        async def caller():
            async for _ in call:
                first.set()

        task = asyncio.create_task(caller())
        await started(task, first)
        task.cancel()
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await call.code() is grpc.StatusCode.CANCELLED
    assert servicing.seen is asyncio.CancelledError


@pytest.mark.parametrize("shape", ["unary", "stream"])
async def test_a_call_cancelled_by_another_task_cancels_reader_and_servicer(served, servicing, shape):
    async with served(unary=servicing.unary, stream=servicing.stream) as stubs:
        call = stubs.route() if shape == "unary" else stubs.generate()

        async def caller():
            await (call if shape == "unary" else read_all(call))

        task = asyncio.create_task(caller())
        await started(task, servicing.started)
        assert call.cancel()
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        with pytest.raises(asyncio.CancelledError):
            await task
    assert servicing.seen is asyncio.CancelledError


async def test_a_reader_of_a_cancelled_call_may_go_on(served, servicing):
    """The call was cancelled, not the task: what the task does next is not disturbed."""
    async with served(stream=servicing.stream) as stubs:
        call = stubs.generate()
        endings = []

        async def reader():
            try:
                await read_all(call)
            except asyncio.CancelledError:
                endings.append(asyncio.current_task().cancelling())
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            endings.append("went on")

        task = asyncio.create_task(reader())
        await started(task, servicing.started)
        call.cancel()
        await task
    assert endings == [0, "went on"]


@pytest.mark.parametrize("behaviour", ["stream", "flood"])
async def test_leaving_a_stream_early_ends_a_servicer_that_is_suspended_where_it_yields(served, servicing, behaviour):
    async with served(stream=getattr(servicing, behaviour)) as stubs:
        async with cancelled_on_exit(stubs.generate()) as call:
            await anext(aiter(call))
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        assert await call.code() is grpc.StatusCode.CANCELLED
    assert servicing.seen in (asyncio.CancelledError, GeneratorExit)


async def test_leaving_a_stream_with_an_error_ends_the_servicer_and_keeps_the_error(served, servicing):
    async with served(stream=servicing.flood) as stubs:
        with pytest.raises(ZeroDivisionError):
            async with cancelled_on_exit(stubs.generate()) as call:
                async for _ in call:
                    raise ZeroDivisionError
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS


async def test_cancelling_a_stream_that_nobody_reads_at_the_moment_ends_the_servicer(served, servicing):
    async with served(stream=servicing.flood) as stubs:
        call = stubs.generate()
        await anext(aiter(call))
        call.cancel()
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        assert not asyncio.current_task().cancelling()


async def test_leaving_a_finished_stream_disturbs_nothing(served, responses):
    async def behaviour(request, context):
        yield responses("a")
        context.set_trailing_metadata((("late", "1"),))

    async with served(stream=behaviour) as stubs:
        async with cancelled_on_exit(stubs.generate()) as call:
            assert len(await read_all(call)) == 1
        assert await call.code() is grpc.StatusCode.OK
        assert list(await call.trailing_metadata()) == [("late", "1")]


async def test_cancellation_runs_down_two_hops(served, servicing):
    async with served(stream=servicing.stream) as inner:

        async def relay(request, context):
            async with cancelled_on_exit(inner.generate(request)) as call:
                async for response in call:
                    yield response

        async with served(stream=relay) as outer:
            first = asyncio.Event()

            async def caller():
                async with cancelled_on_exit(outer.generate()) as call:
                    async for _ in call:
                        first.set()

            task = asyncio.create_task(caller())
            await started(task, first)
            task.cancel()
            assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_timeout_around_a_call_ends_it_as_a_timeout(served, servicing):
    async with served(unary=servicing.unary, stream=servicing.stream) as stubs:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await stubs.route(timeout=30)
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
        servicing.__post_init__()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await read_all(stubs.generate())
        assert await servicing.seconds_until_ended() < AT_ONCE_SECONDS
    assert asyncio.current_task().cancelling() == 0


async def test_a_timeout_inside_a_servicer_is_the_servicers_own(served):
    async def behaviour(request, context):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return router.RouteResponse()

    async with served(unary=behaviour) as stubs:
        assert await stubs.route(timeout=30) == router.RouteResponse()
    assert asyncio.current_task().cancelling() == 0


async def test_tasks_of_a_servicer_end_with_its_call(served):
    """A TaskGroup's parent is the servicer's task, which in process is the caller's."""
    ended = []
    working = asyncio.Event()

    async def work():
        try:
            working.set()
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def behaviour(request, context):
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(work())

    async with served(unary=behaviour) as stubs:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stubs.route(timeout=0.05)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            while len(ended) < 2:
                await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_a_task_that_fails_in_a_servicers_group_fails_the_call_alone(served):
    async def fail():
        raise OSError

    async def behaviour(request, context):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()

    async with served(unary=behaviour) as stubs:
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stubs.route()
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert asyncio.current_task().cancelling() == 0
        async with asyncio.timeout(5):
            await asyncio.sleep(0)


async def test_a_defect_in_a_servicers_finally_is_not_the_leaving_readers(served, responses):
    ended = asyncio.Event()

    async def behaviour(request, context):
        try:
            while True:
                yield responses("a")
        finally:
            ended.set()
            raise RuntimeError("in the servicer's finally")

    async with served(stream=behaviour) as stubs:
        async with cancelled_on_exit(stubs.generate()) as call:
            await anext(aiter(call))
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_thousand_calls_that_are_cancelled_leave_nothing_running(served):
    running = 0

    async def behaviour(request, context):
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    async with served(unary=behaviour) as stubs:

        async def caller():
            await stubs.route(timeout=30)

        tasks = [asyncio.create_task(caller()) for _ in range(1000)]
        async with asyncio.timeout(30):
            while running < 1000:
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            while running:
                await asyncio.sleep(0)
    assert all(task.cancelled() for task in tasks)
