"""The five timers of an attempt and the caller's deadline; in each test only one can fire."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from penstock_common import errors
from penstock_common.http.client import HttpClient
from penstock_common.llm.types import Candidate, Plan, TextDelta
from penstock_common.telemetry.steps import Steps
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import (
    Answer,
    Body,
    End,
    NoResponse,
    stalled_after_headers,
)
from penstock_inference.adapters.providers.openai.client import OpenAIUpstream as OpenAIUpstreamAdapter
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.pool import Pool

LONG = dict.fromkeys(("connect", "headers", "first_token", "idle", "total"), "10m")
SHORT = "100ms"
# Where an upstream must be in time: more than a busy machine takes, and then more than that.
IN_TIME, LATER_SECONDS = "2s", 3.0
PING = b": keep-alive\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}\n\n'
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'


async def alone(serve, upstream, timer, seconds=SHORT):
    """Serve one upstream with this timer short and every other long."""
    return await serve(upstream.settings("first", timeouts={**LONG, timer: seconds}))


async def timed_out(caller, stage: str):
    """Ask, and require that this timer ended the attempt, not before it should, and that nobody was asked twice."""
    begun = time.monotonic()
    outcome = await caller.ask("first/m")
    assert isinstance(outcome.error, errors.UpstreamTimeout)
    assert outcome.error.stage == stage
    assert outcome.outcomes == [f"first timeout:{stage}"]
    assert time.monotonic() - begun > 0.09


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port where a connection never comes about: its queue of pending ones is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        yield port
        for connection in waiting:
            connection.close()


async def test_connect_fires_when_no_connection_comes_about(serve, first, black_hole: int):
    first.base_url = f"http://127.0.0.1:{black_hole}/v1"
    await timed_out(await alone(serve, first, "connect"), "connect")


async def test_headers_fires_when_the_upstream_is_silent_after_accepting(serve, first):
    first.enqueue(NoResponse())
    await timed_out(await alone(serve, first, "headers"), "headers")


async def test_first_token_fires_when_nothing_follows_the_headers(serve, first):
    first.enqueue(stalled_after_headers())
    await timed_out(await alone(serve, first, "first_token"), "first_token")


async def test_first_token_fires_when_only_pings_and_a_role_come(serve, first):
    first.enqueue(Answer(insert={0: PING}, stop_after=1, end=End.STALL))
    await timed_out(await alone(serve, first, "first_token"), "first_token")


async def test_idle_fires_when_content_stops(serve, first):
    first.enqueue(Answer(stop_after=3, end=End.STALL))
    caller = await alone(serve, first, "idle")
    await timed_out(caller, "idle")
    assert first.requests[0].left.is_set() or await asyncio.wait_for(first.requests[0].left.wait(), 60)


@pytest.mark.parametrize("ping", [PING, USAGE], ids=["ping", "usage"])
async def test_idle_is_not_reset_by_what_is_not_content(ping, serve, first):
    # Without an end: if they counted, nothing would.
    first.enqueue(Body(frames=[TOKEN, ping], end=End.REPEAT))
    await timed_out(await alone(serve, first, "idle"), "idle")


async def test_total_fires_while_content_still_comes(serve, first):
    first.enqueue(Body(frames=[TOKEN], end=End.REPEAT))
    await timed_out(await alone(serve, first, "total"), "total")


async def test_the_deadline_ends_an_attempt_before_the_caller_gives_up(first):
    # Without a transport, whose own deadline would end the call a moment later.
    first.enqueue(NoResponse())
    candidate, steps = Candidate(upstream="first", model="m"), Steps()
    generation = Generation(QUESTION, Plan(candidates=(candidate,)), seconds_left=0.2)
    async with HttpClient() as client:
        upstream = OpenAIUpstreamAdapter(client, first.base_url, "", Dialect())
        parts = GenerationParts({"first": Pool([Endpoint(upstream)])}, Catalogue([Model(candidate)]))
        begun = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            await anext(Batches(generation, parts, steps))
    assert time.monotonic() - begun > 0.17
    assert [step.attributes["outcome"] for step in steps.recorded] == ["deadline:deadline"]


async def test_a_reasoning_delta_counts_as_content(serve, first):
    thought = asyncio.Event()
    first.enqueue(Answer(reasoning=["Hm."], hold={2: thought}))
    caller = await alone(serve, first, "first_token", IN_TIME)
    loop = asyncio.get_running_loop()
    # After the time that would be over if the thought did not count.
    outcome = await caller.ask("first/m", seen=lambda _: loop.call_later(LATER_SECONDS, thought.set) and None)
    assert outcome.answer.text == "Hello, world."
    assert outcome.answer.reasoning == "Hm."


async def test_a_slow_reader_does_not_look_like_a_silent_upstream(serve, first):
    more = asyncio.Event()
    first.enqueue(Answer(tokens=["one", "two"], hold={2: more}))
    caller = await alone(serve, first, "idle", IN_TIME)
    texts = [text async for text in read_slowly(caller, more)]
    assert texts == ["one", "two"]


async def read_slowly(caller, more: asyncio.Event) -> AsyncIterator[str]:
    """Yield the texts, after the first one pausing for longer than the idle timer."""
    async for batch in caller.call("first/m"):
        for event in batch:
            if isinstance(event, TextDelta):
                yield event.text
                if not more.is_set():
                    resumed = asyncio.Event()
                    asyncio.get_running_loop().call_later(LATER_SECONDS, resumed.set)
                    await resumed.wait()
                    more.set()


async def test_a_silent_upstream_costs_its_timer_once_before_failing_over(serve, first, second):
    first.enqueue(NoResponse())
    caller = await serve(first.settings("first", timeouts={"first_token": SHORT}), second.settings("second"))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first timeout:headers", "second answered"]
    assert outcome.answer.text == "Hello, world."
