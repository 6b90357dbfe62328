"""Every provider asked by a caller of OpenAI's Responses: what is said reaches it, what it answers comes back as items."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from penstock_common.llm.types import FinishReason, GenerationInput, UnsupportedFields
from penstock_faults.script import Answer, Text, ToolCall
from penstock_gateway.surfaces.wire_formats.format import ReadRequest, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.responses.parse import parse_responses_request
from penstock_gateway.surfaces.wire_formats.openai.responses.stream import ResponseRenderer
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import render_response
from penstock_inference.adapters.providers.carried import How, Use, uses_of
from penstock_inference.adapters.providers.openai_responses.request import Asking, body_from_input
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "unit" / "gateway_openai")]

from conversations import CONVERSATIONS, Conversation, asked  # noqa: E402
from responses_events import Reader, check_response, events_in  # noqa: E402
from test_round_trip import TOOLS, _meant, blocks_of, examples_of, expected, merged  # noqa: E402
from wires import WIRES, as_document, table_of  # noqa: E402

SUMMARY = StreamSummary(overhead_ms=1.0, cache="miss")
REPLAYED = {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}, "store": False}
_STATUS = {FinishReason.LENGTH: "incomplete", FinishReason.CONTENT_FILTER: "incomplete"}


def body_of(value: GenerationInput, **more: Any) -> dict[str, Any]:
    """The request of this format that means an input."""
    value = replace(value, sampling=replace(value.sampling, stop=()))
    made = body_from_input(value, "m", Asking(), FieldPolicy(UnsupportedFields.DROP), ModelFacts(), whole=True)
    raw = made if isinstance(made, bytes) else b"".join(made.pieces())
    body = {name: told for name, told in json.loads(raw).items() if name not in ("include", "reasoning", "stream")}
    return {**body, **more}


def read(body: dict[str, Any]) -> ReadRequest:
    """What a body asks."""
    return parse_responses_request(json.dumps(body).encode())


async def response_of(stage: Any, body: dict[str, Any], whole: bool) -> dict[str, Any]:
    """The response that a caller gets, whole or at the end of its stream."""
    request = read({**body, "stream": not whole})
    untold = UnsupportedFields.DROP
    outcome = await stage.caller.ask("first/m", value=request.input, whole=whole, unsupported=untold)
    assert outcome.error is None
    if whole:
        response = json.loads(render_response((outcome.answer,), "resp_g", 5, request.form))
        check_response(response)
        return response
    renderer = ResponseRenderer("resp_g", 5, True, request.form)
    raw = b"".join(renderer.render([event]) for event in outcome.events) + renderer.end(SUMMARY)
    return Reader().read(events_in(raw))


def texts_in(response: dict[str, Any], kind: str, where: str = "content") -> str:
    """The texts of one kind of part."""
    parts = [part for item in response["output"] for part in item.get(where) or ()]
    return "".join(part["text"] for part in parts if part["type"] == kind)


def _check(response: dict[str, Any], conversation: Conversation, wire: Any) -> None:
    assert texts_in(response, "output_text") == conversation.text
    assert texts_in(response, "summary_text", "summary") == conversation.reasoning
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    made = [(call["call_id"] if wire.ids else "", call["name"], json.loads(call["arguments"])) for call in calls]
    assert made == [(one if wire.ids else "", name, arguments) for one, name, arguments in conversation.calls]
    assert all(call["call_id"] for call in calls)
    filtered = conversation.reason is FinishReason.CONTENT_FILTER and not wire.filters
    assert response["status"] == ("completed" if filtered else _STATUS.get(conversation.reason, "completed"))
    usage, said = response["usage"], conversation.usage
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    if said:
        told = (usage["input_tokens"], usage["output_tokens"], usage["output_tokens_details"]["reasoning_tokens"])
        assert told == (said["input"], said["output"], said["reasoning"] if "reasoning" in wire.counts else 0)
        cached = usage["input_tokens_details"]["cached_tokens"]
        assert cached == (said["cached"] if "cached" in wire.counts else 0)


def _comparable(response: dict[str, Any]) -> dict[str, Any]:
    """A response without its time; some wires have arguments as a document, which is written anew."""
    output = [
        {**item, "arguments": as_document(item["arguments"])} if "arguments" in item else item
        for item in response["output"]
    ]
    return {**response, "output": output, "completed_at": 0}


@pytest.mark.parametrize("name", WIRES)
async def test_conversations(name: str, stage_of):
    wire, stage = WIRES[name], await stage_of(name)
    for conversation in CONVERSATIONS:
        body = body_of(conversation.input, **REPLAYED)
        request = read(body).input
        if request.sampling.max_output_tokens == conversation.input.sampling.max_output_tokens:
            assert request.messages == conversation.input.messages, conversation
        untold = [use for use in uses_of(request) if table_of(name)[use].how is How.NO]
        answers = []
        for whole in (False, True):
            stage.plays(conversation.answer)
            answers.append(await response_of(stage, body, whole))
            _check(answers[-1], conversation, wire)
            said = json.dumps(stage.last.body, ensure_ascii=False)
            for word in conversation.holds if not untold else ():
                assert word in said or word == "END", (conversation.name, word)
        first, second = map(_comparable, answers)
        if wire.ids:
            assert first == second, conversation


@pytest.mark.parametrize("name", WIRES)
async def test_what_was_answered_is_handed_back(name: str, stage_of):
    wire, stage = WIRES[name], await stage_of(name)
    for number, blocks in enumerate(examples_of(blocks_of(wire))):
        finish = "tool_calls" if any(isinstance(block, ToolCall) for block in blocks) else "stop"
        stage.plays(Answer(blocks=blocks, finish_reason=finish))
        body = body_of(asked(tools=TOOLS), **REPLAYED)
        response = await response_of(stage, body, whole=bool(number % 2))
        calls = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": one, "output": "fine"} for one in calls]
        body["input"] += [*response["output"], *(results or [{"role": "user", "content": "Go on."}])]
        stage.plays(Answer())
        await response_of(stage, body, whole=True)
        told = [_meant(block) for block in wire.told(stage.last.body)]
        assert merged(told, wire) == merged(expected(map(_uncited, blocks), wire), wire), blocks


def _uncited(block: Any) -> Any:
    """Annotations are told and not handed back: their words are not the provider's."""
    return replace(block, citations=()) if isinstance(block, Text) else block


PATCH = '*** Begin Patch\n+ "é" \\ 👋'
_ARGUMENTS = json.dumps({"input": PATCH})


@pytest.mark.parametrize("name", [name for name in WIRES if table_of(name)[Use.CUSTOM_TOOLS].how is How.CONVERTED])
async def test_a_tool_of_free_text_is_a_function_where_there_are_no_others(name: str, stage_of):
    wire, stage = WIRES[name], await stage_of(name)
    fragments = tuple(_ARGUMENTS[at : at + 5] for at in range(0, len(_ARGUMENTS), 5))
    call = ToolCall(name="apply_patch", fragments=fragments, id="call_patch")
    form = {"type": "grammar", "syntax": "lark", "definition": "start: line"}
    tool = {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": form}
    body: dict[str, Any] = {"model": "m", "input": [{"role": "user", "content": "Fix it."}], "tools": [tool]}
    for whole in (False, True):
        stage.plays(Answer(tokens=(), tool_calls=(call,), finish_reason="tool_calls"))
        response = await response_of(stage, body, whole)
        (item,) = response["output"]
        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", PATCH)
        assert "start: line" in json.dumps(stage.last.body)
    result = {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "Done."}
    stage.plays(Answer())
    await response_of(stage, {**body, "input": [*body["input"], item, result]}, whole=True)
    (told,) = map(_meant, wire.told(stage.last.body))
    assert told[2:4] == ("apply_patch", {"input": PATCH})
