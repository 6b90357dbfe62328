"""Many calls at once."""

import asyncio
from contextvars import ContextVar

import pytest

from penstock_common.testing.transports import IN_PROCESS, SOCKET

COLOUR = ContextVar("colour", default="none")


async def test_in_process_a_servicer_runs_in_its_callers_context(served, transport):
    """Only there: what must cross every transport is metadata, and a servicer sets nothing."""
    if transport != IN_PROCESS:
        pytest.skip("a socket carries metadata only")
    seen = []

    async def unary(request, call):
        seen.append((COLOUR.get(), asyncio.current_task()))
        return request

    async with served(unary=unary) as client:
        COLOUR.set("blue")
        await client.ask()
    assert seen == [("blue", asyncio.current_task())]


async def test_over_a_socket_a_servicer_has_a_context_of_its_own(served, transport):
    if transport != SOCKET:
        pytest.skip("in process it is the caller's")

    async def unary(request, call):
        COLOUR.set("red")
        return request

    async with served(unary=unary) as client:
        COLOUR.set("blue")
        await client.ask()
    assert COLOUR.get() == "blue"


async def test_a_call_that_need_not_wait_arms_no_timer_and_lets_nobody_in_between(served, transport, monkeypatch):
    if transport != IN_PROCESS:
        pytest.skip("a socket waits")
    armed = []
    async with served() as client:
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(asyncio.sleep(0))
        if isinstance(loop, asyncio.BaseEventLoop):
            monkeypatch.setattr(loop, "call_later", lambda *_: armed.append("timer"))
        await client.ask()
        assert not running.done()
        await running
    assert armed == []


async def test_many_calls_at_once_each_get_their_own_answer(served, note):
    running, most = 0, 0
    all_here = asyncio.Event()

    async def unary(request, call):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 200:
            all_here.set()
        await all_here.wait()
        running -= 1
        return request

    async with served(unary=unary) as client, asyncio.timeout(60):
        answers = await asyncio.gather(*(client.ask(str(number)) for number in range(200)))
    assert [answer.text for answer in answers] == [str(number) for number in range(200)]
    assert most == 200


async def test_many_streams_at_once_keep_their_order(served, note, texts_of):
    async def stream(request, call):
        for number in range(50):
            yield note(str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)

    async with served(stream=stream) as client, asyncio.timeout(60):
        read = await asyncio.gather(*(texts_of(client.tell(timeout=50)) for _ in range(200)))
    assert read == [[str(number) for number in range(50)]] * 200


async def test_a_slow_reader_holds_its_servicer_back(served, note):
    """Nothing between the two gathers an unbounded stream."""
    made = 0

    async def stream(request, call):
        nonlocal made
        while True:
            made += 1
            yield note("x" * 10_000)

    async with served(stream=stream) as client:
        responses = client.tell()
        await anext(aiter(responses))
        before = -1
        async with asyncio.timeout(60):
            # On a socket the buffers fill up first.
            while made != before:
                before = made
                for _ in range(200):
                    await asyncio.sleep(0)
        assert made * 10_000 < 10 * 1024 * 1024
        await anext(aiter(responses))
        await responses.aclose()


async def test_two_streams_read_in_turns_by_one_task_go_on_each_by_itself(served, note):
    async def stream(request, call):
        for number in range(3):
            yield note(f"{request.text}{number}")
            await asyncio.sleep(0)

    async with served(stream=stream) as client:
        red, green = client.tell("red"), client.tell("green")
        pairs = [(await anext(aiter(red)), await anext(aiter(green))) for _ in range(3)]
        assert [[response.text for response in pair] for pair in pairs] == [
            [f"red{number}", f"green{number}"] for number in range(3)
        ]
        await red.aclose()
        await green.aclose()


async def test_a_call_in_a_call_in_one_task_answers_through_both(served, note):
    async def inner_behaviour(request, call):
        await asyncio.sleep(0)
        return note("inner of " + request.text)

    async with served(unary=inner_behaviour) as inner:

        async def outer_behaviour(request, call):
            first = await inner.ask(request.text)
            second = await inner.ask(request.text)
            return note(first.text + ", " + second.text)

        async with served(unary=outer_behaviour) as outer:
            answer = await outer.ask("x", timeout=30)
    assert answer.text == "inner of x, inner of x"
