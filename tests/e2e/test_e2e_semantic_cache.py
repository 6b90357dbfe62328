"""The same question in other words, as its callers see it."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest
import pytest_asyncio

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock_common.testing.openai_upstream import Answer, OpenAIUpstream

SEEN_WITHIN_SECONDS = 60.0
HIT = re.compile(r"hit; tier=semantic; similarity=(0\.\d+|1\.00); id=([0-9a-f-]{36}); age=\d+.*")
ASKED = "How long is the warranty of the Kestrel 250?"
REWORDED = "how long is the Kestrel 250's warranty"
OTHER_NUMBER = "How long is the warranty of the Kestrel 400?"


@pytest_asyncio.fixture(loop_scope="session")
async def own(launch, meaning_sections):
    """A stack of the test's own, whose cache matches by meaning, over an upstream."""
    async with OpenAIUpstream() as upstream:
        tenant = {"tier": {"requests_per_minute": 1_000_000}}
        keys = {"app": "key-of-app-key-of-app", "other": "key-of-other-key-of-other"}
        tenants = [{"name": name, "keys": [key], **tenant} for name, key in keys.items()]
        yield await launch(("first", upstream), tenants=tenants, **meaning_sections), upstream


async def hit_by(stack, text: str, **more):
    """Return the first hit for a text, which the cache has a moment after the answer that it is near to."""
    last = time.monotonic() + SEEN_WITHIN_SECONDS
    headers = {"x-penstock-cache": "only-if-cached"}
    while (answer := await stack.ask(text, headers=headers, **more)).status != 200:
        assert time.monotonic() < last, f"never a hit: {answer.header.get('x-penstock-cache')} {answer.body!r}"
    return answer


def text_of(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def test_the_same_question_in_other_words_is_a_hit_and_another_number_or_tenant_is_none(own):
    stack, upstream = own
    upstream.enqueue(Answer(tokens=["Two", " years."]))
    asked = await stack.ask(ASKED)
    assert asked.header["x-penstock-cache"].startswith("miss")
    hit = await hit_by(stack, REWORDED)
    told = HIT.fullmatch(hit.header["x-penstock-cache"])
    assert told, hit.header["x-penstock-cache"]
    assert 0.5 < float(told[1]) < 1
    assert hit.json["choices"] == asked.json["choices"]
    assert hit.json["usage"] == asked.json["usage"]
    assert hit.json["id"] != asked.json["id"]
    assert float(hit.header["x-penstock-cost-usd"]) == 0
    row = await stack.ledger_row(request_id=hit.header["x-request-id"])
    assert (row["cache_status"], row["cost_nano_usd"], row["attempts"]) == ("hit", 0, 0)
    for text, key in ((OTHER_NUMBER, "app"), (REWORDED, "other"), (ASKED, "other")):
        missed = await stack.ask(text, key=stack.keys[key], headers={"x-penstock-cache": "only-if-cached"})
        assert (missed.status, missed.json["error"]["code"]) == (404, "not_cached"), text
    assert len(upstream.requests) == 1


async def test_a_hit_is_replayed_alike_on_every_surface(own, grpc_caller):
    stack, upstream = own
    upstream.enqueue(Answer(tokens=["Two", " years", "."]))
    await stack.ask(ASKED)
    whole = await hit_by(stack, REWORDED)
    streamed = await stack.ask(REWORDED, stream=True)
    assert HIT.fullmatch(streamed.header["x-penstock-cache"])
    assert text_of(streamed.body) == whole.json["choices"][0]["message"]["content"] == "Two years."
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    answered = await grpc_caller(stack).chat(REWORDED)
    assert answered.cache.status == chat_pb.CacheResult.STATUS_HIT
    assert answered.cache.tier == chat_pb.CacheResult.TIER_SEMANTIC
    assert 0.5 < answered.cache.similarity < 1
    assert answered.message.parts[0].text == "Two years."
    call = grpc_caller(stack).stream(REWORDED)
    assert "".join([response.event.text_delta.text async for response in call]) == "Two years."
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("words", ["exact", "EXACT", "no-cache, no-store"])
async def test_a_caller_may_refuse_what_was_asked_in_other_words(own, words):
    stack, upstream = own
    upstream.enqueue(Answer(tokens=["Two years."]))
    await stack.ask(ASKED)
    await hit_by(stack, REWORDED)
    fresh = await stack.ask(REWORDED, headers={"x-penstock-cache": words})
    assert not fresh.header["x-penstock-cache"].startswith("hit")
    assert len(upstream.requests) == 2


async def test_hits_outlive_a_restart_of_the_stack(launch, meaning_sections, wait):
    if os.environ.get("PENSTOCK_TEST_SHAPE") == "six_processes":
        pytest.skip("the server that plays Qdrant there keeps nothing; one that is real does")
    async with OpenAIUpstream() as upstream:
        upstream.enqueue(Answer(tokens=["Two years."]))
        stack = await launch(("first", upstream), **meaning_sections)
        await stack.ask(ASKED)
        await hit_by(stack, REWORDED)
        assert await stack.stop() == 0
        again = await launch(("first", upstream), **meaning_sections)
        answer = await hit_by(again, REWORDED)
        assert HIT.fullmatch(answer.header["x-penstock-cache"])
        assert len(upstream.requests) == 1


async def test_without_its_engine_the_cache_misses_and_answers_go_on(own, wait, descendants):
    if os.environ.get("PENSTOCK_TEST_SHAPE") == "six_processes":
        pytest.skip("the engine there is the test's own; tests of the cache stop it")
    stack, upstream = own
    await stack.ask(ASKED)
    await hit_by(stack, REWORDED)
    (engine,) = [pid for pid in descendants(stack.process.pid) if _is_engine(pid)]
    os.kill(engine, signal.SIGKILL)
    answer = await stack.ask("Who wrote the manual of the Kestrel 250?")
    assert answer.status == 200
    # It is started again, and what it kept is there.
    assert await hit_by(stack, REWORDED)
    assert [pid for pid in descendants(stack.process.pid) if _is_engine(pid)] != [engine]


def _is_engine(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as words:
            return "penstock_common.points.edge" in words.read()
    except OSError:
        return False
