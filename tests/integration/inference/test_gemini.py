"""Gemini over a real socket: what it is asked, and what becomes of its answers, streamed and whole."""

import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock_common.llm.types import (
    FinishReason,
    GenerationInput,
    Message,
    Role,
    SamplingParams,
    StopDetails,
    Text,
    Tool,
    ToolCall,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, End

sys.path.insert(0, str(Path(__file__).parent))

from gemini_answers import HI, STOP, chunk, sse, whole  # noqa: E402

KEY = "AIza-of-ours-and-nobody-else-s"
ELSEWHERE = "Hello, world."


def settings(upstream, **more):
    """Return the entry of ``upstreams`` that names the server as Gemini."""
    known = upstream.settings("first")
    return {**known, "provider": "gemini", "base_url": upstream.base_url.removesuffix("/v1"), "api_key": KEY, **more}


@pytest.fixture
async def caller(serve, first, second):
    """The service before Gemini, ``first/m``, and a server of OpenAI's format, ``second/m``."""
    return await serve(settings(first), second.settings("second", context_window=131072))


def enqueue(upstream, *frames, **more):
    upstream.enqueue(Body(frames=[*frames], content_type=more.pop("content_type", "text/event-stream"), **more))


def refuse(upstream, code, status, message, *details, times=1):
    body = json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}})
    for _ in range(times):
        enqueue(upstream, body.encode(), status=code, content_type="application/json; charset=UTF-8")


async def test_it_is_asked_for_a_stream_at_its_own_path_with_the_key_in_a_header_alone(caller, first):
    enqueue(first, HI, STOP)
    outcome = await caller.ask("first/m")
    assert outcome.outcomes == ["first answered"]
    assert (outcome.answer.text, outcome.answer.reasoning) == ("Hi", "Hm.")
    assert outcome.answer.finished.reason is FinishReason.STOP
    usage = outcome.answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens, usage.estimated) == (7, 5, 3, False)
    (request,) = first.requests
    assert request.path == "/v1beta/models/m:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.raw_body == b'{"contents":[{"role":"user","parts":[{"text":"Hi?"}]}]}'


async def test_it_is_asked_for_the_whole_where_nobody_reads_a_stream(caller, first):
    enqueue(first, whole(), content_type="application/json; charset=UTF-8")
    outcome = await caller.ask("first/m", whole=True)
    assert (outcome.answer.text, outcome.outcomes) == ("Hi", ["first answered"])
    assert first.requests[0].path == "/v1beta/models/m:generateContent"


@pytest.mark.parametrize(
    ("name", "path"), [("tunedModels/my one", "tunedModels/my%20one"), ("a:b?c", "models/a%3Ab%3Fc")]
)
async def test_a_name_stays_within_its_path(name, path, serve, first):
    model = {"name": name, "context_window": 4096, "price": {"input": "1", "output": "1"}}
    caller = await serve(settings(first, models=[model]))
    enqueue(first, HI, STOP)
    assert (await caller.ask(f"first/{name}")).answer.text == "Hi"
    assert first.requests[0].path == f"/v1beta/{path}:streamGenerateContent?alt=sse"


async def test_an_array_in_the_place_of_a_stream_is_understood(caller, first):
    array = (
        b"[" + b",\r\n".join((json.dumps(chunk("Hi")).encode(), json.dumps(chunk(finishReason="STOP")).encode())) + b"]"
    )
    enqueue(first, array, content_type="application/json")
    assert (await caller.ask("first/m")).answer.text == "Hi"


@pytest.mark.parametrize("end", [End.CLEAN, End.FIN, End.RESET])
async def test_a_stream_that_ends_without_a_reason_was_cut(end, caller, first):
    for _ in range(2):
        enqueue(first, HI, end=end)
    outcome = await caller.ask("first/m", may_recover=False)
    assert outcome.error is not None
    assert outcome.answer.text == "Hi"


async def test_an_answer_that_was_cut_is_made_whole_by_another(caller, first, second):
    enqueue(first, sse(chunk("Hello")))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.answer.text == ELSEWHERE
    assert outcome.outcomes == ["first cut", "second answered"]


FAILURES = [
    ((429, "RESOURCE_EXHAUSTED", "No."), "rate_limited", 1),
    ((429, "RESOURCE_EXHAUSTED", "No.", {"violations": [{"quotaId": "RequestsPerDay"}]}), "quota", 1),
    ((400, "INVALID_ARGUMENT", "No.", {"reason": "API_KEY_INVALID"}), "credentials", 1),
    ((400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
     "context_length", 1),
    ((400, "INVALID_ARGUMENT", "No."), "bad_request", 1),
    ((503, "UNAVAILABLE", "No."), "server_error", 2),
]  # fmt: skip


@pytest.mark.parametrize(("error", "outcome", "times"), FAILURES, ids=[row[1] for row in FAILURES])
async def test_errors_before_the_answer_are_what_they_say(error, outcome, times, caller, first):
    refuse(first, *error, times=times)
    asked = await caller.ask("first/m", "second/m")
    assert asked.outcomes == [*[f"first {outcome}"] * times, "second answered"]


@pytest.mark.parametrize("frame", [
    sse({"error": {"code": 503, "message": "No.", "status": "UNAVAILABLE"}}),
    sse(chunk("", finishReason="MALFORMED_FUNCTION_CALL")),
    b"data: {oops\n\n",
])  # fmt: skip
async def test_errors_within_the_answer_break_it(frame, caller, first):
    enqueue(first, HI, frame, STOP)
    outcome = await caller.ask("first/m")
    assert outcome.error is not None
    assert outcome.answer.finished is None


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
async def test_a_prompt_that_is_blocked_is_refused_and_nobody_else_is_asked(wants_whole, caller, first, second):
    blocked = {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "Not this."}}
    if wants_whole:
        enqueue(first, json.dumps(blocked).encode(), content_type="application/json")
    else:
        enqueue(first, sse(blocked))
    outcome = await caller.ask("first/m", "second/m", whole=wants_whole)
    assert outcome.outcomes == ["first refused"]
    assert "Not this." in str(outcome.error)
    assert not second.requests


async def test_a_filter_is_told_with_its_word(caller, first):
    enqueue(first, HI, sse(chunk("", finishReason="SAFETY", finishMessage="Hm.")))
    finished = (await caller.ask("first/m")).answer.finished
    assert finished.reason is FinishReason.CONTENT_FILTER
    assert finished.stop_details == StopDetails(word="SAFETY", explanation="Hm.")


async def test_an_error_never_tells_the_key(caller, first):
    refuse(first, 400, "INVALID_ARGUMENT", f"API key {KEY} is not for this.")
    assert KEY[:12] not in str((await caller.ask("first/m")).error)


async def test_a_loop_of_tools_gives_back_every_signature(caller, first):
    question = Message(role=Role.USER, parts=(Text(text="Weather?"),))
    turns, tools = [question], (Tool(name="f", parameters_json='{"type":"object"}'),)
    for step in range(3):
        parts = [
            {"text": "Hm.", "thought": True},
            {"functionCall": {"name": "f", "args": {"step": step}}, "thoughtSignature": f"c2ln{step}+=="},
            {"functionCall": {"name": "f", "args": {}}},
        ]
        enqueue(first, sse({"candidates": [{"content": {"parts": parts}}]}), STOP)
        value = GenerationInput(model="fast", messages=tuple(turns), tools=tools)
        answer = (await caller.ask("first/m", value=value)).answer
        assert answer.finished.reason is FinishReason.TOOL_CALLS
        assert [call.id.rpartition("_")[0] for call in answer.tool_calls] == [
            f"call_{2 * step}",
            f"call_{2 * step + 1}",
        ]
        turns += [answer.message()]
        turns += [
            Message(role=Role.TOOL, tool_call_id=call.id, parts=(Text(text="cold"),))
            for call in reversed(answer.tool_calls)
        ]
    enqueue(first, HI, STOP)
    await caller.ask("first/m", value=GenerationInput(model="fast", messages=tuple(turns), tools=tools))
    bodies = [request.body["contents"] for request in first.requests]
    for earlier, later in zip(bodies, bodies[1:], strict=False):
        assert later[: len(earlier)] == earlier
    models = [turn["parts"] for turn in bodies[-1] if turn["role"] == "model"]
    assert [[part.get("thoughtSignature") for part in parts] for parts in models] == [
        [f"c2ln{step}+==", None] for step in range(3)
    ]
    results = [turn["parts"] for turn in bodies[-1] if "functionResponse" in turn["parts"][0]]
    assert [[part["functionResponse"]["id"] for part in parts] for parts in results] == [
        [part["functionCall"]["id"] for part in parts] for parts in models
    ]


async def test_a_history_of_another_s_is_asked_with_the_word_that_google_gives_for_it(caller, first):
    calls = (ToolCall(id="toolu_1", name="f", arguments_json="{}"),)
    turns = (
        Message(role=Role.USER, parts=(Text(text="Weather?"),)),
        Message(role=Role.ASSISTANT, tool_calls=calls),
        Message(role=Role.TOOL, tool_call_id="toolu_1", parts=(Text(text="cold"),)),
    )
    enqueue(first, HI, STOP)
    await caller.ask("first/m", value=GenerationInput(model="fast", messages=turns))
    assert first.requests[0].body["contents"][1]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"


@pytest.mark.parametrize(
    "message", ["thinking_level is not supported by this model.", "Thinking level is not supported."]
)
async def test_a_model_that_takes_no_levels_is_told_a_budget_and_remembered(message, caller, first):
    refuse(first, 400, "INVALID_ARGUMENT", message)
    first.enqueue(*[Body(frames=[HI, STOP])] * 2)
    sampling = SamplingParams(reasoning_effort="low")
    for _ in range(2):
        outcome = await caller.ask("first/m", value=replace(QUESTION, sampling=sampling))
        assert outcome.outcomes == ["first answered"]
    told = [request.body["generationConfig"]["thinkingConfig"] for request in first.requests]
    budget = {"includeThoughts": True, "thinkingBudget": 1024}
    assert told == [{"includeThoughts": True, "thinkingLevel": "LOW"}, budget, budget]


async def test_a_refusal_of_levels_that_were_not_asked_for_is_told(caller, first):
    refuse(first, 400, "INVALID_ARGUMENT", "thinking_level is not supported by this model.")
    assert (await caller.ask("first/m")).outcomes == ["first bad_request"]


async def test_the_tier_that_it_says_is_billed(serve, first):
    price = {"input": "1", "output": "1"}
    model = {
        "name": "m",
        "context_window": 4096,
        "price": price,
        "service_tiers": {"priority": {"input": "9", "output": "9"}},
    }
    caller = await serve(settings(first, models=[model]))
    enqueue(first, HI, sse(chunk("", finishReason="STOP", usage={"trafficType": "ON_DEMAND_PRIORITY"})))
    value = GenerationInput(
        model="fast",
        messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),),
        extra_json='{"service_tier":"priority"}',
    )
    finished = (await caller.ask("first/m", value=value)).answer.finished
    assert (finished.service_tier, finished.unit_prices.input_nano_usd) == ("priority", 9_000_000_000)
    assert first.requests[0].body["serviceTier"] == "priority"


async def test_of_several_keys_one_that_is_refused_is_left_out(serve, first):
    known = {name: value for name, value in settings(first).items() if name != "api_key"}
    caller = await serve({**known, "api_keys": ["key-number-one", "key-number-two"]})
    refuse(first, 400, "INVALID_ARGUMENT", "No.", {"reason": "API_KEY_INVALID"})
    first.enqueue(*[Body(frames=[HI, STOP])] * 3)
    for _ in range(3):
        await caller.ask("first/m")
    keys = [request.headers["x-goog-api-key"] for request in first.requests]
    assert keys[0] not in keys[1:]
