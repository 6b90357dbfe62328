"""A caller that leaves closes the upstream's connection at once, wherever the attempt is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock_common.testing.openai_upstream import (
    Answer,
    Behaviour,
    End,
    NoResponse,
    RecordedRequest,
    stalled_after_headers,
)

WINDOWS = {
    "before headers": NoResponse(),
    "before the first token": stalled_after_headers(),
    "mid-stream": Answer(stop_after=3, end=End.STALL),
}


async def gone(request: RecordedRequest):
    """Require that the upstream sees its client leave; its answer does not end by itself."""
    await asyncio.wait_for(request.left.wait(), 60)


async def read_all(call: Any, begun: asyncio.Event):
    """Read a call to its end; set ``begun`` at its first event."""
    async for _ in call:
        begun.set()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_cancelling_closes_the_connection(window: str, whole: bool, caller, first):
    behaviour: Behaviour = WINDOWS[window]
    first.enqueue(behaviour)
    begun = asyncio.Event()
    reading = asyncio.ensure_future(read_all(caller.call("first/m", whole=whole), begun))
    request = await first.next_request()
    if window == "mid-stream" and not whole:
        await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await gone(request)
    assert (await caller.ask("first/m")).answer.text == "Hello, world."


async def test_closing_the_stream_closes_the_connection(caller, first):
    first.enqueue(Answer(stop_after=3, end=End.STALL))
    call = caller.call("first/m")
    await anext(aiter(call))
    request = await first.next_request()
    await call.aclose()
    await gone(request)


async def test_failing_over_closes_the_connection_of_the_failed_attempt(caller, first):
    first.enqueue(Answer(tokens=[], insert={1: b"data: {nonsense\n\n"}, stop_after=2, end=End.STALL))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first malformed", "second answered"]
    await asyncio.wait_for(first.requests[0].left.wait(), 60)


async def test_a_connection_is_used_again_after_a_whole_answer(caller, first):
    for _ in range(3):
        assert (await caller.ask("first/m")).error is None
    assert first.connections == 1


async def test_a_connection_is_used_again_when_the_bodys_end_comes_a_moment_after_done(caller, first):
    end = asyncio.Event()
    first.enqueue(Answer(hold={8: end}))
    asyncio.get_running_loop().call_later(0.02, end.set)
    assert (await caller.ask("first/m")).error is None
    assert (await caller.ask("first/m")).error is None
    assert first.connections == 1


async def test_an_answer_does_not_wait_for_a_body_that_never_ends_after_done(serve, first):
    long = dict.fromkeys(("connect", "headers", "first_token", "idle", "total"), "10m")
    caller = await serve(first.settings("first", timeouts=long))
    first.enqueue(Answer(end=End.STALL))
    async with asyncio.timeout(60):
        assert (await caller.ask("first/m")).error is None
    await asyncio.wait_for(first.requests[0].left.wait(), 60)
