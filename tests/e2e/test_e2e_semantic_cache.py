"""The same question in other words, as its callers see it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import pytest_asyncio

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock_common.testing.openai_upstream import Answer, OpenAIUpstream

SEEN_WITHIN_SECONDS = 60.0
HIT = re.compile(r"hit; tier=semantic; similarity=(0\.\d+|1\.00); id=([0-9a-f-]{36}); age=\d+.*")
# So many connections in a row reach every one of two workers.
_IN_A_ROW = 20
_NUMBERS = itertools.count(250, 10)
_MATCHING: list[asyncio.subprocess.Process] = []
"""The stacks that were seen to match by meaning."""


@pytest.fixture
def number() -> int:
    """A number that no other test asks about."""
    return next(_NUMBERS)


@pytest_asyncio.fixture(loop_scope="session")
async def by_meaning(stack, first, meaning_sections):
    """The stack that most tests share; its cache matches by meaning where the model's weights are here.

    The first answer after a start may be kept without its meaning, as its parts are still finding one another.
    """
    async with asyncio.timeout(SEEN_WITHIN_SECONDS):
        while stack.process not in _MATCHING:
            number = next(_NUMBERS)
            await stack.ask(asked(number))
            for _ in range(10):
                told = await stack.ask(reworded(number), headers={"x-penstock-cache": "only-if-cached"})
                if told.status == 200:
                    _MATCHING.append(stack.process)
                    break
                await asyncio.sleep(0.2)
    await first.forget()
    return stack


def asked(number: int) -> str:
    return f"How long is the warranty of the Kestrel {number}?"


def reworded(number: int) -> str:
    return f"hi, how long is the warranty of the Kestrel {number} please"


async def hit_by(stack, text: str, **more):
    """Return a hit for a text, once every gateway gives one: others than the one that kept it see it within a second."""
    last = time.monotonic() + SEEN_WITHIN_SECONDS
    headers = {"x-penstock-cache": "only-if-cached"}
    hits = 0
    while hits < _IN_A_ROW ** (stack.gateways > 1):
        answer = await stack.ask(text, headers=headers, **more)
        hits = hits + 1 if answer.status == 200 else 0
        told = answer.header.get("x-penstock-cache")
        assert hits or time.monotonic() < last, f"never a hit: {told} {answer.body!r}"
    return answer


def text_of(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def test_the_same_question_in_other_words_is_a_hit_and_another_number_or_tenant_is_none(
    by_meaning, first, number
):
    stack = by_meaning
    first.enqueue(Answer(tokens=["Two", " years."]))
    answered = await stack.ask(asked(number))
    assert answered.header["x-penstock-cache"].startswith("miss")
    hit = await hit_by(stack, reworded(number))
    told = HIT.fullmatch(hit.header["x-penstock-cache"])
    assert told, hit.header["x-penstock-cache"]
    assert 0.5 < float(told[1]) < 1
    assert hit.json["choices"] == answered.json["choices"]
    assert hit.json["usage"] == answered.json["usage"]
    assert hit.json["id"] != answered.json["id"]
    assert float(hit.header["x-penstock-cost-usd"]) == 0
    row = await stack.ledger_row(request_id=hit.header["x-request-id"])
    assert (row["cache_status"], row["cost_nano_usd"], row["attempts"]) == ("hit", 0, 0)
    for text, key in ((reworded(number + 1), "app"), (reworded(number), "other"), (asked(number), "other")):
        missed = await stack.ask(text, key=stack.keys[key], headers={"x-penstock-cache": "only-if-cached"})
        assert (missed.status, missed.json["error"]["code"]) == (404, "not_cached"), text
    assert len(first.requests) == 1


async def test_a_hit_is_replayed_alike_on_every_surface(by_meaning, caller, first, number):
    stack = by_meaning
    first.enqueue(Answer(tokens=["Two", " years", "."]))
    await stack.ask(asked(number))
    whole = await hit_by(stack, reworded(number))
    streamed = await stack.ask(reworded(number), stream=True)
    assert HIT.fullmatch(streamed.header["x-penstock-cache"])
    assert text_of(streamed.body) == whole.json["choices"][0]["message"]["content"] == "Two years."
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    answered = await caller.chat(reworded(number))
    assert answered.cache.status == chat_pb.CacheResult.STATUS_HIT
    assert answered.cache.tier == chat_pb.CacheResult.TIER_SEMANTIC
    assert 0.5 < answered.cache.similarity < 1
    assert answered.message.parts[0].text == "Two years."
    call = caller.stream(reworded(number))
    assert "".join([response.event.text_delta.text async for response in call]) == "Two years."
    assert len(first.requests) == 1


@pytest.mark.parametrize("words", ["exact", "EXACT", "no-cache", "no-store"])
async def test_a_caller_may_refuse_what_was_asked_in_other_words(by_meaning, first, number, words):
    first.enqueue(Answer(tokens=["Two years."]))
    await by_meaning.ask(asked(number))
    await hit_by(by_meaning, reworded(number))
    fresh = await by_meaning.ask(reworded(number), headers={"x-penstock-cache": words})
    assert not fresh.header["x-penstock-cache"].startswith("hit")
    assert len(first.requests) == 2


@pytest.mark.skipif(
    os.environ.get("PENSTOCK_TEST_SHAPE") == "six_processes", reason="there the engine is a server of the test's own"
)
async def test_the_embedded_engine_is_started_again_and_keeps_its_entries_over_a_restart(
    launch, meaning_sections, descendants, number
):
    async with OpenAIUpstream() as upstream:
        upstream.enqueue(Answer(tokens=["Two years."]))
        stack = await launch(("first", upstream), **meaning_sections)
        await stack.ask(asked(number))
        await hit_by(stack, reworded(number))
        (engine,) = filter(_is_engine, descendants(stack.process.pid))
        os.kill(engine, signal.SIGKILL)
        # Whatever becomes of the engine, callers are answered.
        answer = await stack.ask("Who wrote the manual?")
        assert answer.status == 200
        await hit_by(stack, reworded(number))
        assert list(filter(_is_engine, descendants(stack.process.pid))) != [engine]
        assert await stack.stop() == 0
        again = await launch(("first", upstream), **meaning_sections)
        hit = await hit_by(again, reworded(number))
        assert HIT.fullmatch(hit.header["x-penstock-cache"])
        assert [request.body["messages"][-1]["content"] for request in upstream.requests].count(asked(number)) == 1


def _is_engine(pid: int) -> bool:
    try:
        return "penstock_common.points.edge" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
