"""SIGTERM under load, and parts that are lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack

import grpc
import pytest
import pytest_asyncio

from penstock_common.testing.openai_upstream import Answer, Failure, NoResponse, OpenAIUpstream

STREAMS = 20
"""Of each kind, in flight when the signal comes."""


@pytest_asyncio.fixture(loop_scope="session")
async def upstream():
    async with OpenAIUpstream() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def second():
    async with OpenAIUpstream() as server:
        yield server


async def read_events(stack, number: int) -> str:
    """Return the body of a streamed answer of the OpenAI surface."""
    async with stack.open_stream(f"drain {number}") as response:
        assert response.status == 200
        return (await response.read()).decode()


async def read_typed(stack, number: int) -> str:
    body = {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": f"drain {number}"}]}]}}
    answer = await stack.request("POST", "/api/v1/chat:stream", json=body)
    assert answer.status == 200
    return answer.body.decode()


async def read_grpc(caller, number: int) -> list:
    return [response.event async for response in caller.stream(f"drain {number}")]


async def read_whole(caller, number: int):
    return await caller.chat(f"drain {number}")


async def first_refusal(stack):
    """Return how many latecomers were still served, and the first that was not.

    A gateway by itself gives notice that it leaves before it refuses: until then it serves who has no other.
    """
    async with asyncio.timeout(60):
        served = 0
        while (answer := await stack.ask("late")).status == 200:
            served += 1
    assert answer.status == 503
    return served, answer


async def test_sigterm_lets_what_is_in_flight_end_and_refuses_what_comes(
    launch, grpc_caller, descendants, running, wait, upstream
):
    stack = await launch(("first", upstream))
    caller = grpc_caller(stack)
    rest = asyncio.Event()
    upstream.enqueue(*[Answer(tokens=["Hel", "lo", "!"], hold={2: rest})] * (4 * STREAMS))
    kinds = [(read_events, stack), (read_typed, stack), (read_grpc, caller), (read_whole, caller)]
    reading = [[asyncio.ensure_future(read(target, number)) for number in range(STREAMS)] for read, target in kinds]
    await wait(lambda: len(upstream.requests) == 4 * STREAMS)
    assert len(upstream.requests) == 4 * STREAMS
    started = descendants(stack.process.pid)
    assert started

    stack.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        while await stack.status("/readyz") != 503:
            pass
    served, refused = await first_refusal(stack)
    assert int(refused.header["retry-after"]) >= 1
    assert refused.json["error"]["code"] == "overloaded"
    late = await stack.request("POST", "/api/v1/chat", json={"input": {"model": "fast"}})
    assert (late.status, late.json["code"]) == (503, 14)
    assert int(late.header["retry-after"]) >= 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.chat("late")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert b"RetryInfo" in dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    assert await stack.status("/healthz") == 200
    # In flight for as long as a usual answer.
    await asyncio.sleep(2)
    rest.set()

    bodies, typed, events, whole = [await asyncio.gather(*tasks) for tasks in reading]
    for body in bodies:
        assert body.endswith("data: [DONE]\n\n")
        assert "error" not in body
    for body in typed:
        assert "finished" in json.loads(body.splitlines()[-1])["result"]["event"]
    for stream in events:
        assert stream[-1].WhichOneof("event") == "finished"
        assert "".join(event.text_delta.text for event in stream) == "Hello!"
    assert {answer.message.parts[0].text for answer in whole} == {"Hello!"}

    assert await stack.stop() == 0
    assert await wait(lambda: not running(started)), running(started)
    rows = stack.ledger()
    assert len(rows) == 4 * STREAMS + served
    assert {row["outcome"] for row in rows} == {"ok"}
    assert not (stack.state / "run.json").exists()


async def test_a_second_sigterm_ends_at_once(launch, descendants, running, wait, upstream):
    stack = await launch(("first", upstream))
    upstream.enqueue(NoResponse())
    reading = asyncio.ensure_future(stack.ask("held"))
    await upstream.next_request()
    started = descendants(stack.process.pid)
    stack.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        while await stack.status("/readyz") != 503:
            pass
    async with asyncio.timeout(60):
        await stack.stop()
    await asyncio.gather(reading, return_exceptions=True)
    assert await wait(lambda: not running(started)), running(started)
    assert await asyncio.to_thread(lambda: [row["outcome"] for row in stack.ledger()]) != []


async def test_a_stack_that_is_killed_takes_its_parts_along(launch, descendants, running, wait, upstream):
    stack = await launch(("first", upstream))
    started = descendants(stack.process.pid)
    assert started
    stack.process.kill()
    await stack.process.wait()
    assert await wait(lambda: not running(started)), running(started)


async def test_the_loss_of_a_provider_never_turns_readiness(launch, upstream, second):
    async with AsyncExitStack() as lost:
        gone = await lost.enter_async_context(OpenAIUpstream())
        stack = await launch(("gone", gone), ("second", second))
        assert (await stack.ask("before")).header["x-penstock-upstream"] == "gone"
    for number in range(20):
        answer = await stack.ask(f"after {number}")
        assert answer.status == 200
        assert answer.header["x-penstock-upstream"] == "second"
        assert await stack.status("/readyz") == 200
    second.enqueue(*[Failure(500)] * 50)
    failed = await stack.ask("nobody left")
    assert failed.status in {502, 503}
    assert await stack.status("/readyz") == 200


async def test_the_loss_of_redis_never_turns_readiness(launch, wait, upstream):
    stack = await launch(("first", upstream), cache={"mode": "exact"})
    assert (await stack.ask("before")).status == 200
    rest = asyncio.Event()
    upstream.enqueue(Answer(hold={2: rest}))
    async with stack.open_stream("while") as held:
        await held.content.readline()
        os.kill(redis_of(stack), signal.SIGKILL)
        for number in range(10):
            answer = await stack.ask(f"after {number}")
            assert answer.status == 200
            assert await stack.status("/readyz") == 200
        rest.set()
        assert (await held.read()).endswith(b"data: [DONE]\n\n")
    assert stack.process.returncode is None
    assert await wait(lambda: len(stack.ledger(outcome="ok")) >= 12)


async def test_limits_hold_while_redis_says_nothing(launch, upstream):
    stack = await launch(
        ("first", upstream),
        # Of a day, so that a busy machine's seconds give no request back.
        tenants=[{"name": "app", "tier": {"requests_per_day": 30}, "keys": ["key-of-app-key-of-app"]}],
    )
    redis = redis_of(stack)
    os.kill(redis, signal.SIGSTOP)
    try:
        # Counted by each gateway by itself.
        statuses = [(await stack.ask(f"limit {number}")).status for number in range(40 * stack.gateways)]
        assert await stack.status("/readyz") == 200
    finally:
        os.kill(redis, signal.SIGCONT)
    assert 30 <= statuses.count(200) <= 30 * stack.gateways
    assert statuses[-1] == 429


def redis_of(stack) -> int:
    record = json.loads((stack.state / "run.json").read_text())
    (redis,) = [part["pid"] for part in record["parts"] if part["name"] == "redis"]
    return redis
