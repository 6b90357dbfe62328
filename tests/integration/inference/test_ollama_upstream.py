"""Ollama by its own API, over real sockets: the bytes that it gets, and what its lines mean in every chunking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import (
    File,
    FinishReason,
    GenerationInput,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Reasoning,
    ReasoningDelta,
    Role,
    SamplingParams,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolChoiceMode,
    UnsupportedFields,
    Usage,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, End, OpenAIUpstream
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.ollama.request import Room, body_from_input
from penstock_inference.adapters.providers.ollama.stream import ChatStream, whole_answer
from penstock_inference.adapters.providers.ollama.table import TABLE
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import Stopped

NDJSON = "application/x-ndjson"
SCHEMA = '{"type": "object", "z": 1.0, "a": 1e2}'


def line(**members: Any) -> bytes:
    return json.dumps({"model": "m", "created_at": "2026-11-30T00:00:00Z", **members}).encode() + b"\n"


def said(done: bool = False, **message: Any) -> bytes:
    return line(message={"role": "assistant", **({"content": ""} | message)}, done=done)


def last(reason: str = "stop", **more: Any) -> bytes:
    counts = {"total_duration": 9, "prompt_eval_count": 7, "eval_count": 4}
    return line(message={"role": "assistant", "content": ""}, done=True, done_reason=reason, **(counts | more))


CALLS = [
    {"id": "call_1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Oslo", "n": 1.0}}},
    {"id": "call_2", "function": {"index": 1, "name": "now", "arguments": {}}},
]
LINES = [said(thinking="Hm, "), said(thinking="well."), said(content="I "), said(content="löok."),
         said(tool_calls=CALLS[:1]), said(tool_calls=CALLS[1:]), last()]  # fmt: skip
EVENTS = [
    ReasoningDelta(text="Hm, well."),
    TextDelta(text="I löok."),
    ToolCallDelta(index=0, id="call_1", name="weather", arguments_json_fragment='{"city": "Oslo", "n": 1.0}'),
    ToolCallDelta(index=1, id="call_2", name="now", arguments_json_fragment="{}"),
]
END = [Usage(input_tokens=7, output_tokens=4), Stopped(FinishReason.TOOL_CALLS)]
WHOLE = line(
    message={"role": "assistant", "content": "I löok.", "thinking": "Hm, well.", "tool_calls": CALLS},
    done=True, done_reason="stop", prompt_eval_count=7, eval_count=4,
)  # fmt: skip


def streamed(sent: bytes, size: int) -> list[Any]:
    stream, events = ChatStream(), []
    for start in range(0, len(sent), size):
        events += stream.feed(sent[start : start + size])
    return events if stream.done else [*events, *stream.end()]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10_000])
@pytest.mark.parametrize("ends", [b"", b"\n", b"\r\n\n"])
def test_every_chunking_gives_equal_events(size, ends):
    events = streamed(b"".join(LINES).rstrip(b"\n") + ends, size)
    assert merge_deltas(events[:-2]) == EVENTS
    assert events[-2:] == END


def test_a_whole_answer_says_the_same():
    assert whole_answer(WHOLE) == [*EVENTS, *END]


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("load", FinishReason.STOP),
        ("new", FinishReason.STOP),
    ],
)
def test_every_reason_is_known(reason, means):
    assert whole_answer(last(reason))[-1] == Stopped(means)


def test_a_call_without_an_id_gets_one():
    calls = [{"function": {"name": "f", "arguments": {}}}, {"function": {"name": "f"}}]
    events = whole_answer(said(done=True, tool_calls=calls))
    assert [one.arguments_json_fragment for one in events[:2]] == ["{}", "{}"]
    assert len({one.id for one in events[:2]}) == 2


def test_usage_that_says_half_is_none():
    assert not any(isinstance(one, Usage) for one in whole_answer(last(prompt_eval_count=None)))


@pytest.mark.parametrize("broken", [b"{\n", b"[]\n", b"Hello\n", b'{"message":{"content":7}}\n', b"\xff\n"])
def test_a_line_that_cannot_be_read_is_malformed(broken):
    with pytest.raises(AttemptFailed) as caught:
        ChatStream().feed(LINES[0] + broken)
    assert caught.value.kind is FailureKind.MALFORMED


def test_a_line_without_an_end_is_bounded():
    stream = ChatStream()
    with pytest.raises(AttemptFailed) as caught:
        for _ in range(40):
            stream.feed(b" " * 100_000)
    assert caught.value.kind is FailureKind.OVERSIZE


# Over sockets.


def ollama(upstream: OpenAIUpstream, **more: Any) -> dict[str, Any]:
    return upstream.settings("first", **{"provider": "ollama", "native_api": True, **more})


WAYS = pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])


def answer(whole: bool, *lines: bytes) -> Body:
    return Body(frames=lines or LINES, content_type="application/json" if whole else NDJSON)


@WAYS
async def test_its_own_api_is_asked_and_answers(whole, serve, first):
    caller = await serve(ollama(first, num_ctx=2048, keep_alive="30m"))
    first.enqueue(answer(whole, WHOLE) if whole else answer(whole))
    outcome = await caller.ask("first/m", whole=whole)
    turn = outcome.answer.message()
    assert list(turn.parts) == [Reasoning(text="Hm, well."), Text(text="I löok.")]
    assert [call.arguments_json for call in turn.tool_calls] == ['{"city": "Oslo", "n": 1.0}', "{}"]
    assert outcome.answer.finished.reason is FinishReason.TOOL_CALLS
    assert outcome.answer.usage == Usage(input_tokens=7, output_tokens=4)
    request = first.requests[0]
    assert request.path == "/api/chat"
    assert request.headers["authorization"] == "Bearer sk-ours"
    stream = b"false" if whole else b"true"
    assert request.raw_body == (
        b'{"model":"m","messages":[{"role":"user","content":"Hi?"}],"options":{"num_ctx":2048},"stream":%b,'
        b'"keep_alive":"30m"}' % stream
    )


async def test_the_context_is_the_models_window_where_nothing_else_is_said(serve, first):
    caller = await serve(ollama(first, context_window=8192, keep_alive="-1"))
    first.enqueue(answer(False))
    await caller.ask("first/m")
    assert first.requests[0].body["options"] == {"num_ctx": 8192}
    assert first.requests[0].body["keep_alive"] == -1


@pytest.mark.parametrize("more", [{}, {"native_api": False, "keep_alive": "5m"}])
async def test_openais_format_is_asked_where_nothing_needs_the_own(more, serve, first):
    caller = await serve(first.settings("first", provider="ollama", **more))
    assert (await caller.ask("first/m")).answer.text == "Hello, world."
    assert first.requests[0].path == "/v1/chat/completions"


@WAYS
async def test_an_error_in_the_place_of_an_answer_is_one(whole, serve, first, second):
    caller = await serve(ollama(first), second.settings("second"))
    first.enqueue(*[answer(whole, b'{"error":"an error was encountered while running the model"}\n')] * 2)
    outcome = await caller.ask("first/m", "second/m", whole=whole)
    assert outcome.outcomes == ["first server_error", "first server_error", "second answered"]


async def test_an_error_within_an_answer_breaks_it(serve, first):
    caller = await serve(ollama(first))
    first.enqueue(answer(False, said(content="Hel"), b'{"error":"unexpected EOF"}\n'))
    outcome = await caller.ask("first/m", may_recover=False)
    assert outcome.error is not None
    assert outcome.answer.finished is None


async def test_a_model_that_it_has_not_is_misconfigured(serve, first, second):
    caller = await serve(ollama(first), second.settings("second"))
    missing = Body(frames=[b'{"error":"model \\"m\\" not found"}'], status=404, content_type="application/json")
    first.enqueue(missing)
    assert (await caller.ask("first/m", "second/m")).outcomes == ["first misconfigured", "second answered"]


@pytest.mark.parametrize("end", [End.CLEAN, End.FIN, End.RESET])
async def test_a_stream_without_its_last_line_is_cut(end, serve, first, second):
    caller = await serve(ollama(first), second.settings("second"))
    first.enqueue(*[Body(frames=[said(thinking="")], content_type=NDJSON, end=end)] * 2)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first cut", "first cut", "second answered"]


# What it is told.


def turn(role: Role, *parts: Any, **more: Any) -> Message:
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts), **more)


def asked(*messages: Message, **more: Any) -> GenerationInput:
    return replace(QUESTION, messages=messages or QUESTION.messages, **more)


def written(value: GenerationInput, policy: Any = None, facts: ModelFacts = UNKNOWN_MODEL, **room: Any) -> bytes:
    body = body_from_input(value, "m", Room(**room), facts, policy or FieldPolicy())
    return body if isinstance(body, bytes) else b"".join(body.pieces())


def refused(value: GenerationInput, mode: UnsupportedFields = UnsupportedFields.REFUSE, **room: Any) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        written(value, FieldPolicy(mode), **room)
    return caught.value


def test_the_table_says_of_every_use_how_it_is_told():
    assert set(TABLE) == set(Use)


def test_the_wire_is_this_byte_for_byte():
    value = asked(
        turn(Role.SYSTEM, "Be brief."),
        turn(Role.DEVELOPER, "In English."),
        turn(Role.USER, "See:", Image(data=b"\x89PNG\r\n\x1a\n", detail="low")),
        turn(Role.ASSISTANT, Reasoning(text="Hm."), "I look.", tool_calls=(
            ToolCall(id="c1", name="weather", arguments_json='{"b": 1.0, "a": 1e2}'),
            ToolCall(id="c2", name="now", arguments_json=""))),
        turn(Role.TOOL, "Cold.", tool_call_id="c1"),
        turn(Role.TOOL, "No.", tool_call_id="c2", is_error=True),
        turn(Role.SYSTEM, "Be kind."),
        tools=(Tool(name="weather", description="Tells it", parameters_json=SCHEMA), Tool(name="now")),
        tool_choice=ToolChoice(mode=ToolChoiceMode.AUTO, parallel=True),
        response_format=JsonSchema(name="a", schema_json=SCHEMA),
        sampling=SamplingParams(temperature=0.5, top_p=0.9, top_k=4, max_output_tokens=9, stop=("x",), seed=1,
                                presence_penalty=0.5, reasoning_effort="high"),
        extra_json='{"min_p":0.10}',
    )  # fmt: skip
    assert written(value, num_ctx=4096).decode() == (
        '{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"system","content":"In English."},'
        '{"role":"user","content":"See:","images":["iVBORw0KGgo="]},'
        '{"role":"assistant","content":"I look.","thinking":"Hm.","tool_calls":['
        '{"function":{"name":"weather","arguments":{"b": 1.0, "a": 1e2}}},{"function":{"name":"now","arguments":{}}}]},'
        '{"role":"tool","content":"Cold.","tool_name":"weather"},'
        '{"role":"tool","content":"Error: No.","tool_name":"now"},{"role":"system","content":"Be kind."}],'
        '"tools":[{"type":"function","function":{"name":"weather","description":"Tells it","parameters":' + SCHEMA + "}},"
        '{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}],'
        '"format":' + SCHEMA + ',"think":"high",'
        '"options":{"num_ctx":4096,"temperature":0.5,"top_p":0.9,"top_k":4,"seed":1,"presence_penalty":0.5,'
        '"num_predict":9,"stop":["x"],"min_p":0.10},"stream":true}'
    )  # fmt: skip


def test_large_images_are_bare_base64():
    value = asked(turn(Role.USER, "See", Image(data=b"x" * 100_000), Image(data=b"y" * 90_000)))
    images = json.loads(written(value))["messages"][0]["images"]
    assert [len(image) for image in images] == [133_336, 120_000]


@pytest.mark.parametrize(
    ("effort", "think"), [("none", False), ("minimal", "low"), ("medium", "medium"), ("xhigh", "high"), ("max", "max")]
)
def test_an_effort_is_one_of_its_words(effort, think):
    assert json.loads(written(asked(sampling=SamplingParams(reasoning_effort=effort))))["think"] == think


def test_a_model_that_knows_no_efforts_is_told_to_think():
    value, facts = asked(sampling=SamplingParams(reasoning_effort="high")), ModelFacts(efforts=("on",))
    assert json.loads(written(value, facts=facts))["think"] is True


def chosen(mode: ToolChoiceMode, **more: Any) -> GenerationInput:
    return asked(tools=(Tool(name="f"), Tool(name="g")), tool_choice=ToolChoice(mode=mode, **more))


def test_tools_are_left_out_that_may_not_be_called_and_none_can_be_forced():
    assert b"tools" not in written(chosen(ToolChoiceMode.NONE))
    assert b'"name":"g"' not in written(chosen(ToolChoiceMode.AUTO, allowed_tools=("f",)))
    assert refused(chosen(ToolChoiceMode.REQUIRED)).parameter == "input.tool_choice"
    policy = FieldPolicy(UnsupportedFields.DROP)
    assert b'"name":"g"' in written(chosen(ToolChoiceMode.NAMED, tool_name="f"), policy)
    assert policy.dropped == ("tool_choice: one tool",)


def test_any_json_object_has_a_word():
    assert b'"format":"json"' in written(asked(response_format=JsonObject()))


@pytest.mark.parametrize("part", [Image(url="https://a/b.png"), File(data=b"x", name="a.pdf"), File(url="https://a")])
def test_what_it_cannot_see_is_refused(part):
    assert refused(asked(turn(Role.USER, part)), UnsupportedFields.DROP).kind is FailureKind.UNSUPPORTED


@pytest.mark.parametrize(
    "extra", ['{"options":{"num_ctx":9}}', '{"keep_alive":-1}', '{"model":"x"}', '{"service_tier":"x"}']
)
def test_what_is_the_servers_is_nobodys_to_set(extra):
    failure = refused(asked(extra_json=extra), UnsupportedFields.PASS, passthrough=True)
    assert failure.kind is FailureKind.UNSUPPORTED


def test_unknown_fields_pass_where_that_is_declared():
    value = asked(extra_json='{"shift":true}')
    assert refused(value).may_be_dropped
    assert b'"shift":true' in written(value, passthrough=True)


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"a":1}}'])
def test_arguments_that_are_no_object_are_handed_back_within_one(arguments):
    call = ToolCall(id="a", name="f", arguments_json=arguments)
    (told,) = json.loads(written(asked(turn(Role.ASSISTANT, tool_calls=(call,)))))["messages"]
    assert told["tool_calls"][0]["function"]["arguments"] == {"INVALID_JSON": arguments}


def settings(**more: Any) -> Any:
    values = {"name": "a", "provider": "ollama", "base_url": "http://x", "models": [{"name": "m", "context_window": 9}]}
    return PROVIDERS["ollama"].settings.model_validate({**values, **more})


def test_another_window_is_another_upstream_where_it_is_told():
    wide = [{"name": "m", "context_window": 10}]
    assert settings(native_api=True).makings() != settings(native_api=True, models=wide).makings()
    assert settings().makings() == settings(models=wide).makings()
    with pytest.raises(ValueError, match="keep_alive"):
        settings(keep_alive="soon")
