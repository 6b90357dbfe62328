"""An answer cut anywhere, and another candidate that takes the prefix, or answers anew: whole, or an honest error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate

import msgspec
import pytest

from penstock_common import errors
from penstock_common.llm.types import (
    FinishReason,
    JsonSchema,
    Message,
    RecoveryWay,
    Role,
    SamplingParams,
    Text,
    Tool,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import (
    Answer,
    Behaviour,
    End,
    Failure,
    NoResponse,
    OpenAIUpstream,
    RecordedRequest,
    ToolCall,
)

WORDS = ["Once ", "upon ", "a ", "time, ", "日本 ", "👋🏽", "said:\n\n", "**so** ", "be", " it."]
SIXTY = Answer(tokens=[word for number in range(6) for word in (*WORDS[:-1], f" it {number}.")])
TEXT = "".join(SIXTY.tokens)
HO = Answer(tokens=["ho", "ho", "ho", "end"])
OTHER = Answer(tokens=["Something ", "else."])

JSON_SIXTY = Answer(tokens=[*'{"items": [', *(f"{number}, " for number in range(40)), *"40]}"])
SCHEMA = JsonSchema(name="items", schema_json='{"type":"object"}')
JSON_QUESTION = msgspec.structs.replace(QUESTION, response_format=SCHEMA)

CALLING = Answer(
    tokens=["Let ", "me."], tool_calls=[ToolCall("look", ['{"q"', ': "h', 'i"}'])], finish_reason="tool_calls"
)
CALL_QUESTION = msgspec.structs.replace(QUESTION, tools=(Tool(name="look", parameters_json='{"type":"object"}'),))

Responder = Callable[[RecordedRequest], Behaviour]


def begun_in(request: RecordedRequest) -> str:
    """Return the assistant's turn that a request ends with, '' where it does not."""
    last = request.body["messages"][-1]
    return last["content"] if last["role"] == "assistant" else ""


def takes_a_prefix(answer: Answer, fresh: Answer) -> Responder:
    """Goes on from a beginning of ``answer``; asked without one, it gives ``fresh``."""
    text = "".join(answer.tokens)

    def respond(request: RecordedRequest) -> Behaviour:
        begun = begun_in(request)
        if not begun:
            return fresh
        assert text.startswith(begun)
        return replace(answer, tokens=[text[len(begun) :]] if text[len(begun) :] else [])

    return respond


def refuses_a_prefix(fresh: Answer) -> Responder:
    """Refuses a conversation that ends with the assistant's turn; asked without, it gives ``fresh``."""
    refusal = Failure(400, {"message": "the last turn must be the user's", "type": "invalid_request_error"})
    return lambda request: refusal if begun_in(request) else fresh


def disregards_a_prefix(fresh: Answer) -> Responder:
    """Takes a beginning, and answers from the start all the same."""
    return lambda _: fresh


def event_edges(answer: Answer) -> Iterator[int]:
    """Yield the offsets of an answer's events on the wire up to its end, each with a byte before and after."""
    frames = answer.body("m").frames
    ended = next(number for number, frame in enumerate(frames) if b'"finish_reason": null' not in frame)
    for edge in accumulate(map(len, frames[:ended])):
        yield from (edge - 1, edge, edge + 1)


@pytest.fixture
def plan(serve, first: OpenAIUpstream, second: OpenAIUpstream):
    """A function that serves ``first/m`` and a second that has these capabilities, and asks both."""

    async def ask(*, second_has=("chat", "prefill"), provider="openai_compatible"):
        model = {
            "name": "m",
            "context_window": 131072,
            "capabilities": list(second_has),
            "price": {"input": 1, "output": 2},
        }
        settings = second.settings("second", models=[model], provider=provider)
        # It breaks off again and again, and is to be asked each time.
        never_ejected = {"failures_in_a_row": 1_000_000, "failure_requests": 1_000_000}
        return await serve(first.settings("first"), settings, health=never_ejected)

    return ask


SECONDS = {
    "takes a prefix, and answers otherwise without": (takes_a_prefix, OTHER),
    "refuses it and answers the same": (lambda answer, fresh: refuses_a_prefix(fresh), None),
    "disregards it and answers the same": (lambda answer, fresh: disregards_a_prefix(fresh), None),
}


@pytest.mark.parametrize("kind", SECONDS)
@pytest.mark.parametrize(
    ("answer", "question"), [(SIXTY, QUESTION), (JSON_SIXTY, JSON_QUESTION)], ids=["text", "json schema"]
)
@pytest.mark.timeout(180)
async def test_a_cut_at_every_event_is_made_whole_without_a_seam(kind, answer, question, plan, first, second):
    caller = await plan()
    make, fresh = SECONDS[kind]
    second.otherwise = make(answer, fresh or answer)
    text = "".join(answer.tokens)
    for offset in event_edges(answer):
        first.enqueue(replace(answer, cut_at_byte=offset, end=End.RESET))
        outcome = await caller.ask("first/m", "second/m", value=question)
        if not outcome.answer.text and outcome.error is None:
            continue
        if outcome.outcomes[0] == "first cut" and len(outcome.outcomes) > 1 and outcome.outcomes[1].startswith("first"):
            # Cut before any content: the first was asked again, and gave what it gives.
            continue
        assert outcome.error is None, (offset, outcome.outcomes)
        assert outcome.answer.text == text, offset
        assert outcome.answer.finished is not None
        assert str(outcome.answer.finished.answered_by) == "second/m"


@pytest.mark.timeout(180)
async def test_a_cut_that_nobody_can_make_whole_is_an_error_of_the_first_break(plan, first, second):
    caller = await plan()
    second.otherwise = refuses_a_prefix(OTHER)
    for offset in list(event_edges(SIXTY))[6::7]:
        first.enqueue(replace(SIXTY, cut_at_byte=offset, end=End.FIN))
        outcome = await caller.ask("first/m", "second/m")
        assert isinstance(outcome.error, errors.UpstreamFailed), offset
        assert "first/m" in outcome.error.message
        assert outcome.answer.finished is None
        assert TEXT.startswith(outcome.answer.text)
        assert outcome.outcomes[0] == "first cut"


@pytest.mark.timeout(120)
async def test_a_call_half_sent_is_completed_by_who_makes_the_same_and_by_nobody_else(plan, first, second):
    caller = await plan(second_has=("chat", "prefill", "tools"))
    edges = list(event_edges(CALLING))
    for other in (CALLING, replace(CALLING, tool_calls=[ToolCall("look", ['{"z":1}'])])):
        second.otherwise = refuses_a_prefix(other)
        for offset in edges[5:]:
            first.enqueue(replace(CALLING, cut_at_byte=offset, end=End.RESET))
            outcome = await caller.ask("first/m", "second/m", value=CALL_QUESTION)
            begun = outcome.answer.tool_calls
            if other is CALLING:
                assert outcome.error is None, offset
                assert [(call.name, call.arguments_json) for call in begun] == [("look", '{"q": "hi"}')]
                assert outcome.answer.text == "Let me."
            elif outcome.error is None:
                # No call had been sent, so that it is the second's own.
                assert [call.arguments_json for call in begun] == ['{"z":1}']
            else:
                assert outcome.answer.finished is None
                assert '{"q": "hi"}'.startswith(begun[0].arguments_json)


async def test_a_continuation_that_repeats_the_answer_is_not_trusted_and_the_answer_is_asked_for_anew(
    plan, first, second
):
    caller = await plan()
    second.otherwise = takes_a_prefix(HO, HO)
    first.enqueue(replace(HO, stop_after=2, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.answer.text == "hohohoend"
    assert outcome.outcomes == ["first cut", "second diverged", "second answered"]
    assert outcome.answer.finished is not None
    (recovery,) = outcome.answer.finished.recoveries
    assert recovery.way is RecoveryWay.REGENERATED
    # The attempt that was not trusted has cost, too.
    assert recovery.cost_nano_usd > recovery.usage.output_tokens * 600 + 4 * 150


async def test_what_is_handed_over_is_the_conversation_with_the_turn_begun_and_what_is_left_of_the_tokens(
    plan, first, second
):
    caller = await plan(provider="vllm")
    second.otherwise = lambda _: Answer(tokens=["world."])
    first.enqueue(Answer(tokens=["Hello, ", "wide "], stop_after=3, end=End.RESET))
    value = msgspec.structs.replace(QUESTION, sampling=SamplingParams(max_output_tokens=20, temperature=0))
    outcome = await caller.ask("first/m", "second/m", value=value)
    assert outcome.answer.text == "Hello, wide world."
    (request,) = second.requests
    # Some providers refuse a turn that ends with a space.
    assert request.body["messages"] == [
        {"role": "user", "content": "Hi?"},
        {"role": "assistant", "content": "Hello, wide"},
    ]
    assert request.body["max_tokens"] == 20 - 3
    assert (request.body["continue_final_message"], request.body["add_generation_prompt"]) == (True, False)


async def test_a_turn_that_the_caller_began_is_gone_on_with(plan, first, second):
    caller = await plan()
    second.otherwise = lambda _: Answer(tokens=["three."])
    first.enqueue(Answer(tokens=["One, ", "two, "], stop_after=3, end=End.RESET))
    begun = Message(role=Role.ASSISTANT, parts=(Text(text="Zero, "),))
    value = msgspec.structs.replace(QUESTION, messages=(*QUESTION.messages, begun))
    outcome = await caller.ask("first/m", "second/m", value=value)
    assert outcome.answer.text == "One, two, three."
    (request,) = second.requests
    *_, last = request.body["messages"]
    assert last["content"] == "Zero, One, two,"


async def test_both_attempts_are_billed_and_the_usage_counts_the_answer_once(plan, first, second):
    caller = await plan()
    second.otherwise = lambda _: Answer(tokens=["world."], usage={"prompt_tokens": 30, "completion_tokens": 2})
    first.enqueue(Answer(tokens=["Hello, ", "wide "], stop_after=3, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m")
    usage, finished = outcome.answer.usage, outcome.answer.finished
    assert usage is not None
    assert finished is not None
    (recovery,) = finished.recoveries
    assert recovery.way is RecoveryWay.CONTINUED
    assert recovery.usage.estimated
    assert (recovery.usage.output_tokens, usage.output_tokens) == (3, 2 + 3)
    assert usage.input_tokens == 30 - 3
    # 150 and 600 nano-dollars a token there, 1,000 and 2,000 here.
    broken = recovery.usage.input_tokens * 150 + 3 * 600
    assert recovery.cost_nano_usd == broken
    assert finished.cost_nano_usd == broken + 30 * 1000 + 2 * 2000
    assert [step.attributes.get("recovery") for step in outcome.steps] == [None, "continued"]
    assert outcome.steps[0].attributes["owed_output_tokens"] == 3


async def test_a_stop_string_across_the_seam_ends_the_answer_and_lets_the_upstream_go(plan, first, second):
    caller = await plan()
    first.enqueue(Answer(tokens=["Hello, ", "EN"], stop_after=3, end=End.RESET))
    second.enqueue(Answer(tokens=["D of it"], stop_after=2, end=End.STALL))
    question = msgspec.structs.replace(QUESTION, sampling=SamplingParams(stop=("END",)))
    outcome = await caller.ask("first/m", "second/m", value=question)
    assert (outcome.answer.text, outcome.error) == ("Hello, EN", None)
    finished, usage = outcome.answer.finished, outcome.answer.usage
    assert finished is not None and usage is not None
    assert (finished.reason, finished.matched_stop) == (FinishReason.STOP, "END")
    assert outcome.outcomes == ["first cut", "second answered"]
    assert usage.estimated
    await asyncio.wait_for(second.requests[0].left.wait(), 60)


async def test_a_second_break_is_made_good_by_a_third(serve, first, second):
    async with OpenAIUpstream() as third:
        model = {"name": "m", "context_window": 4096, "capabilities": ["chat", "prefill"]}
        caller = await serve(
            first.settings("first"), second.settings("second", models=[model]), third.settings("third", models=[model])
        )
        first.enqueue(Answer(tokens=["One ", "two ", "three "], stop_after=3, end=End.RESET))
        second.enqueue(Answer(tokens=["three ", "four ", "five "], stop_after=3, end=End.RESET))
        third.otherwise = lambda _: Answer(tokens=["five."])
        outcome = await caller.ask("first/m", "second/m", "third/m")
    assert outcome.answer.text == "One two three four five."
    assert outcome.outcomes == ["first cut", "second cut", "third answered"]
    assert outcome.answer.finished is not None
    assert [str(made.broke) for made in outcome.answer.finished.recoveries] == ["first/m", "second/m"]
    assert begun_in(third.requests[0]) == "One two three four"


async def test_who_is_silent_within_the_recovery_is_passed_over_and_the_error_is_the_first_break(serve, first, second):
    model = {"name": "m", "context_window": 4096, "capabilities": ["chat", "prefill"]}
    caller = await serve(
        first.settings("first"), second.settings("second", models=[model], timeouts={"first_token": "50ms"})
    )
    first.enqueue(Answer(stop_after=3, end=End.RESET))
    second.otherwise = lambda _: NoResponse()
    outcome = await caller.ask("first/m", "second/m")
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert "first/m" in outcome.error.message
    assert outcome.outcomes == ["first cut", "second timeout:headers"]


@pytest.mark.parametrize(
    "sampling", [SamplingParams(choices=2), SamplingParams(top_logprobs=0)], ids=["two choices", "probabilities"]
)
async def test_what_cannot_be_joined_is_not(sampling, plan, first, second):
    caller = await plan()
    first.enqueue(Answer(stop_after=3, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m", value=msgspec.structs.replace(QUESTION, sampling=sampling))
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert second.requests == []


async def test_two_parts_that_make_no_json_are_an_error(plan, first, second):
    caller = await plan()
    second.otherwise = takes_a_prefix(Answer(tokens=['{"a": 1, oh']), OTHER)
    first.enqueue(Answer(tokens=['{"a": ', "1, "], stop_after=3, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m", value=JSON_QUESTION)
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert outcome.outcomes == ["first cut", "second diverged", "second diverged"]
    assert outcome.answer.finished is None


async def test_only_reasoning_was_sent_so_that_the_answer_is_the_others_own(plan, first, second):
    caller = await plan()
    second.otherwise = lambda _: replace(OTHER, reasoning=["Well"])
    first.enqueue(Answer(reasoning=["Hm, ", "let me"], stop_after=3, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.error is None
    assert outcome.answer.reasoning == "Hm, let me"
    assert outcome.answer.text == "Something else."


async def test_the_metrics_say_whose_break_it_was_and_how_it_was_made_good(plan, serve, first, second):
    caller = await plan()
    first.enqueue(Answer(stop_after=3, end=End.RESET))
    await caller.ask("first/m", "second/m")
    first.enqueue(Answer(stop_after=3, end=End.RESET))
    second.otherwise = refuses_a_prefix(OTHER)
    await caller.ask("first/m", "second/m")
    collector = serve.service.collectors[0]
    counts = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collector.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counts[("penstock_recovered_breaks_total", "first", "m", "regenerated")] == 1
    assert counts[("penstock_broken_answers_total", "first", "m")] == 1


async def test_who_refuses_to_go_on_has_cost_nothing(plan, first, second):
    caller = await plan()
    second.otherwise = refuses_a_prefix(SIXTY)
    first.enqueue(replace(SIXTY, stop_after=3, end=End.RESET))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first cut", "second bad_request", "second answered"]
    assert outcome.answer.finished is not None
    (recovery,) = outcome.answer.finished.recoveries
    told = outcome.steps[0].attributes
    assert recovery.usage.input_tokens == told["owed_input_tokens"]
    assert recovery.usage.output_tokens == told["owed_output_tokens"]
    assert "owed_input_tokens" not in outcome.steps[1].attributes


async def test_whose_content_is_refused_within_the_recovery_is_asked_for_by_nobody_else(serve, first, second):
    async with OpenAIUpstream() as third:
        caller = await serve(first.settings("first"), second.settings("second"), third.settings("third"))
        first.enqueue(Answer(stop_after=3, end=End.RESET))
        second.otherwise = lambda _: Failure(400, {"message": "no", "code": "content_filter"})
        outcome = await caller.ask("first/m", "second/m", "third/m")
        assert third.requests == []
    assert outcome.outcomes == ["first cut", "second refused"]
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert "first/m" in outcome.error.message


async def test_who_is_asked_anew_is_told_of_no_turn_to_go_on_with(plan, first, second):
    caller = await plan(second_has=("chat",), provider="vllm")
    first.enqueue(Answer(stop_after=3, end=End.RESET))
    assert (await caller.ask("first/m", "second/m")).error is None
    (request,) = second.requests
    assert {"continue_final_message", "add_generation_prompt"}.isdisjoint(request.body)
