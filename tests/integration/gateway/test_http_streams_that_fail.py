"""Streams whose upstream is silent or breaks: the head held back, silence filled, never a truncated success."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.testing.openai_upstream import Answer, End, Failure, NoResponse

LATE = {"stream": True, "stream_options": {"include_usage": True}}


async def test_error_before_the_head_is_due_keeps_its_status(suite, upstream, hold):
    upstream.enqueue(*[Failure(503)] * 4)
    answered = await suite.ask(**LATE)
    assert answered.status == 502
    assert answered.header["content-type"] == "application/json"


async def test_head_comes_after_hold_back_then_comments_then_an_error_in_band(serve, document, upstream):
    document["gateway"] |= {"hold_back": "50ms", "keep_alive": "20ms"}
    suite = await serve()
    upstream.enqueue(NoResponse())
    answered = await suite.ask(**LATE, headers={"x-penstock-timeout": "400ms"})
    assert answered.status == 200
    assert answered.header["content-type"] == "text/event-stream; charset=utf-8"
    *comments, last = answered.frames
    assert comments
    assert set(comments) == {": keep-alive"}
    # One at hold_back, then one every keep_alive, the machine's own pauses apart.
    assert len(comments) <= 1 + 350 // 20
    (error,) = answered.chunks
    assert error["error"]["code"] == "deadline_exceeded"
    assert last.startswith('data: {"error"')
    assert b"[DONE]" not in answered.body


async def test_late_answer_follows_the_comments(serve, document, upstream, hold):
    document["gateway"] |= {"hold_back": "30ms", "keep_alive": "10s"}
    suite = await serve()
    upstream.enqueue(Answer(hold={1: hold}))
    async with suite.open_stream() as response:
        assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        hold.set()
        rest = await response.read()
    assert b"keep-alive" not in rest
    assert rest.endswith(b"data: [DONE]\n\n")
    # Sent before anybody had answered.
    assert "x-penstock-model" not in response.headers


async def test_silence_in_the_middle_is_filled(serve, document, upstream, hold):
    document["gateway"] |= {"keep_alive": "20ms"}
    suite = await serve()
    upstream.enqueue(Answer(tokens=["one", "two"], hold={2: hold}))
    async with suite.open_stream() as response:
        received = b""
        # Long before hold_back, which no longer counts.
        async with asyncio.timeout(60):
            while received.count(b": keep-alive") < 3:
                received += await response.content.readany()
        hold.set()
        received += await response.read()
    assert received.index(b"one") < received.index(b": keep-alive") < received.index(b"two")
    assert received.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("end", [End.FIN, End.RESET], ids=str)
async def test_upstream_cut_in_the_middle_ends_in_an_error_and_nothing_after_it(suite, upstream, end, hold):
    upstream.enqueue(Answer(tokens=["one", "two", "three"], stop_after=3, end=end, hold={3: hold}))
    async with suite.open_stream() as response:
        received = b""
        while b"two" not in received:
            received += await response.content.readany()
        hold.set()
        received += await response.read()
    assert response.status == 200
    *before, last = received.decode().split("\n\n")[:-1]
    assert last.startswith('data: {"error"')
    assert '"code":"upstream_failed"' in last
    assert not any("error" in frame for frame in before)
    assert '"finish_reason":"stop"' not in received.decode()
    assert b"[DONE]" not in received


@pytest.mark.parametrize("end", [End.FIN, End.RESET], ids=str)
async def test_whole_answer_that_is_cut_is_an_error_and_never_half_an_answer(suite, upstream, end):
    # Nothing was sent, so it is asked for once more.
    upstream.enqueue(*[Answer(tokens=["one", "two", "three"], stop_after=3, end=end)] * 2)
    answered = await suite.ask()
    assert answered.status == 502
    assert answered.error["code"] == "upstream_failed"
    assert b"one" not in answered.body


async def test_next_candidate_answers_invisibly_when_the_first_fails_before_its_first_token(
    suite, upstream, second_upstream
):
    upstream.enqueue(*[Failure(503)] * 2)
    second_upstream.enqueue(Answer(tokens=["I ", "am ", "second"]))
    answered = await suite.ask(model="safe", **LATE)
    assert answered.status == 200
    assert answered.header["x-penstock-upstream"] == "second"
    assert answered.frames[-1] == "data: [DONE]"


async def test_next_request_is_served_normally_after_each_failure(suite, upstream):
    for behaviour in (Failure(500), NoResponse(End.RESET), Answer(stop_after=2, end=End.FIN)):
        upstream.enqueue(*[behaviour] * 4)
        await suite.ask("broken", stream=True)
        upstream.drop_queue()
        assert (await suite.ask("well", headers={"x-penstock-cache": "no-store"})).status == 200


async def test_reader_who_does_not_read_holds_nobody_up(suite, upstream):
    upstream.enqueue(Answer(tokens=["x" * 60_000] * 200))
    async with suite.open_stream("a") as slow:
        assert slow.status == 200
        async with asyncio.timeout(60):
            assert (await suite.ask("b")).status == 200
        body = await slow.read()
    assert body.count(b"x") >= 200 * 60_000
    assert body.endswith(b"data: [DONE]\n\n")
