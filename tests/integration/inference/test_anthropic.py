"""Anthropic's Messages API over real sockets: where it is asked and with what, its errors, tool loops with signed thinking."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from penstock_common import errors
from penstock_common.llm.types import (
    FinishReason,
    GenerationInput,
    Message,
    RecoveryWay,
    Role,
    SamplingParams,
    Text,
    Tool,
)
from penstock_common.testing import anthropic_answers as answers
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Answer, Behaviour, Body, End, OpenAIUpstream, RecordedRequest
from penstock_common.testing.thinking_verifier import Bound, SignedThinker
from penstock_inference.adapters.providers.anthropic.client import messages_url

HELLO = answers.Message()


def user(text: str) -> Message:
    return Message(role=Role.USER, parts=(Text(text=text),))


def settings(upstream: OpenAIUpstream, name: str = "claude", **more: Any) -> dict[str, Any]:
    return {**upstream.settings(name), "provider": "anthropic", **more}


@pytest.fixture
async def claude(serve, first):
    """The service before ``claude/m``, which ``first`` answers."""
    first.otherwise = lambda request: HELLO.streamed() if request.body["stream"] else HELLO.whole()
    return await serve(settings(first))


# Where and with what.


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"),
        ("https://x.services.ai.azure.com/anthropic", "https://x.services.ai.azure.com/anthropic/v1/messages"),
        ("https://api.moonshot.ai/anthropic/v1", "https://api.moonshot.ai/anthropic/v1/messages"),
    ],
)
def test_every_form_of_the_address_leads_to_messages(base_url: str, url: str):
    assert messages_url(base_url) == url


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_a_request_and_its_answer_as_they_go_over_the_wire(whole: bool, claude, first):
    outcome = await claude.ask("claude/m", whole=whole)
    assert outcome.outcomes == ["claude answered"]
    assert (outcome.answer.text, outcome.answer.finished.reason) == ("Hello, world.", FinishReason.STOP)
    assert (outcome.answer.usage.input_tokens, outcome.answer.usage.output_tokens) == (7, 4)
    assert not outcome.answer.usage.estimated
    (request,) = first.requests
    assert request.path == "/v1/messages"
    assert request.raw_body == (
        b'{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi?"}]}],"stream":%b}'
        % (b"false" if whole else b"true")
    )
    told = {name: request.headers.get(name) for name in ("x-api-key", "authorization", "anthropic-version", "accept")}
    accepted = "application/json" if whole else "text/event-stream"
    assert told == {
        "x-api-key": "sk-ours",
        "authorization": None,
        "anthropic-version": "2023-06-01",
        "accept": accepted,
    }
    assert "anthropic-beta" not in request.headers


async def test_the_key_as_a_bearer_and_what_else_the_configuration_says(serve, first):
    first.otherwise = lambda _: HELLO.streamed()
    more = {"auth": "bearer", "api_version": "2026-10-21", "betas": ["a-2026-01-01", "b"], "default_max_tokens": 50}
    caller = await serve(settings(first, **more))
    await caller.ask("claude/m")
    headers = first.requests[0].headers
    assert (headers["authorization"], headers.get("x-api-key")) == ("Bearer sk-ours", None)
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2026-10-21", "a-2026-01-01,b")
    assert first.requests[0].body["max_tokens"] == 50


async def test_several_keys_are_places_of_one_upstream(serve, first):
    def respond(request: RecordedRequest) -> Behaviour:
        is_good = request.headers["x-api-key"] == "good"
        return HELLO.streamed() if is_good else answers.refusal(401, "authentication_error", "invalid x-api-key")

    first.otherwise = respond
    entry = {name: value for name, value in settings(first).items() if name != "api_key"}
    caller = await serve({**entry, "api_keys": ["bad", "good"]})
    for _ in range(4):
        assert (await caller.ask("claude/m")).answer.text == "Hello, world."


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_either_form_is_understood_whichever_was_asked_for(whole: bool, claude, first):
    bodies = [HELLO.streamed() if whole else HELLO.whole()]
    if whole:
        # A stream that says that it is none.
        bodies.append(Body(frames=HELLO.streamed().frames, content_type="application/json"))
    first.enqueue(*bodies)
    for _ in bodies:
        outcome = await claude.ask("claude/m", whole=whole)
        assert outcome.outcomes == ["claude answered"]
        assert outcome.answer.text == "Hello, world."


# Errors.


@pytest.mark.parametrize(
    ("status", "kind", "message", "outcome"),
    [
        (400, "invalid_request_error", "max_tokens: Field required", "bad_request"),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "quota"),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", "quota"),
        (401, "authentication_error", "invalid x-api-key", "credentials"),
        (402, "billing_error", "There is an issue with your billing.", "quota"),
        (403, "permission_error", "no permission", "credentials"),
        (404, "not_found_error", "model: claude-none", "misconfigured"),
        (409, "conflict_error", "conflict", "server_error"),
        (413, "request_too_large", "Request exceeds the maximum size", "bad_request"),
        (429, "rate_limit_error", "This request would exceed your rate limit", "rate_limited"),
        (500, "api_error", "Internal server error", "server_error"),
        (504, "timeout_error", "timed out", "server_error"),
        (529, "overloaded_error", "Overloaded", "server_error"),
    ],
)  # fmt: skip
async def test_every_status_means_what_it_says(status, kind, message, outcome, serve, first, second):
    caller = await serve(settings(first), second.settings("second"))
    first.otherwise = lambda _: answers.refusal(status, kind, message)
    made = await caller.ask("claude/m", "second/m")
    assert made.outcomes[0] == f"claude {outcome}"
    assert made.outcomes[-1] == "second answered"


async def test_a_spent_limit_is_no_rate_limit(claude, first):
    details = {"error_code": "enforced_spend_limit_reached"}
    first.otherwise = lambda _: answers.refusal(429, "rate_limit_error", "Limit reached", details=details)
    outcome = await claude.ask("claude/m")
    assert outcome.outcomes == ["claude quota"]


async def test_a_rate_limit_says_when_to_come_again(serve, first, pauses):
    caller = await serve(settings(first))
    first.enqueue(answers.refusal(429, "rate_limit_error", "Too many", headers={"retry-after": "1"}))
    first.otherwise = lambda _: HELLO.streamed()
    outcome = await caller.ask("claude/m")
    assert outcome.outcomes == ["claude rate_limited", "claude answered"]
    assert max(pauses) >= 1


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", (208310, 200000)),
        (
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
            (188240, 200000),
        ),
    ],
)
async def test_a_conversation_that_is_too_long_says_by_how_much(message: str, tokens: tuple[int, int], claude, first):
    first.otherwise = lambda _: answers.refusal(400, "invalid_request_error", message)
    error = (await claude.ask("claude/m")).error
    assert isinstance(error, errors.ContextLengthExceeded)
    assert (error.input_tokens, error.max_input_tokens) == tokens


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid signature in thinking block. The block is bound to a different conversation.",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
        "messages.1: a final `assistant` message must start with a thinking block.",
    ],
)
async def test_thinking_that_is_refused_is_told_apart_and_not_asked_again(message: str, claude, first):
    first.otherwise = lambda _: answers.refusal(400, "invalid_request_error", message)
    outcome = await claude.ask("claude/m")
    assert outcome.outcomes == ["claude bad_request"]
    assert len(first.requests) == 1
    assert isinstance(outcome.error, errors.InvalidRequest)
    assert outcome.error.field == "thinking"


async def test_the_vendors_id_of_a_refused_request_is_logged(claude, first, caplog):
    caplog.set_level("INFO")
    first.otherwise = lambda _: answers.refusal(400, "invalid_request_error", "no")
    await claude.ask("claude/m")
    assert "status=400 kind=bad_request request_id=req_011" in caplog.text


async def test_no_error_tells_our_key(serve, first):
    caller = await serve(settings(first, api_key="sk-ant-very-secret"))
    first.otherwise = lambda _: answers.refusal(400, "invalid_request_error", "the key sk-ant-very-secret is bad")
    outcome = await caller.ask("claude/m")
    assert "[key] is bad" in str(outcome.error)
    assert "secret" not in str(outcome.error)


async def test_an_overload_within_the_answer_breaks_it_and_before_it_is_tried_again(serve, first, second):
    caller = await serve(settings(first), second.settings("second"))
    overload = answers.event(answers.error("overloaded_error", "Overloaded"))
    frames = list(HELLO.streamed().frames)
    first.otherwise = lambda _: Body(frames=[frames[0], overload])
    outcome = await caller.ask("claude/m", "second/m")
    assert outcome.outcomes == ["claude server_error", "claude server_error", "second answered"]
    seen = asyncio.Event()
    first.otherwise = lambda _: Body(frames=[*frames[:4], overload], hold={4: seen})
    outcome = await caller.ask("claude/m", may_recover=False, seen=lambda answer: seen.set() if answer.text else None)
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert outcome.answer.text


@pytest.mark.parametrize("end", [End.CLEAN, End.FIN, End.RESET])
async def test_a_cut_before_the_end_is_none_and_after_it_is_one(end: End, serve, first):
    caller = await serve(settings(first))
    frames = list(HELLO.streamed().frames)
    first.otherwise = lambda _: Body(frames=frames[:-2], end=end)
    outcome = await caller.ask("claude/m", may_recover=False)
    assert outcome.answer.finished is None
    assert outcome.error is not None
    first.otherwise = lambda _: Body(frames=frames[:-1], end=end)
    outcome = await caller.ask("claude/m")
    assert (outcome.answer.text, outcome.answer.finished.reason) == ("Hello, world.", FinishReason.STOP)
    assert not outcome.answer.usage.estimated


async def test_a_refusal_before_any_content_is_final(serve, first, second):
    caller = await serve(settings(first), second.settings("second"))
    said = {"type": "refusal", "category": "bio", "explanation": "No."}
    first.otherwise = lambda _: answers.Message(content=(), stop_reason="refusal", stop_details=said).streamed()
    outcome = await caller.ask("claude/m", "second/m")
    assert isinstance(outcome.error, errors.ContentRefused)
    first.otherwise = lambda _: answers.Message(stop_reason="refusal", stop_details=said).streamed()
    finished = (await caller.ask("claude/m")).answer.finished
    assert finished.reason is FinishReason.CONTENT_FILTER
    assert (finished.stop_details.word, finished.stop_details.category) == ("refusal", "bio")


# System turns, and answers that are gone on with.

LATE = msgspec.structs.replace(
    QUESTION, messages=(user("Hi?"), Message(role=Role.SYSTEM, parts=(Text(text="New rule."),)))
)


async def test_a_model_that_takes_no_system_turns_is_asked_without_and_remembered(claude, first):
    def respond(request: RecordedRequest) -> Behaviour:
        if any(turn["role"] == "system" for turn in request.body["messages"]):
            message = 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter'
            return answers.refusal(400, "invalid_request_error", message)
        return HELLO.streamed()

    first.otherwise = respond
    for _ in range(2):
        outcome = await claude.ask("claude/m", value=LATE)
        assert outcome.outcomes == ["claude answered"]
    # Refused once, in one attempt.
    assert [[turn["role"] for turn in request.body["messages"]] for request in first.requests] == [
        ["user", "system"], ["user"], ["user"],
    ]  # fmt: skip
    assert first.requests[1].body["messages"][0]["content"][1]["text"] == "<system>\nNew rule.\n</system>"


@pytest.mark.parametrize(
    ("value", "message"), [(LATE, "messages: too many"), (QUESTION, 'messages: Unexpected role "system"')]
)
async def test_any_other_refusal_stands(value: GenerationInput, message: str, claude, first):
    first.otherwise = lambda _: answers.refusal(400, "invalid_request_error", message)
    assert (await claude.ask("claude/m", value=value)).outcomes == ["claude bad_request"]
    assert len(first.requests) == 1


async def test_a_cut_answer_is_gone_on_with_by_a_model_that_takes_its_beginning(serve, first, second):
    capable = [
        {"name": "m", "context_window": 8192, "capabilities": ["chat", "prefill"], "price": {"input": 1, "output": 2}}
    ]
    caller = await serve(first.settings("first"), settings(second, "claude", models=capable))
    tokens = [f"word {number} " for number in range(12)]
    whole = "".join(tokens)

    def respond(request: RecordedRequest) -> Behaviour:
        asked = request.body["messages"][-1]
        assert asked["role"] == "assistant"
        begun = asked["content"][0]["text"]
        assert whole.startswith(begun)
        return answers.Message(content=[{"type": "text", "text": whole[len(begun) :]}]).streamed()

    first.otherwise = lambda _: Answer(tokens=tokens, stop_after=7, end=End.RESET)
    second.otherwise = respond
    outcome = await caller.ask("first/m", "claude/m")
    assert outcome.error is None
    assert outcome.answer.text == whole
    assert [made.way for made in outcome.answer.finished.recoveries] == [RecoveryWay.CONTINUED]


# Tool loops with signed thinking.

TOOLS = (Tool(name="look", parameters_json='{"type":"object","properties":{"z":{},"a":{}}}'),)


async def converse(caller: Any, thinker: SignedThinker, questions: int, *, whole: bool = False) -> GenerationInput:
    """Hold a conversation of several questions, each with a loop of tools, as a caller does who keeps what he is told."""
    system = Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),))
    value = GenerationInput(
        model="fast", messages=(system,), tools=TOOLS, sampling=SamplingParams(max_output_tokens=900)
    )
    for number in range(questions):
        value = msgspec.structs.replace(value, messages=(*value.messages, user(f"Question {number}?")))
        reason = FinishReason.TOOL_CALLS
        while reason is FinishReason.TOOL_CALLS:
            outcome = await caller.ask("claude/m", value=value, whole=whole)
            assert outcome.error is None, thinker.refusals
            answer, reason = outcome.answer.message(), outcome.answer.finished.reason
            results = [
                Message(role=Role.TOOL, tool_call_id=call.id, parts=(Text(text=f"saw {call.arguments_json}"),))
                for call in answer.tool_calls
            ]
            value = msgspec.structs.replace(value, messages=(*value.messages, answer, *results))
    return value


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_loops_of_tools_with_signed_thinking_go_on_without_a_single_refusal(whole: bool, serve, first):
    thinker = SignedThinker(bound=Bound.ACCOUNT)
    first.otherwise = thinker
    caller = await serve(settings(first, whole_answers="whole" if whole else "stream"))
    value = await converse(caller, thinker, 5, whole=whole)
    assert thinker.refusals == []
    # All of it came back with every request, in its order.
    last = first.requests[-1].body
    blocks = [block["type"] for turn in last["messages"] if turn["role"] == "assistant" for block in turn["content"]]
    assert {"thinking", "redacted_thinking", "text", "tool_use"} == set(blocks)
    assert thinker.verified > 100
    assert len(value.messages) > 40


async def test_whatever_is_altered_is_refused_and_asked_once_more_without_thinking(serve, first):
    thinker = SignedThinker()
    first.otherwise = thinker
    caller = await serve(settings(first))
    value = await converse(caller, thinker, 1)
    messages = (*value.messages[:1], user("Another question?"), *value.messages[2:], user("And?"))
    outcome = await caller.ask("claude/m", value=msgspec.structs.replace(value, messages=messages))
    assert outcome.outcomes == ["claude bad_request", "claude answered"]
    assert outcome.answer.started.dropped == ("reasoning",)
    (refused,) = thinker.refusals
    assert "bound to a different conversation" in refused


async def test_a_conversation_that_grows_is_sent_with_the_same_beginning(serve, first):
    first.otherwise = thinker = SignedThinker()
    caller = await serve(settings(first))
    await converse(caller, thinker, 3)
    for before, after in zip(first.requests, first.requests[1:], strict=False):
        messages = before.raw_body[before.raw_body.index(b'"messages":[') : before.raw_body.index(b'],"tools":')]
        assert after.raw_body.startswith(before.raw_body[: before.raw_body.index(b'"messages":[')] + messages)


async def test_the_time_that_a_refusal_asks_for_is_read_from_its_header(serve, first):
    caller = await serve(settings(first))
    first.otherwise = lambda _: answers.refusal(429, "rate_limit_error", "no", headers={"retry-after": "1200"})
    error = (await caller.ask("claude/m")).error
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == timedelta(seconds=1200)
