"""A slow upstream: what waits for a rule reaches the caller in time, and the bill stays whole."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.testing.openai_upstream import Answer

SENTENCE = ("A fine ", "day it is and ", "no end of it ", "is near")


@pytest.fixture
def guarded(document):
    document["guardrails"] = {
        "rules": {"steering": {"kind": "injection", "classifier": False, "surfaces": ["output"]}},
        "pipelines": [{"models": ["fast"], "output": ["steering"], "hold_for": "1ms"}],
    }
    return document["guardrails"]


async def test_the_caller_sees_a_sentence_before_the_upstream_ends_it(guarded, serve, upstream, hold):
    suite = await serve()
    upstream.enqueue(Answer(tokens=SENTENCE, hold={3: hold}))
    async with asyncio.timeout(20), suite.open_stream() as stream:
        said = ""
        while "day it is" not in said:
            said += (await stream.content.readany()).decode()
        # What the upstream goes on with depends on the caller's having seen it.
        hold.set()
        said += (await stream.read()).decode()
    assert said.endswith("[DONE]\n\n") and "near" in said
    (row,) = await suite.ledger_after_close()
    assert (row["output_tokens"], row["stopped_by"]) == (len(SENTENCE), "")


async def test_a_caller_who_leaves_then_is_billed_for_what_came(guarded, serve, upstream, hold):
    suite = await serve()
    upstream.enqueue(Answer(tokens=SENTENCE, hold={3: hold}))
    async with asyncio.timeout(20), suite.open_stream() as stream:
        said = ""
        while "day it is" not in said:
            said += (await stream.content.readany()).decode()
    async with asyncio.timeout(20):
        while not upstream.requests[0].left.is_set():
            await asyncio.sleep(0.01)
    (row,) = await suite.ledger_after_close()
    assert row["cost_nano_usd"] > 0


async def test_an_answer_that_may_not_be_slow_is_ended_and_says_so(guarded, serve, upstream, hold):
    guarded["rules"]["steering"] |= {"held_too_long": "refuse"}
    suite = await serve()
    upstream.enqueue(Answer(tokens=SENTENCE, hold={3: hold}))
    async with asyncio.timeout(20):
        answered = await suite.ask(stream=True)
    ended = [one["choices"][0]["finish_reason"] for one in answered.chunks if one["choices"]]
    assert "content_filter" in ended
    assert "too slowly" in answered.body.decode() and "fine" not in answered.body.decode()
    (row,) = await suite.ledger_after_close()
    assert (row["stopped_by"], "TooSlow" in row["guardrails"]) == ("guardrail", True)
