"""A first token that is late, as callers of each surface see it, forbid it, and are billed for it."""

from __future__ import annotations

import asyncio

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock_common.testing.openai_upstream import Answer, stalled_after_headers
from penstock_inference.domain.hedging import SAMPLES_WANTED

FRESH = {"x-penstock-cache": "no-store"}
LONG = {"first_token": "10m", "idle": "10m"}
# The role comes, and nothing of the answer.
BEFORE_THE_ANSWER = 1


@pytest.fixture
def document(document):
    # A busy machine makes nobody slow, who would be asked after the other.
    document["health"] = {"slow_at_least": "1h"}
    document["hedging"] = {"enabled": True, "share": 0.5, "at_least": "300ms"}
    for upstream in document["upstreams"]:
        upstream["timeouts"] = LONG
    return document


@pytest.fixture
async def suite(suite):
    """The suite once it knows of the first upstream what it has to."""
    for _ in range(SAMPLES_WANTED):
        assert (await suite.ask(headers=FRESH, stream=True)).status == 200
    return suite


def question(kind, **more):
    message = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    return kind(input={"model": "safe", "messages": [message]}, cache_control={"no_store": True}, **more)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_another_answers_and_the_caller_is_told_how_many_were_asked(suite, upstream, second_upstream, stream):
    upstream.enqueue(stalled_after_headers())
    answered = await suite.ask(model="safe", headers=FRESH, stream=stream)
    assert answered.status == 200
    if not stream:
        assert answered.header["x-penstock-attempts"] == "2"
    assert len(second_upstream.requests) == 1
    await asyncio.wait_for(upstream.requests[-1].left.wait(), 60)
    *before, row = await suite.ledger_after_close()
    assert (row["outcome"], row["upstream"], row["attempts"]) == ("ok", "second", 2)
    # The usage is the answer's, the cost is of both.
    assert (row["input_tokens"], row["output_tokens"]) == (before[0]["input_tokens"], before[0]["output_tokens"])
    assert row["cost_nano_usd"] > before[0]["cost_nano_usd"]


def by_header(suite):
    return asyncio.ensure_future(suite.ask(model="safe", stream=True, headers={**FRESH, "x-penstock-hedge": " OFF "}))


def by_typed_stream(suite):
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)

    async def read():
        call = stub.StreamChat(question(pb.StreamChatRequest, no_hedging=True), metadata=metadata)
        return [response async for response in call]

    return asyncio.ensure_future(read())


def by_typed_request(suite):
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)

    async def read():
        return await stub.Chat(question(pb.ChatRequest, no_hedging=True), metadata=metadata)

    return asyncio.ensure_future(read())


@pytest.mark.parametrize("forbid", [by_header, by_typed_stream, by_typed_request], ids=lambda each: each.__name__)
async def test_who_forbids_it_waits_for_whom_was_asked(suite, upstream, second_upstream, hold, forbid):
    upstream.enqueue(Answer(hold={BEFORE_THE_ANSWER: hold}))
    upstream.enqueue(stalled_after_headers())
    forbids = forbid(suite)
    while len(upstream.requests) <= SAMPLES_WANTED:
        await asyncio.sleep(0.001)
    # This one is hedged, and began later: the other would have been by now.
    assert (await suite.ask(model="safe", stream=True, headers=FRESH)).status == 200
    assert len(second_upstream.requests) == 1
    hold.set()
    await forbids
    assert len(second_upstream.requests) == 1


async def test_a_word_that_means_nothing_is_refused(suite):
    answered = await suite.ask(headers={"x-penstock-hedge": "maybe"})
    assert answered.status == 400
    assert answered.error["message"].startswith("'x-penstock-hedge' must be on or off")


async def test_who_leaves_within_the_race_owes_both_prompts(suite, upstream, second_upstream):
    upstream.enqueue(stalled_after_headers())
    second_upstream.enqueue(stalled_after_headers())
    asking = asyncio.ensure_future(suite.ask(model="safe", stream=True, headers=FRESH))
    request = await second_upstream.next_request()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    for left in (request.left, upstream.requests[-1].left):
        await asyncio.wait_for(left.wait(), 60)
    *_, row = await suite.ledger_after_close()
    assert row["outcome"] == "cancelled"
    one_prompt = 5
    assert row["input_tokens"] == 2 * one_prompt
