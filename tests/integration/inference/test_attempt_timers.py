"""The five timers of an attempt and the caller's deadline; in each test only one can fire."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from inference_rig import Rig, upstream_settings
from penstock_common import errors
from penstock_common.llm.types import TextDelta
from penstock_common.testing.openai_upstream import (
    Answer,
    Body,
    End,
    NoResponse,
    OpenAIUpstream,
    stalled_after_headers,
)

LONG = {"connect": "30s", "headers": "30s", "first_token": "30s", "idle": "30s", "total": "30s"}
SHORT = "100ms"
PING = b": keep-alive\n\n"


Serve = Callable[..., Any]


async def alone(served: Serve, upstream: OpenAIUpstream, timer: str, **more: Any) -> Rig:
    """Serve one upstream with this timer short and every other long."""
    return await served(upstream_settings("first", upstream, timeouts={**LONG, timer: SHORT}, **more))


async def timed_out(rig: Rig, stage: str) -> None:
    """Ask, and require that this timer ended the attempt, about when it should, and that nobody was asked twice."""
    begun = time.monotonic()
    outcome = await rig.ask("first/m")
    assert isinstance(outcome.error, errors.UpstreamTimeout)
    assert outcome.error.stage == stage
    assert outcome.outcomes == [f"first timeout:{stage}"]
    assert 0.09 < time.monotonic() - begun < 5


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


async def test_connect_fires_when_no_connection_comes_about(
    served: Serve, first: OpenAIUpstream, black_hole: int
) -> None:
    first.base_url = f"http://127.0.0.1:{black_hole}/v1"
    await timed_out(await alone(served, first, "connect"), "connect")


async def test_headers_fires_when_the_upstream_is_silent_after_accepting(served: Serve, first: OpenAIUpstream) -> None:
    first.enqueue(NoResponse())
    await timed_out(await alone(served, first, "headers"), "headers")


async def test_first_token_fires_when_nothing_follows_the_headers(served: Serve, first: OpenAIUpstream) -> None:
    first.enqueue(stalled_after_headers())
    await timed_out(await alone(served, first, "first_token"), "first_token")


async def test_first_token_fires_when_only_pings_and_a_role_come(served: Serve, first: OpenAIUpstream) -> None:
    first.enqueue(Answer(insert={0: PING}, stop_after=1, end=End.STALL))
    await timed_out(await alone(served, first, "first_token"), "first_token")


async def test_idle_fires_when_content_stops(served: Serve, first: OpenAIUpstream) -> None:
    first.enqueue(Answer(stop_after=3, end=End.STALL))
    rig = await alone(served, first, "idle")
    await timed_out(rig, "idle")
    assert first.requests[0].left.is_set() or await asyncio.wait_for(first.requests[0].left.wait(), 5)


async def test_idle_is_not_reset_by_pings(served: Serve, first: OpenAIUpstream) -> None:
    token = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    first.enqueue(Body(frames=[token, PING], end=End.REPEAT))
    await timed_out(await alone(served, first, "idle"), "idle")


async def test_total_fires_while_content_still_comes(served: Serve, first: OpenAIUpstream) -> None:
    token = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    first.enqueue(Body(frames=[token], end=End.REPEAT))
    await timed_out(await alone(served, first, "total"), "total")


async def test_the_deadline_ends_an_attempt_before_the_caller_gives_up(served: Serve, first: OpenAIUpstream) -> None:
    first.enqueue(NoResponse())
    rig = await served(upstream_settings("first", first, timeouts=LONG))
    outcome = await rig.ask("first/m", timeout=0.3)
    assert isinstance(outcome.error, errors.DeadlineExceeded)
    assert outcome.outcomes == ["first deadline:deadline"]


async def test_a_reasoning_delta_counts_as_content(served: Serve, first: OpenAIUpstream) -> None:
    thought = asyncio.Event()
    first.enqueue(Answer(reasoning=["Hm."], hold={2: thought}))
    rig = await alone(served, first, "first_token")
    begun = time.monotonic()
    loop = asyncio.get_running_loop()
    # Three times the timer that would fire if the thought did not count.
    outcome = await rig.ask("first/m", seen=lambda _: loop.call_at(begun + 0.3, thought.set) and None)
    assert outcome.answer.text == "Hello, world."
    assert outcome.answer.reasoning == "Hm."


async def test_a_slow_reader_does_not_look_like_a_silent_upstream(served: Serve, first: OpenAIUpstream) -> None:
    more = asyncio.Event()
    first.enqueue(Answer(tokens=["one", "two"], hold={2: more}))
    rig: Rig = await alone(served, first, "idle")
    texts = [text async for text in read_slowly(rig, more)]
    assert texts == ["one", "two"]


async def read_slowly(rig: Rig, more: asyncio.Event) -> AsyncIterator[str]:
    """Yield the texts, after the first one pausing for three times the idle timer."""
    from penstock_common.llm.convert import event_from_proto

    async for response in rig.call("first/m"):
        event = event_from_proto(response.event)
        if isinstance(event, TextDelta):
            yield event.text
            if not more.is_set():
                resumed = asyncio.Event()
                asyncio.get_running_loop().call_later(0.3, resumed.set)
                await resumed.wait()
                more.set()


async def test_a_silent_upstream_costs_its_timer_once_before_failing_over(
    served: Serve, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    first.enqueue(NoResponse())
    rig = await served(
        upstream_settings("first", first, timeouts={"first_token": SHORT}), upstream_settings("second", second)
    )
    outcome = await rig.ask("first/m", "second/m")
    assert outcome.outcomes == ["first timeout:headers", "second answered"]
    assert outcome.answer.text == "Hello, world."
