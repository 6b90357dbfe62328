"""The exact cache, seen by its callers."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid

import pytest

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock_common.testing.openai_upstream import Answer, End

HIT = re.compile(r"hit; tier=exact(; similarity=1(\.0+)?)?(; temperature=unset)?")
STORED_WITHIN_SECONDS = 60.0


def prompt() -> str:
    return f"What is cached, {uuid.uuid4()}?"


def is_miss(answer) -> bool:
    """Return whether nothing was served; a cache that matches by meaning may say why nothing near was."""
    return answer.header["x-penstock-cache"].partition(";")[0] == "miss"


async def fill(stack, text: str, **body) -> dict:
    """Ask once, and return the answer when the cache has it: it is stored after the caller has it."""
    asked = await stack.ask(text, **body)
    assert asked.status == 200
    assert is_miss(asked)
    last = time.monotonic() + STORED_WITHIN_SECONDS
    while (await only_if_cached(stack, text, **body)).status != 200:
        assert time.monotonic() < last, "the answer never reached the cache"
    return asked.json


async def only_if_cached(stack, text: str, **body):
    return await stack.ask(text, **body, headers={"x-penstock-cache": "only-if-cached"})


def text_of(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def test_a_second_identical_request_is_a_hit_and_costs_nothing(stack, first):
    text = prompt()
    first.enqueue(Answer(tokens=["cheap", " once"]))
    answered = await fill(stack, text)
    again = await stack.ask(text)
    assert HIT.fullmatch(again.header["x-penstock-cache"])
    assert float(again.header["x-penstock-cost-usd"]) == 0
    assert again.json["choices"] == answered["choices"]
    assert again.json["usage"] == answered["usage"]
    assert again.json["id"] != answered["id"]
    assert len(first.requests) == 1
    row = await stack.ledger_row(request_id=again.header["x-request-id"])
    assert (row["cache_status"], row["cost_nano_usd"], row["attempts"]) == ("hit", 0, 0)


async def test_a_hit_is_a_hit_on_every_surface(stack, caller, first):
    text = prompt()
    first.enqueue(Answer(tokens=["every", "where"]))
    await fill(stack, text)
    streamed = await stack.ask(text, stream=True)
    assert HIT.fullmatch(streamed.header["x-penstock-cache"])
    assert text_of(streamed.body) == "everywhere"
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    whole = await caller.chat(text)
    assert whole.cache.status == chat_pb.CacheResult.STATUS_HIT
    assert whole.cache.tier == chat_pb.CacheResult.TIER_EXACT
    assert (whole.message.parts[0].text, whole.cost_nano_usd, whole.attempts) == ("everywhere", 0, 0)
    call = caller.stream(text)
    events = [response.event async for response in call]
    assert HIT.fullmatch(dict(await call.initial_metadata())["x-penstock-cache"])
    assert "".join(event.text_delta.text for event in events) == "everywhere"
    body = {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}}
    rest = await stack.request("POST", "/api/v1/chat:stream", json=body)
    assert HIT.fullmatch(rest.header["x-penstock-cache"])
    assert len(first.requests) == 1


async def test_a_streamed_answer_over_grpc_is_a_hit_over_http(stack, caller, first):
    text = prompt()
    first.enqueue(Answer(tokens=["from", " grpc"]))
    assert [response async for response in caller.stream(text, temperature=0)]
    last = time.monotonic() + STORED_WITHIN_SECONDS
    while (hit := await only_if_cached(stack, text, temperature=0)).status != 200:
        assert time.monotonic() < last
    assert hit.json["choices"][0]["message"]["content"] == "from grpc"
    assert len(first.requests) == 1


async def test_the_demonstration_models_answer_is_a_hit_the_second_time(stack):
    text = "What does the gateway do?"
    answered = await fill(stack, text, model="penstock-demo")
    again = await stack.ask(text, model="penstock-demo")
    assert HIT.fullmatch(again.header["x-penstock-cache"])
    assert again.json["choices"] == answered["choices"]


async def test_another_tenants_identical_request_misses(stack, first):
    text = prompt()
    await fill(stack, text)
    other = await stack.ask(text, key=stack.keys["other"])
    assert is_miss(other)
    assert len(first.requests) == 2
    refused = await stack.ask(prompt(), key=stack.keys["other"], headers={"x-penstock-cache": "only-if-cached"})
    assert (refused.status, refused.json["error"]["code"]) == (404, "not_cached")


@pytest.mark.parametrize(
    "change",
    [{"model": "hopeless"}, {"max_tokens": 50}, {"seed": 7}, {"messages": [{"role": "system", "content": "x"}]}],
)
async def test_a_request_that_differs_misses(stack, first, change):
    text = prompt()
    await fill(stack, text)
    missed = await only_if_cached(stack, text, **change)
    assert missed.status == 404


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cut", Answer(tokens=["in", "complete"], stop_after=2, end=End.RESET)),
        ("ended early", Answer(tokens=["in", "complete"], finish_reason=None, usage=None, done=False)),
        ("length", Answer(tokens=["in", "complete"], finish_reason="length")),
        ("filtered", Answer(tokens=["in", "complete"], finish_reason="content_filter")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_incomplete_answer_is_never_stored(stack, first, name, answer, stream):
    text = prompt()
    # Enough of them for whatever the attempts are that one request makes.
    first.enqueue(*[answer] * 10)
    spoiled = await stack.ask(text, stream=stream)
    first.drop_queue()
    if name == "cut" and stream:
        assert b"error" in spoiled.body
        assert b"[DONE]" not in spoiled.body
    # What would have been stored would have been stored before what came later.
    other = prompt()
    await fill(stack, other)
    assert (await only_if_cached(stack, text)).status == 404


async def test_a_caller_who_left_leaves_nothing_in_the_cache(stack, caller, first):
    text = prompt()
    first.enqueue(Answer(tokens=["half", "way"], hold={2: asyncio.Event()}))
    call = caller.stream(text)
    async for response in call:
        if response.event.text_delta.text:
            break
    call.cancel()
    await fill(stack, prompt())
    assert (await only_if_cached(stack, text)).status == 404


async def test_no_store_neither_reads_nor_writes(stack, first):
    text = prompt()
    fresh = await stack.ask(text, headers={"x-penstock-cache": "no-store"})
    assert fresh.header["x-penstock-cache"] == "bypass; reason=no-store"
    await fill(stack, prompt())
    assert (await only_if_cached(stack, text)).status == 404
