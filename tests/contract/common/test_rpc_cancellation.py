"""A caller that leaves ends everything below it, over both transports."""

import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.testing.garbage import uncollected
from penstock_common.testing.transports import IN_PROCESS


async def read_all(responses):
    return [response async for response in responses]


async def started(task, event):
    """Wait until the servicer has started, or fail with the caller's error."""
    waiting = asyncio.create_task(event.wait())
    async with asyncio.timeout(60):
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done(), task


async def test_cancelling_a_task_that_awaits_a_call_cancels_the_servicer(served, servicing):
    async with served(unary=servicing.unary) as client:
        task = asyncio.create_task(client.ask())
        await started(task, servicing.started)
        task.cancel()
        await servicing.until_ended()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert servicing.seen is asyncio.CancelledError


async def test_cancelling_a_task_that_awaits_a_response_of_a_stream_cancels_the_servicer(served, servicing):
    first = asyncio.Event()
    async with served(stream=servicing.stream) as client:

        async def caller():
            async for _ in client.tell():
                first.set()

        task = asyncio.create_task(caller())
        await started(task, first)
        task.cancel()
        await servicing.until_ended()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert servicing.seen is asyncio.CancelledError


async def test_a_cancelled_caller_passes_its_cancellation_on_and_has_it_once(served, servicing):
    async with served(unary=servicing.unary) as client:
        counts = []

        async def caller():
            try:
                await client.ask(timeout=30)
            except asyncio.CancelledError:
                counts.append(asyncio.current_task().cancelling())
                raise

        task = asyncio.create_task(caller())
        await started(task, servicing.started)
        task.cancel()
        await asyncio.wait((task,))
    assert task.cancelled()
    assert counts == [1]


@pytest.mark.parametrize("behaviour", ["stream", "flood"])
async def test_leaving_a_stream_early_ends_a_servicer_that_is_suspended_where_it_yields(served, servicing, behaviour):
    async with served(stream=getattr(servicing, behaviour)) as client:
        responses = client.tell()
        await anext(aiter(responses))
        await responses.aclose()
        await servicing.until_ended()
    assert servicing.seen in (asyncio.CancelledError, GeneratorExit)
    assert not asyncio.current_task().cancelling()


async def test_a_stream_that_is_dropped_unclosed_ends_its_servicer_in_process(served, servicing, transport):
    """Nobody may rely on it, and it shows that nothing holds a stream that its reader has forgotten."""
    if transport != IN_PROCESS:
        pytest.skip("a socket's call ends with its connection or its deadline")
    with uncollected():
        async with served(stream=servicing.stream) as client:
            responses = client.channel._channel.stream(client.tell_method, client.tell_method)
            await anext(responses)
            # The timer alone knows it now.
            responses._timer.cancel()
            del responses
            await servicing.until_ended()
    assert servicing.seen in (asyncio.CancelledError, GeneratorExit)


@pytest.fixture
def cycles():
    """Returns what of the suite's objects only the garbage collector could free since the last time."""

    def found():
        gc.collect()
        ours = [each for each in gc.garbage if type(each).__module__.startswith("penstock_common")]
        # Metrics live as long as a process; those that other tests have let go may end at any time.
        ours = [each for each in ours if type(each).__module__ != "penstock_common.telemetry.metrics"]
        gc.garbage.clear()
        return ours

    with uncollected():
        gc.set_debug(gc.DEBUG_SAVEALL)
        yield found
        gc.set_debug(0)
        gc.garbage.clear()


async def test_a_call_in_process_leaves_no_cycle_behind(served, note, transport, cycles, texts_of):
    if transport != IN_PROCESS:
        pytest.skip("grpcio has its own")

    async def unary(request, call):
        await asyncio.sleep(0)
        if request.text:
            raise ZeroDivisionError
        return request

    async def stream(request, call):
        yield request
        await unary(request, call)

    async with served(unary=unary, stream=stream) as client:
        for _ in range(5):
            await client.ask()
            await texts_of(client.tell())
        assert cycles() == []
        with capture_logs() as logged:
            for ending in (lambda: client.ask("fail"), lambda: texts_of(client.tell("fail"))):
                with pytest.raises(errors.InternalError) as caught:
                    await ending()
                assert caught.value.__context__ is None
                del caught
            logged.clear()
        assert cycles() == []


async def test_leaving_a_stream_with_an_error_ends_the_servicer_and_keeps_the_error(served, servicing):
    async def leave(responses):
        try:
            async for _ in responses:
                raise ZeroDivisionError
        finally:
            await responses.aclose()

    async with served(stream=servicing.flood) as client:
        with pytest.raises(ZeroDivisionError):
            await leave(client.tell())
        await servicing.until_ended()


async def test_leaving_a_finished_stream_disturbs_nothing(served, note, texts_of):
    async def behaviour(request, call):
        yield note("a")
        with call.steps.step("late"):
            pass

    async with served(stream=behaviour) as client:
        steps = []
        responses = client.tell(steps=steps)
        assert await texts_of(responses) == ["a"]
        await responses.aclose()
    assert [step.name for step in steps] == ["late"]


async def test_cancellation_runs_down_two_hops(served, servicing):
    async with served(stream=servicing.stream) as inner:

        async def relay(request, call):
            responses = inner.tell()
            try:
                async for response in responses:
                    yield response
            finally:
                await responses.aclose()

        async with served(stream=relay) as outer:
            first = asyncio.Event()

            async def caller():
                responses = outer.tell()
                try:
                    async for _ in responses:
                        first.set()
                finally:
                    await responses.aclose()

            task = asyncio.create_task(caller())
            await started(task, first)
            task.cancel()
            await servicing.until_ended()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_timeout_around_a_call_ends_it_as_a_timeout(served, servicing):
    async with served(unary=servicing.unary, stream=servicing.stream) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.ask(timeout=30)
        if servicing.started.is_set():
            await servicing.until_ended()
        servicing.__post_init__()
        responses = client.tell()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await read_all(responses)
        await responses.aclose()
        if servicing.started.is_set():
            await servicing.until_ended()
    assert asyncio.current_task().cancelling() == 0


async def test_a_timeout_inside_a_servicer_is_the_servicers_own(served):
    async def behaviour(request, call):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        return request

    async with served(unary=behaviour) as client:
        assert (await client.ask("a", timeout=30)).text == "a"
    assert asyncio.current_task().cancelling() == 0


async def test_tasks_of_a_servicer_end_with_its_call(served):
    """A TaskGroup's parent is the servicer's task, which in process is the caller's."""
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    begun = asyncio.Event()

    async def behaviour(request, call):
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(work())
            begun.set()

    async with served(unary=behaviour) as client:
        with pytest.raises(errors.DeadlineExceeded):
            await client.ask(timeout=0.05)
        async with asyncio.timeout(60):
            while begun.is_set() and len(ended) < 2:
                await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_a_task_that_fails_in_a_servicers_group_fails_the_call_alone(served):
    async def fail():
        raise OSError

    async def behaviour(request, call):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()

    with capture_logs():
        async with served(unary=behaviour) as client:
            for _ in range(3):
                with pytest.raises(errors.InternalError):
                    await client.ask()
                assert asyncio.current_task().cancelling() == 0
            async with asyncio.timeout(60):
                await asyncio.sleep(0)


async def test_a_defect_in_a_servicers_finally_is_not_the_leaving_readers(served, note):
    ended = asyncio.Event()

    async def behaviour(request, call):
        try:
            while True:
                yield note("a")
        finally:
            ended.set()
            raise RuntimeError("in the servicer's finally")

    with capture_logs() as logged:
        async with served(stream=behaviour) as client:
            responses = client.tell()
            await anext(aiter(responses))
            await responses.aclose()
            async with asyncio.timeout(60):
                await ended.wait()
                while not logged:
                    await asyncio.sleep(0)
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_thousand_calls_that_are_cancelled_leave_nothing_running(served):
    running = 0

    async def behaviour(request, call):
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    async with served(unary=behaviour) as client:
        tasks = [asyncio.create_task(client.ask(timeout=60)) for _ in range(1000)]
        async with asyncio.timeout(60):
            while running < 1000:
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            while running:
                await asyncio.sleep(0)
    assert all(task.cancelled() for task in tasks)
