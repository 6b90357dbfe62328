"""An upstream's limits on our side: who does not fit waits, goes elsewhere or is told so, and nobody leaves a place behind."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from penstock_common import errors
from penstock_common.llm.types import SamplingParams
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Answer, Failure

ANSWER = "Hello, world."


@pytest.fixture
def held():
    """What the answers wait for that a test holds."""
    return asyncio.Event()


def metric(serve, name):
    """Return what the service tells of the upstream under this name."""
    families = [family for collector in serve.service.collectors for family in collector.collect()]
    (value,) = [sample.value for family in families for sample in family.samples if sample.name == name]
    return value


async def inside(first, count):
    """Wait until so many requests have come to the upstream."""
    for _ in range(count):
        await asyncio.wait_for(first.next_request(), 60)


async def test_who_does_not_fit_waits_until_somebody_leaves_and_the_trace_says_for_how_long(serve, first, held):
    caller = await serve(first.settings("first", limits={"concurrent_requests": 1}))
    first.enqueue(Answer(hold={0: held}))
    one = asyncio.ensure_future(caller.ask("first/m"))
    await inside(first, 1)
    two = asyncio.ensure_future(caller.ask("first/m"))
    await asyncio.sleep(0)
    held.set()
    outcomes = await asyncio.gather(one, two)
    assert [outcome.answer.text for outcome in outcomes] == [ANSWER, ANSWER]
    assert "queued_ms" not in outcomes[0].steps[0].attributes
    assert outcomes[1].steps[0].attributes["queued_ms"] > 0


async def test_who_would_wait_too_long_goes_to_the_next_candidate_which_is_the_only_attempt(serve, first, second, held):
    settings = first.settings("first", limits={"concurrent_requests": 1}, rate_limited={"wait": "0s"})
    caller = await serve(settings, second.settings("second"))
    first.enqueue(Answer(hold={0: held}))
    one = asyncio.ensure_future(caller.ask("first/m"))
    await inside(first, 1)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first saturated", "second answered"]
    assert outcome.answer.finished is not None
    assert outcome.answer.finished.attempts == 1
    held.set()
    await one


async def test_who_has_nobody_else_is_told_when_to_come_again(serve, first):
    caller = await serve(first.settings("first", limits={"requests_per_minute": 6, "wait": "0s"}))
    assert (await caller.ask("first/m")).error is None
    outcome = await caller.ask("first/m")
    assert isinstance(outcome.error, errors.RateLimited)
    assert outcome.error.retry_after is not None
    assert "limits are reached" in outcome.error.message
    assert len(first.requests) == 1
    assert metric(serve, "penstock_upstream_requests_shed_total") == 1
    assert metric(serve, "penstock_upstream_requests_inside") == 0


@pytest.mark.parametrize("ending", ["answered", "failed", "left", "left while waiting"])
async def test_whatever_ends_a_request_its_place_is_free_again(ending, serve, first, held):
    caller = await serve(first.settings("first", limits={"concurrent_requests": 1}))
    if ending == "failed":
        first.enqueue(Failure(400))
    if ending.startswith("left"):
        first.enqueue(Answer(hold={0: held}))
    one = asyncio.ensure_future(caller.ask("first/m"))
    await inside(first, 1)
    if ending == "left while waiting":
        other = asyncio.ensure_future(caller.ask("first/m"))
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        held.set()
    if ending == "left":
        one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    outcome = await asyncio.wait_for(caller.ask("first/m"), 60)
    assert outcome.answer.text == ANSWER


async def test_tokens_count_as_asked_for_and_are_corrected_by_what_was_used(serve, first):
    settings = first.settings("first", limits={"tokens_per_minute": 60_000, "wait": "0s"}, context_window=100_000)
    caller = await serve(settings)
    value = msgspec.structs.replace(QUESTION, sampling=SamplingParams(max_output_tokens=9_000))
    # A sixth of a minute's at once, of which each asks for nearly all and uses next to nothing.
    for _ in range(3):
        assert (await caller.ask("first/m", value=value)).error is None


async def test_who_allows_an_answer_without_end_keeps_nobody_out_while_it_is_made(serve, first, held):
    settings = first.settings("first", limits={"tokens_per_minute": 60_000, "wait": "0s"}, context_window=4096)
    caller = await serve(settings)
    value = msgspec.structs.replace(QUESTION, sampling=SamplingParams(max_output_tokens=2**31 - 1))
    first.enqueue(Answer(hold={0: held}))
    one = asyncio.ensure_future(caller.ask("first/m", value=value))
    await inside(first, 1)
    assert (await caller.ask("first/m")).error is None
    held.set()
    assert (await one).error is None


async def test_an_upstream_that_lies_about_its_tokens_keeps_nobody_out(serve, first):
    caller = await serve(first.settings("first", limits={"tokens_per_minute": 60_000, "wait": "0s"}))
    first.enqueue(Answer(usage={"prompt_tokens": 4_000_000_000, "completion_tokens": 4_000_000_000}))
    for _ in range(2):
        assert (await caller.ask("first/m")).error is None


async def test_callers_in_a_hurry_teach_nothing_of_how_much_it_takes(serve, first, second, held):
    settings = first.settings("first", limits={"adaptive": True, "wait": "0s"})
    caller = await serve(settings, second.settings("second"))
    first.enqueue(Answer(hold={0: held}))
    outcome = await caller.ask("first/m", "second/m", timeout=2)
    assert outcome.outcomes == ["first timeout:first_token", "second answered"]
    assert metric(serve, "penstock_upstream_requests_limit") == 100


async def test_what_it_takes_is_learned_from_its_refusals(serve, first, held):
    caller = await serve(first.settings("first", limits={"adaptive": True, "wait": "0s"}, rate_limited={"wait": "0s"}))
    assert metric(serve, "penstock_upstream_requests_limit") == 100
    first.enqueue(Failure(429))
    await caller.ask("first/m")
    assert metric(serve, "penstock_upstream_requests_limit") == 90
