import asyncio

import pytest

from penstock_common import errors
from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.wire.inference import GENERATE, LIST_MODELS
from penstock_common.llm.types import Candidate, FinishReason, Plan, TextDelta, ToolCallDelta, UnitPrices
from penstock_common.testing.generations import QUESTION, GenerationCaller
from penstock_common.testing.openai_upstream import Answer, Body, End, Failure, NoResponse, OpenAIUpstream, ToolCall
from penstock_common.testing.transports import channel_to
from penstock_inference.app import build
from penstock_inference.settings import Settings


@pytest.fixture
async def upstream():
    async with OpenAIUpstream() as upstream:
        yield upstream


@pytest.fixture
async def caller(upstream, transport):
    entry = upstream.settings("openai")
    entry["models"][0]["capabilities"] = ["chat", "tools", "reasoning", "prefill", "embeddings"]
    settings = Settings.model_validate({"upstreams": [entry]})
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield GenerationCaller(channel)


async def test_an_answer_comes_in_the_contracts_order_with_cost_and_prices(caller):
    outcome = await caller.ask("openai/m")
    assert outcome.answer.text == "Hello, world."
    started, finished = outcome.answer.started, outcome.answer.finished
    assert str(started.answered_by) == str(finished.answered_by) == "openai/m"
    assert started.generation_id.startswith("gen-")
    assert finished.reason is FinishReason.STOP
    assert finished.attempts == 1
    assert finished.unit_prices == started.unit_prices == UnitPrices(
        input_nano_usd=150_000_000, cached_input_nano_usd=150_000_000, output_nano_usd=600_000_000
    )  # fmt: skip
    # 7 tokens in at $0.15 and 4 out at $0.60 a million.
    assert finished.cost_nano_usd == 7 * 150 + 4 * 600


async def test_the_first_token_does_not_wait_for_the_second(caller, upstream):
    more = asyncio.Event()
    upstream.enqueue(Answer(tokens=["first", "second"], hold={2: more}))
    outcome = await caller.ask("openai/m", seen=lambda answer: more.set() if answer.text == "first" else None)
    assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == ["first", "second"]


async def test_tool_calls_and_reasoning_arrive_whole(caller, upstream):
    calls = [ToolCall("f", ['{"a"', ":1}"], "c0"), ToolCall("g", ["{}"], "c1")]
    upstream.enqueue(Answer(tokens=[], reasoning=["Hm."], tool_calls=calls, finish_reason="tool_calls"))
    outcome = await caller.ask("openai/m")
    assert outcome.answer.reasoning == "Hm."
    assert [(call.id, call.name, call.arguments_json) for call in outcome.answer.tool_calls] == [
        ("c0", "f", '{"a":1}'),
        ("c1", "g", "{}"),
    ]
    assert outcome.answer.finished.reason is FinishReason.TOOL_CALLS
    assert any(isinstance(event, ToolCallDelta) for event in outcome.events)


async def test_a_refusal_is_a_status_with_its_details_and_the_steps(caller, upstream):
    upstream.enqueue(Failure(400, {"message": "Too violent.", "code": "content_filter"}))
    outcome = await caller.ask("openai/m")
    assert isinstance(outcome.error, errors.ContentRefused)
    assert outcome.error.upstream == "openai"
    (step,) = outcome.steps
    assert step.name == "attempt"
    assert step.attributes == {
        "upstream": "openai",
        "model": "m",
        "provider": "openai_compatible",
        "outcome": "refused",
        "fault": "request",
    }
    assert step.error == "refused"
    assert step.end_ns >= step.start_ns


async def test_the_steps_of_a_success_tell_the_time_to_the_first_token(caller, upstream):
    upstream.enqueue(Failure(500))
    outcome = await caller.ask("openai/m")
    assert outcome.outcomes == ["openai server_error", "openai answered"]
    step = outcome.steps[1]
    assert 0 < step.attributes["time_to_first_token_ms"] <= step.seconds * 1000 + 1


async def test_a_fault_within_the_answer_is_a_status_after_the_part_sent(caller, upstream):
    seen = asyncio.Event()
    upstream.enqueue(Answer(stop_after=3, end=End.RESET, hold={3: seen}))
    outcome = await caller.ask(
        "openai/m", seen=lambda answer: seen.set() if answer.text == "Hello, " else None, may_recover=False
    )
    assert outcome.answer.text == "Hello, "
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert outcome.outcomes == ["openai cut"]


async def test_a_fault_within_the_answer_is_made_good_and_the_end_says_so(caller, upstream):
    seen = asyncio.Event()
    upstream.enqueue(Answer(stop_after=3, end=End.RESET, hold={3: seen}))
    outcome = await caller.ask("openai/m", seen=lambda answer: seen.set() if answer.text == "Hello, " else None)
    assert outcome.answer.text == "Hello, world."
    assert outcome.outcomes == ["openai cut", "openai diverged", "openai answered"]
    assert outcome.answer.finished is not None
    assert [recovery.cause for recovery in outcome.answer.finished.recoveries] == ["cut"]


async def test_cancelling_the_call_closes_the_upstreams_connection(caller, upstream):
    upstream.enqueue(NoResponse())
    reading = asyncio.ensure_future(anext(aiter(caller.call("openai/m"))))
    request = await upstream.next_request()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(request.left.wait(), 60)


async def test_the_deadline_reaches_the_attempt(caller, upstream):
    upstream.enqueue(NoResponse())
    outcome = await caller.ask("openai/m", timeout=3)
    assert isinstance(outcome.error, errors.DeadlineExceeded)
    await asyncio.wait_for(upstream.requests[0].left.wait(), 60)


async def test_models_come_with_what_they_can(caller):
    (model,) = await caller.channel.call(LIST_MODELS, None)
    assert (model.candidate.upstream, model.candidate.model) == ("openai", "m")
    assert model.context_window_tokens == 4096
    assert model.capabilities == {"chat", "tools", "reasoning", "prefill", "embeddings"}


async def test_what_is_there_at_once_comes_at_once(caller, upstream):
    upstream.enqueue(Body(frames=[b"".join(Answer().body("m").frames)]))
    outcome = await caller.ask("openai/m")
    # Started, the text, usage, finished.
    assert outcome.batches == [4]
    more = asyncio.Event()
    upstream.enqueue(Answer(hold={5: more}))
    outcome = await caller.ask("openai/m", seen=lambda answer: more.set() if answer.text == "Hello, world." else None)
    assert outcome.batches[-1] == 2
    assert sum(outcome.batches) == len(outcome.events)


async def test_a_caller_that_reads_one_event_of_each_response_is_sent_one(caller, upstream):
    plan = Plan(candidates=(Candidate(upstream="openai", model="m"),))
    request = GenerateRequest(input=QUESTION, plan=plan, batches=False)
    responses = caller.channel.stream(GENERATE, request)
    assert {len(batch) async for batch in responses} == {1}
    await responses.aclose()


@pytest.mark.parametrize("whole_answers", ["whole", "stream"])
async def test_a_whole_answer_is_one_batch_with_cost_and_prices(upstream, transport, whole_answers):
    settings = Settings.model_validate({"upstreams": [upstream.settings("openai", whole_answers=whole_answers)]})
    async with build(settings) as service, channel_to(service, transport) as channel:
        outcome = await GenerationCaller(channel).ask("openai/m", whole=True)
    assert upstream.requests[0].body["stream"] is (whole_answers == "stream")
    assert outcome.batches == [4]
    assert outcome.answer.finished.cost_nano_usd == 7 * 150 + 4 * 600
    (step,) = outcome.steps
    assert ("whole" in step.attributes) is (whole_answers == "whole")
    assert ("time_to_first_token_ms" in step.attributes) is (whole_answers == "stream")
