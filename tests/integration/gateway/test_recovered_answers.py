"""An answer that breaks off and is made whole, as callers of each surface see it, and as it is billed and kept."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock_common.testing.openai_upstream import Answer, End

TEXT = "Hello, world."
CUT = Answer(stop_after=3, end=End.RESET)
DELIVERED = "Hello, "


def text_of(answered):
    choices = [choice for chunk in answered.chunks for choice in chunk.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.fixture
async def caller(suite):
    """The typed API, and how to say who asks."""
    return rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)


def question(model="safe", **more):
    message = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    return pb.StreamChatRequest(input={"model": model, "messages": [message]}, **more)


async def test_a_stream_is_whole_and_its_last_chunk_says_what_happened(suite, upstream, second_upstream):
    upstream.enqueue(CUT)
    answered = await suite.ask(model="safe", stream=True, stream_options={"include_usage": True})
    assert text_of(answered) == TEXT
    assert answered.frames[-1] == "data: [DONE]"
    *chunks, last = answered.chunks
    assert last["x_penstock"]["recovered"] == [
        {"from": "first/m1", "cause": "cut", "way": "regenerated", "delivered_characters": len(DELIVERED)}
    ]
    assert {chunk["id"] for chunk in chunks} == {last["id"]}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks].count("stop") == 1
    assert sum("role" in chunk["choices"][0]["delta"] for chunk in chunks) == 1
    assert len(second_upstream.requests) == 1


async def test_a_typed_stream_is_whole_and_its_end_names_both(suite, upstream, caller):
    stub, metadata = caller
    upstream.enqueue(CUT)
    events = [response.event async for response in stub.StreamChat(question(), metadata=metadata)]
    assert "".join(event.text_delta.text for event in events) == TEXT
    finished = events[-1].finished
    assert (events[0].started.answered_by.upstream, finished.answered_by.upstream) == ("first", "second")
    (recovery,) = finished.recoveries
    assert (recovery.broke.upstream, recovery.cause, recovery.way) == ("first", "cut", recovery.WAY_REGENERATED)
    assert finished.cost_nano_usd > recovery.cost_nano_usd > 0


async def test_who_does_not_stream_sees_the_answer_and_how_many_attempts_it_took(suite, upstream):
    upstream.enqueue(CUT)
    answered = await suite.ask(model="safe")
    assert answered.json["choices"][0]["message"]["content"] == TEXT
    assert answered.header["x-penstock-attempts"] == "2"


@pytest.mark.parametrize("word", ["off", " OFF "])
async def test_a_header_forbids_it(suite, upstream, second_upstream, word):
    upstream.enqueue(CUT)
    answered = await suite.ask(model="safe", stream=True, headers={"x-penstock-recovery": word})
    assert text_of(answered) == DELIVERED
    assert answered.frames[-1] != "data: [DONE]"
    assert json.loads(answered.frames[-1][6:])["error"]["message"].startswith("first/m1: ")
    assert second_upstream.requests == []


async def test_a_typed_request_forbids_it(suite, upstream, second_upstream, caller):
    stub, metadata = caller
    upstream.enqueue(CUT)
    with pytest.raises(Exception, match="broke off after 7 characters"):
        [None async for _ in stub.StreamChat(question(no_recovery=True), metadata=metadata)]
    assert second_upstream.requests == []


async def test_a_word_that_means_nothing_is_refused(suite):
    answered = await suite.ask(headers={"x-penstock-recovery": "maybe"})
    assert answered.status == 400
    assert answered.error["message"].startswith("'x-penstock-recovery' must be on or off")


async def test_it_is_billed_for_both_and_not_kept(suite, upstream, redis_server):
    upstream.enqueue(CUT)
    await suite.ask(model="safe", stream=True)
    again = await suite.ask(model="safe", stream=True)
    assert again.header["x-penstock-cache"] == "miss"
    first, second = await suite.ledger_after_close()
    assert (first["outcome"], first["upstream"], first["attempts"]) == ("ok", "second", 2)
    # The question and "Hello, " there; the whole answer as the other counts it.
    assert first["cost_nano_usd"] > second["cost_nano_usd"]


async def test_who_leaves_in_the_middle_of_a_recovery_owes_both(suite, upstream, second_upstream, hold):
    upstream.enqueue(CUT)
    second_upstream.enqueue(Answer(hold={3: hold}))
    async with suite.open_stream(model="safe") as response:
        await response.content.readuntil(b"Hello, ")
        await second_upstream.next_request()
        await asyncio.sleep(0)
    await second_upstream.requests[0].left.wait()
    hold.set()
    (row,) = await suite.ledger_after_close()
    assert row["outcome"] == "cancelled"
    one_prompt = 5
    assert row["input_tokens"] >= 2 * one_prompt
    assert row["output_tokens"] >= 2
