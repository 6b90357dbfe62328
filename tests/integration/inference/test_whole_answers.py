"""A caller who does not stream: asked for in one piece where that can be, and answered by another after any break."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from penstock_common import errors
from penstock_common.llm.types import FinishReason, TextDelta
from penstock_common.testing.openai_upstream import (
    Answer,
    Body,
    End,
    Failure,
    NoResponse,
    ToolCall,
    stalled_after_headers,
)
from penstock_inference.adapters.providers.http import answer as answer_module

sys.path.insert(0, str(Path(__file__).parent))

from fault_rows import BROKEN_OFF, CHUNK, ELSEWHERE, FAIL_OVER, FAILED, RETRIED, Row, in_band  # noqa: E402

ANSWERED = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
}


def document(**more) -> Body:
    """Return a whole answer with these fields."""
    return Body(frames=[json.dumps({**ANSWERED, **more}).encode()], content_type="application/json")


@pytest.fixture
async def streaming(serve, first, second):
    """The service before upstreams that are asked for streams whatever the caller wants."""
    return await serve(
        first.settings("first", whole_answers="stream"),
        second.settings("second", context_window=131072, whole_answers="stream"),
    )


@pytest.fixture
async def caller(serve, first, second):
    """The service before upstreams that are asked for the whole even while another is left."""
    return await serve(
        first.settings("first", whole_answers="whole"),
        second.settings("second", context_window=131072, whole_answers="whole"),
    )


async def test_whoever_is_not_alone_is_asked_for_a_stream_and_the_last_for_the_whole(serve, first, second):
    usual = await serve(first.settings("first"), second.settings("second"))
    first.enqueue(Failure(400))
    outcome = await usual.ask("first/m", "second/m", whole=True)
    assert outcome.answer.text == ELSEWHERE
    assert first.requests[0].body["stream"] is True
    assert second.requests[0].body["stream"] is False


@pytest.mark.parametrize("row", [*FAIL_OVER, *RETRIED, *FAILED], ids=str)
@pytest.mark.parametrize("asked", ["whole", "stream"])
async def test_a_fault_before_content_is_the_same_for_who_does_not_stream(
    row: Row, asked: str, caller, streaming, first, second, pauses
):
    first.enqueue(*row.first)
    second.enqueue(*row.second)
    outcome = await (caller if asked == "whole" else streaming).ask(*row.plan, whole=True)
    assert outcome.outcomes == list(row.outcomes)
    assert pauses == list(row.pauses)
    assert outcome.answer.text == row.text
    assert type(outcome.error) is (row.error or type(None))
    assert {request.body["stream"] for request in (*first.requests, *second.requests)} == {asked == "stream"}
    if row.error is None:
        assert outcome.batches == [len(outcome.events)]
        assert outcome.answer.usage.estimated is row.estimated


@pytest.mark.parametrize("row", BROKEN_OFF, ids=str)
async def test_a_break_within_an_answer_is_made_good_where_nothing_was_sent(row: Row, streaming, first, second):
    first.enqueue(*row.first, *row.first)
    outcome = await streaming.ask(*row.plan, whole=True)
    assert outcome.error is None
    assert outcome.outcomes[0] == row.outcomes[0]
    assert outcome.outcomes[-1].endswith("answered")
    # Of what the broken attempts said, nothing is in the answer, and nothing is billed.
    assert outcome.answer.text == ELSEWHERE
    assert (outcome.answer.usage.input_tokens, outcome.answer.usage.output_tokens) == (7, 4)
    assert not outcome.answer.usage.estimated
    assert outcome.answer.finished.attempts == len(outcome.outcomes)
    assert str(outcome.answer.started.answered_by) == str(outcome.answer.finished.answered_by)


BREAKS = {
    "before the head": (NoResponse(End.RESET), ["first connect", "first connect", "second answered"]),
    "within the body": (Answer(stop_after=1, end=End.RESET), ["first cut", "first cut", "second answered"]),
    "closed within the body": (Answer(stop_after=1, end=End.FIN), ["first cut", "first cut", "second answered"]),
    "half a body, in order": (Answer(stop_after=1), ["first malformed", "second answered"]),
    "bad JSON": (Body(frames=[b"{nonsense"], content_type="application/json"), ["first malformed", "second answered"]),
    "not a completion": (
        Body(frames=[b'{"object":"list","data":[]}'], content_type="application/json"),
        ["first malformed", "second answered"],
    ),
    "no choices": (document(choices=[]), ["first cut", "first cut", "second answered"]),
    "no finish reason": (
        document(choices=[{"index": 0, "message": {"content": "Hi"}, "finish_reason": None}]),
        ["first cut", "first cut", "second answered"],
    ),
    "an error in 200": (document(error={"type": "rate_limit_error"}), ["first rate_limited", "second answered"]),
    "only an error in 200": (
        Body(frames=[b'{"error":{"type":"rate_limit_error"}}'], content_type="application/json"),
        ["first rate_limited", "second answered"],
    ),
    "HTML": (Body(frames=[b"<html>sorry"], content_type="text/html"), ["first malformed", "second answered"]),
    "a stream that breaks": (
        Body(frames=[in_band(CHUNK)], end=End.FIN),
        ["first cut", "first cut", "second answered"],
    ),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_break_of_a_whole_answer_fails_over_and_leaves_its_trace(name: str, caller, first):
    behaviour, outcomes = BREAKS[name]
    first.enqueue(behaviour, behaviour)
    outcome = await caller.ask("first/m", "second/m", whole=True)
    assert outcome.outcomes == outcomes
    assert outcome.answer.text == ELSEWHERE
    assert (outcome.answer.usage.output_tokens, outcome.answer.usage.estimated) == (4, False)
    for step in outcome.steps:
        assert step.attributes["whole"] is True
        assert "time_to_first_token_ms" not in step.attributes
        may_have_cost = step.attributes["outcome"] in ("cut", "malformed")
        assert ("estimated_input_tokens" in step.attributes) is may_have_cost


async def test_an_answer_that_broke_everywhere_is_an_error_that_says_so(caller, first):
    first.enqueue(*[Answer(stop_after=1, end=End.RESET)] * 2)
    outcome = await caller.ask("first/m", whole=True)
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert outcome.events == []


async def test_errors_of_the_caller_are_not_asked_again(caller, first, second):
    first.enqueue(Failure(400, {"message": "It is about violence.", "code": "content_filter"}))
    outcome = await caller.ask("first/m", "second/m", whole=True)
    assert isinstance(outcome.error, errors.ContentRefused)
    assert second.requests == []


async def test_a_whole_answer_has_all_that_a_stream_has(caller, streaming, first):
    calls = [ToolCall("f", ['{"a"', ":1}"], "c0"), ToolCall("g", ["{}"], "c1")]
    answer = Answer(tokens=["It ", "rains."], reasoning=["Hm."], tool_calls=calls, finish_reason="tool_calls")
    seen = []
    for asker in (caller, streaming):
        first.enqueue(answer)
        outcome = await asker.ask("first/m", whole=True)
        said = outcome.answer
        assert said.finished.reason is FinishReason.TOOL_CALLS
        seen.append((said.text, said.reasoning, said.tool_calls, said.usage, said.finished.cost_nano_usd))
    assert seen[0] == seen[1]
    assert seen[0][:2] == ("It rains.", "Hm.")
    assert [(call.id, call.name, call.arguments_json) for call in seen[0][2]] == [
        ("c0", "f", '{"a":1}'),
        ("c1", "g", "{}"),
    ]


async def test_a_refusal_and_a_matched_stop_are_read(caller, first):
    choice = {"index": 0, "message": {"content": None, "refusal": "No."}, "finish_reason": "stop", "stop_reason": "END"}
    first.enqueue(document(choices=[choice, {"index": 1, "message": {"content": "another"}}]))
    outcome = await caller.ask("first/m", whole=True)
    assert outcome.answer.text == "No."
    assert outcome.answer.finished.matched_stop == "END"
    assert outcome.answer.usage.estimated


async def test_parallel_tool_calls_of_one_index_and_without_ids_are_told_apart(caller, first):
    calls = [{"index": 0, "function": {"name": "f", "arguments": "{}"}}, {"index": 0, "function": {"name": "g"}}]
    first.enqueue(document(choices=[{"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]))
    outcome = await caller.ask("first/m", whole=True)
    assert [call.name for call in outcome.answer.tool_calls] == ["f", "g"]
    assert all(call.id.startswith("call_") for call in outcome.answer.tool_calls)


async def test_an_upstream_that_streams_though_asked_for_the_whole_is_understood(caller, first):
    first.enqueue(Answer(tokens=["It ", "streams."]).body("m"))
    outcome = await caller.ask("first/m", whole=True)
    assert first.requests[0].body["stream"] is False
    assert outcome.answer.text == "It streams."
    assert outcome.batches == [4]


async def test_an_upstream_that_answers_whole_though_asked_for_a_stream_is_understood(caller, first):
    first.enqueue(Answer(tokens=["It ", "does not."]).completion("m"))
    outcome = await caller.ask("first/m")
    assert first.requests[0].body["stream"] is True
    assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == ["It does not."]
    assert outcome.answer.usage.output_tokens == 2


async def test_a_whole_answer_over_its_bound_is_refused(caller, first, monkeypatch):
    monkeypatch.setattr(answer_module, "MAX_WHOLE_ANSWER_BYTES", 1000)
    first.enqueue(Body(frames=[b"x" * 2000], content_type="application/json", end=End.STALL))
    outcome = await caller.ask("first/m", "second/m", whole=True)
    assert outcome.outcomes == ["first oversize", "second answered"]
    await asyncio.wait_for(first.requests[0].left.wait(), 60)


async def test_nobody_is_told_anything_before_the_whole_is_there(streaming, first):
    rest = asyncio.Event()
    first.enqueue(Answer(hold={3: rest}))
    seen = []
    asking = asyncio.ensure_future(streaming.ask("first/m", whole=True, seen=seen.append))
    await first.next_request()
    for _ in range(50):
        await asyncio.sleep(0)
    assert seen == []
    rest.set()
    assert (await asking).answer.text == ELSEWHERE


async def test_models_that_reason_are_asked_for_streams_unless_the_settings_say_otherwise(serve, first, second):
    reasoning = [{"name": "m", "context_window": 4096, "capabilities": ["chat", "reasoning"]}]
    caller = await serve(
        first.settings("first", models=reasoning), second.settings("second", models=reasoning, whole_answers="whole")
    )
    for name in ("first/m", "second/m"):
        assert (await caller.ask(name, whole=True)).answer.text == ELSEWHERE
    assert (first.requests[0].body["stream"], second.requests[0].body["stream"]) == (True, False)


@pytest.mark.parametrize("stuck", [NoResponse(), stalled_after_headers()], ids=["before the head", "after the head"])
async def test_whole_fires_when_the_answer_does_not_come(serve, first, second, stuck):
    long = dict.fromkeys(("connect", "headers", "first_token", "idle", "total"), "10m")
    first.enqueue(stuck)
    settings = first.settings("first", timeouts={**long, "whole": "100ms"}, whole_answers="whole")
    caller = await serve(settings, second.settings("second"))
    outcome = await caller.ask("first/m", "second/m", whole=True)
    assert outcome.outcomes == ["first timeout:whole", "second answered"]
    assert outcome.steps[0].attributes["estimated_input_tokens"] > 0
    await asyncio.wait_for(first.requests[0].left.wait(), 60)


async def test_a_slow_whole_answer_is_no_silent_one(serve, first):
    ready = asyncio.Event()
    first.enqueue(Answer(hold={0: ready}))
    caller = await serve(first.settings("first", timeouts={"first_token": "100ms", "idle": "100ms", "whole": "30s"}))
    asyncio.get_running_loop().call_later(0.3, ready.set)
    outcome = await caller.ask("first/m", whole=True)
    assert outcome.outcomes == ["first answered"]


@pytest.mark.parametrize(("asked", "stage"), [("whole", "whole"), ("stream", "headers")])
async def test_where_another_could_answer_half_of_the_deadline_is_kept_for_it(asked, stage, serve, first, second):
    first.enqueue(NoResponse())
    caller = await serve(first.settings("first", whole_answers=asked), second.settings("second"))
    outcome = await caller.ask("first/m", "second/m", whole=True, timeout=12)
    assert outcome.outcomes == [f"first timeout:{stage}", "second answered"]


async def test_the_last_candidate_has_all_that_is_left(serve, first):
    first.enqueue(NoResponse())
    caller = await serve(first.settings("first"))
    outcome = await caller.ask("first/m", whole=True, timeout=3)
    assert outcome.outcomes in (["first deadline:deadline"], ["first cancelled"])
    assert isinstance(outcome.error, errors.DeadlineExceeded)


async def test_who_leaves_before_the_whole_is_there_leaves_a_trace(caller, first):
    first.enqueue(NoResponse())
    steps = []
    call = caller.call("first/m", whole=True, steps=steps)
    asking = asyncio.ensure_future(anext(aiter(call)))
    await first.next_request()
    asking.cancel()
    await asyncio.wait([asking])
    await call.aclose()
    (step,) = steps
    assert step.attributes["outcome"] == "cancelled"
    assert step.attributes["owed_input_tokens"] > 0


async def test_whose_time_is_over_when_an_answer_had_begun_leaves_what_one_who_leaves_does(serve, first):
    first.enqueue(Answer(stop_after=3, end=End.STALL))
    caller = await serve(first.settings("first", whole_answers="stream"))
    outcome = await caller.ask("first/m", whole=True, timeout=3)
    assert isinstance(outcome.error, errors.DeadlineExceeded)
    (step,) = outcome.steps
    assert step.attributes["owed_output_tokens"] > 0
