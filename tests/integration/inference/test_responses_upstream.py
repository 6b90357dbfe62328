"""OpenAI's Responses API over real sockets, and which of the two interfaces a call takes."""

import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock_common.llm.types import (
    FinishReason,
    GenerationInput,
    Message,
    Opaque,
    Reasoning,
    Role,
    SamplingParams,
    Text,
    Tool,
    UnsupportedFields,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, Failure
from penstock_inference.adapters.providers.openai.interfaces import BothInterfaces
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts, Tools
from penstock_inference.domain.upstream import UpstreamCall

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "inference"))

import responses_streams as recorded  # noqa: E402

TOOLS = (Tool(name="look"), Tool(name="bare"), Tool(name="run", custom_json="{}"))
LOOP = replace(QUESTION, tools=TOOLS)


def streamed(output=recorded.ALL, **more):
    return Body(frames=recorded.stream(output, **more), content_type="text/event-stream; charset=utf-8")


def whole(output=recorded.ALL, status="completed", **more):
    body = json.dumps(recorded.response(status, output, **more)).encode()
    return Body(frames=[body], content_type="application/json")


@pytest.fixture
async def responses(serve, first):
    """A caller of ``first/m``, which is asked by the Responses API."""
    return await serve(first.settings("first", provider="openai", api="responses"))


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("answers_whole", [False, True], ids=["stream", "one piece"])
async def test_every_item_is_told_whichever_way_it_comes(wants_whole, answers_whole, responses, first):
    first.enqueue(whole() if answers_whole else streamed())
    outcome = await responses.ask("first/m", value=LOOP, whole=wants_whole)
    assert outcome.error is None
    request = first.requests[0]
    assert (request.path, request.headers["authorization"]) == ("/v1/responses", "Bearer sk-ours")
    assert request.headers["accept"] == ("application/json" if wants_whole else "text/event-stream")
    assert request.body["stream"] is not wants_whole
    answer = outcome.answer
    assert answer.finished.reason is FinishReason.TOOL_CALLS
    assert [(call.id, call.name, call.arguments_json, call.is_custom) for call in answer.tool_calls] == [
        ("call_1", "look", '{"city":"Ås"}', False), ("call_2", "bare", "{}", False), ("call_3", "run", "ls -l", True),
    ]  # fmt: skip
    assert (answer.text, answer.usage.cache_write_input_tokens) == ("Größe: 5 🙂", 8)


async def test_the_turn_that_is_handed_back_holds_what_came(responses, first):
    first.enqueue(streamed(), streamed([recorded.MESSAGE]))
    answer = (await responses.ask("first/m", value=LOOP)).answer
    results = [Message(role=Role.TOOL, tool_call_id=call.id, parts=(Text(text="5"),)) for call in answer.tool_calls]
    loop = replace(LOOP, messages=(*LOOP.messages, answer.message(), *results))
    assert (await responses.ask("first/m", value=loop)).error is None
    asked, again = (request.body["input"] for request in first.requests)
    assert again[: len(asked)] == asked
    # Nothing but how the texts of one summary are parted differs from what the provider gave.
    summary = [{"type": "summary_text", "text": "Look first.\n\nThen say."}]
    assert again[len(asked) :] == [
        recorded.SEARCH,
        {**recorded.REASONING, "summary": summary},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Größe: 5 🙂"}]},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"city":"Ås"}'},
        {"type": "function_call", "call_id": "call_2", "name": "bare", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_3", "name": "run", "input": "ls -l"},
        {"type": "function_call_output", "call_id": "call_1", "output": "5"},
        {"type": "function_call_output", "call_id": "call_2", "output": "5"},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "5"},
    ]


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
async def test_a_limit_before_any_message_is_an_answer(wants_whole, responses, first):
    ended = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    first.enqueue(whole([], **ended) if wants_whole else streamed([], **ended))
    outcome = await responses.ask("first/m", whole=wants_whole)
    assert (outcome.answer.finished.reason, outcome.answer.text) == (FinishReason.LENGTH, "")


@pytest.mark.parametrize("count", [2, 6, 12])
async def test_a_stream_that_is_cut_is_answered_by_another(count, serve, first, second):
    caller = await serve(first.settings("first", provider="openai", api="responses"), second.settings("second"))
    first.enqueue(*[Body(frames=recorded.stream([recorded.REASONING, recorded.MESSAGE])[:count])] * 2)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes[0] == "first cut"
    assert outcome.outcomes[-1] == "second answered"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure(429, headers={"retry-after-ms": "5"}), "rate_limited"),
        (Failure(500), "server_error"),
        (Failure(401), "credentials"),
    ],
)
async def test_an_error_by_its_status_is_known(failure, told, responses, first):
    first.enqueue(failure, failure)
    outcome = await responses.ask("first/m")
    assert outcome.outcomes[0] == f"first {told}"


async def test_a_field_without_a_place_is_refused_by_its_name(responses, first):
    outcome = await responses.ask("first/m", value=replace(QUESTION, sampling=SamplingParams(stop=("x",))))
    assert "input.sampling.stop has no field in the Responses API" in str(outcome.error)
    assert first.requests == []


async def test_an_upstream_that_has_no_such_interface_is_not_given_one(serve, first):
    with pytest.raises(ValueError, match="OpenAI's own interfaces"):
        await serve(first.settings("first", api="responses"))


class Asked:
    """An upstream that says of itself that it was asked."""

    def __init__(self, name):
        self.name = name

    def ask(self, call):
        del call
        return self.name


NO = ModelFacts(tools_on_chat=Tools.NO)
WITHOUT_EFFORT = ModelFacts(tools_on_chat=Tools.WITHOUT_EFFORT)
SEARCH = Tool(name="search", opaque=Opaque(format="openai_responses", json='{"type":"web_search"}'))


def said(*parts):
    return replace(QUESTION, messages=(*QUESTION.messages, Message(role=Role.ASSISTANT, parts=parts)))


def effort(word, value=LOOP):
    return replace(value, sampling=SamplingParams(reasoning_effort=word))


@pytest.mark.parametrize(
    ("value", "facts", "interface"),
    [
        (QUESTION, UNKNOWN_MODEL, "chat"),
        (LOOP, UNKNOWN_MODEL, "chat"),
        (QUESTION, NO, "chat"),
        (LOOP, NO, "responses"),
        (effort("none"), NO, "responses"),
        (effort("none"), WITHOUT_EFFORT, "chat"),
        (effort("low"), WITHOUT_EFFORT, "responses"),
        # Its own default is one, as far as anybody knows.
        (LOOP, WITHOUT_EFFORT, "responses"),
        (LOOP, ModelFacts(tools_on_chat=Tools.WITHOUT_EFFORT, default_effort="none"), "chat"),
        (effort("low", QUESTION), WITHOUT_EFFORT, "chat"),
        (effort("max", QUESTION), WITHOUT_EFFORT, "chat"),
        (effort("max", QUESTION), NO, "responses"),
        (effort("xhigh", QUESTION), NO, "chat"),
        (replace(QUESTION, tools=(SEARCH,)), UNKNOWN_MODEL, "responses"),
        (said(Reasoning(hidden=b'{"id":"rs_1","encrypted_content":"g"}')), UNKNOWN_MODEL, "responses"),
        (said(Reasoning(hidden=b"EoIB"), Reasoning(text="Hm.")), UNKNOWN_MODEL, "chat"),
        (said(Opaque(format="openai_responses", json="{}")), UNKNOWN_MODEL, "responses"),
        (said(Opaque(format="anthropic", json="{}")), UNKNOWN_MODEL, "chat"),
    ],
)
def test_a_call_takes_the_interface_that_it_needs(value: GenerationInput, facts, interface):
    both = BothInterfaces(Asked("chat"), Asked("responses"))
    call = UpstreamCall(
        model="m", input=value, connect_seconds=1, headers_received=print, whole_expected=print, facts=facts,
        unsupported=UnsupportedFields.REFUSE,
    )  # fmt: skip
    assert both.ask(call) == interface


async def test_by_itself_openai_is_asked_by_both(serve, first):
    caller = await serve(first.settings("first", provider="openai"))
    await caller.ask("first/m", value=LOOP)
    first.enqueue(streamed([recorded.MESSAGE]))
    await caller.ask("first/m", value=replace(QUESTION, tools=(SEARCH,)))
    assert [request.path for request in first.requests] == ["/v1/chat/completions", "/v1/responses"]
