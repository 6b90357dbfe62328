"""Many calls at once, each in a context of its own."""

import asyncio
from contextvars import ContextVar

import pytest

from penstock.inference.v1 import inference_service_pb2 as inference
from penstock.router.v1 import router_service_pb2 as router
from penstock_common.testing.transports import IN_PROCESS

COLOUR = ContextVar("colour", default="none")


async def read_all(call):
    return [response.event.text_delta.text async for response in call]


async def test_what_a_servicer_sets_does_not_reach_its_caller(served, responses):
    async def unary(request, context):
        COLOUR.set("red")
        return router.RouteResponse()

    async def stream(request, context):
        COLOUR.set("red")
        yield responses("a")
        yield responses("b")

    async with served(unary=unary, stream=stream) as stubs:
        COLOUR.set("blue")
        await stubs.route()
        assert COLOUR.get() == "blue"
        async for _ in stubs.generate():
            assert COLOUR.get() == "blue"
        left = stubs.generate()
        await anext(aiter(left))
        left.cancel()
    assert COLOUR.get() == "blue"


async def test_what_a_servicer_sets_it_keeps_until_its_end(served, responses):
    seen, ended = [], asyncio.Event()

    async def stream(request, context):
        COLOUR.set(request.input.model)
        try:
            for _ in range(3):
                yield responses(COLOUR.get())
                await asyncio.sleep(0)
        finally:
            seen.append(COLOUR.get())
            ended.set()

    def request_for(colour):
        request = inference.GenerateRequest()
        request.input.model = colour
        return request

    async with served(stream=stream) as stubs:
        red, green = stubs.generate(request_for("red")), stubs.generate(request_for("green"))
        # Interleaved in one task: each stream goes on in its own context.
        pairs = [(await anext(aiter(red)), await anext(aiter(green))) for _ in range(3)]
        assert [[response.event.text_delta.text for response in pair] for pair in pairs] == [["red", "green"]] * 3
        assert await read_all(red) == await read_all(green) == []
    assert sorted(seen) == ["green", "red"]


async def test_what_a_caller_sets_after_making_a_call_does_not_reach_the_servicer(served):
    seen = []

    async def unary(request, context):
        seen.append(COLOUR.get())
        return router.RouteResponse()

    async with served(unary=unary) as stubs:
        call = stubs.route()
        COLOUR.set("blue")
        await call
    assert seen == ["none"]


async def test_in_process_a_servicer_reads_its_callers_context(served, transport):
    """Only there: what must cross every transport is metadata."""
    if transport != IN_PROCESS:
        pytest.skip("a socket carries metadata only")

    async def unary(request, context):
        seen.append(COLOUR.get())
        return router.RouteResponse()

    seen = []
    async with served(unary=unary) as stubs:
        COLOUR.set("blue")
        await stubs.route()
    assert seen == ["blue"]


async def test_many_calls_at_once_each_get_their_own_answer(served):
    running, most = 0, 0
    all_here = asyncio.Event()

    async def unary(request, context):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 200:
            all_here.set()
        await all_here.wait()
        running -= 1
        response = router.RouteResponse()
        response.plan.reason = request.embedding_model
        return response

    async with served(unary=unary) as stubs, asyncio.timeout(30):
        requests = [router.RouteRequest(embedding_model=str(number)) for number in range(200)]
        answers = await asyncio.gather(*(stubs.route(request) for request in requests))
    assert [answer.plan.reason for answer in answers] == [str(number) for number in range(200)]
    assert most == 200


async def test_many_streams_at_once_keep_their_order(served, responses):
    async def stream(request, context):
        for number in range(50):
            yield responses(str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)

    async with served(stream=stream) as stubs, asyncio.timeout(60):
        read = await asyncio.gather(*(read_all(stubs.generate(timeout=50)) for _ in range(200)))
    assert read == [[str(number) for number in range(50)]] * 200


async def test_a_slow_reader_holds_its_servicer_back(served, responses):
    """Nothing between the two gathers an unbounded stream."""
    made = 0

    async def stream(request, context):
        nonlocal made
        while True:
            made += 1
            yield responses("x" * 10_000)

    async with served(stream=stream) as stubs:
        call = stubs.generate()
        reading = aiter(call)
        await anext(reading)
        before = -1
        async with asyncio.timeout(10):
            # On a socket the buffers fill up first.
            while made != before:
                before = made
                for _ in range(200):
                    await asyncio.sleep(0)
        assert made * 10_000 < 10 * 1024 * 1024
        await anext(reading)
        call.cancel()


async def test_a_call_in_a_call_in_one_task_answers_through_both(served):
    async def inner_behaviour(request, context):
        COLOUR.set("inner")
        response = router.RouteResponse()
        response.plan.reason = "inner of " + request.embedding_model
        return response

    async with served(unary=inner_behaviour) as inner:

        async def outer_behaviour(request, context):
            COLOUR.set("outer")
            first = await inner.route(request)
            second = await inner.route(request)
            assert COLOUR.get() == "outer"
            response = router.RouteResponse()
            response.plan.reason = first.plan.reason + ", " + second.plan.reason
            return response

        async with served(unary=outer_behaviour) as outer:
            answer = await outer.route(router.RouteRequest(embedding_model="x"), timeout=30)
    assert answer.plan.reason == "inner of x, inner of x"
