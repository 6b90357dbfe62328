"""What each field of a chat-completions request becomes."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import (
    File,
    GenerationInput,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Reasoning,
    RequestContext,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_gateway.surfaces.wire_formats.format import ReadRequest
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.request_wire import ChatCompletionRequest

PIXEL = b"\x89PNG\r\n\x1a\n\x00"
PIXEL_URL = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
HELLO = {"role": "user", "content": "Hello"}


def request_of(**fields: Any) -> ReadRequest:
    return parse_chat_request(json.dumps({"model": "fast", "messages": [HELLO], **fields}).encode())


def message_of(message: dict[str, Any]) -> Message:
    return request_of(messages=[message]).input.messages[0]


def refusal_of(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        request_of(**fields)
    return caught.value


def unsupported_by(**fields: Any) -> UnsupportedParameter:
    with pytest.raises(UnsupportedParameter) as caught:
        request_of(**fields)
    return caught.value


def test_a_minimal_request_sets_nothing_else() -> None:
    hello = Message(role=Role.USER, parts=(Text(text="Hello"),))
    assert request_of() == ReadRequest(
        input=GenerationInput(model="fast", messages=(hello,)),
        context=RequestContext(),
        stream=False,
        include_usage=False,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0.5}, SamplingParams(temperature=0.5)),
        ({"temperature": 1}, SamplingParams(temperature=1.0)),
        ({"temperature": 0}, SamplingParams(temperature=0.0)),
        ({"top_p": 0.9}, SamplingParams(top_p=0.9)),
        ({"top_k": 40}, SamplingParams(top_k=40)),
        ({"max_tokens": 7}, SamplingParams(max_output_tokens=7)),
        ({"max_tokens": 7.0}, SamplingParams(max_output_tokens=7)),
        ({"max_completion_tokens": 7}, SamplingParams(max_output_tokens=7)),
        ({"max_tokens": 7, "max_completion_tokens": 7}, SamplingParams(max_output_tokens=7)),
        ({"max_tokens": None, "max_completion_tokens": 7}, SamplingParams(max_output_tokens=7)),
        ({"stop": "END"}, SamplingParams(stop=("END",))),
        ({"stop": ["a", "b"]}, SamplingParams(stop=("a", "b"))),
        ({"stop": []}, SamplingParams()),
        ({"seed": -3}, SamplingParams(seed=-3)),
        (
            {"frequency_penalty": 0.1, "presence_penalty": -0.1},
            SamplingParams(frequency_penalty=0.1, presence_penalty=-0.1),
        ),
        ({"reasoning_effort": "low"}, SamplingParams(reasoning_effort="low")),
    ],
)
def test_sampling_fields_keep_their_values(fields: dict[str, Any], expected: SamplingParams) -> None:
    assert request_of(**fields).input.sampling == expected


def test_null_means_unset_for_every_optional_field() -> None:
    read = set(msgspec.structs.asdict(msgspec.convert({"model": "m", "messages": []}, ChatCompletionRequest)))
    optional = read - {"model", "messages"}
    optional |= {
        "functions",
        "function_call",
        "audio",
        "prediction",
        "web_search_options",
        "logit_bias",
        "future_field",
    }
    assert "metadata" in optional
    assert request_of(**dict.fromkeys(optional)) == request_of()


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1}, {"logprobs": False}, {"top_logprobs": 0}, {"modalities": ["text"]}, {"user": ""}, {"metadata": {}},
        {"service_tier": "auto"}, {"service_tier": "default"}, {"response_format": {"type": "text"}}, {"tools": []},
        {"stream": False},
    ],
)  # fmt: skip
def test_a_field_at_its_default_changes_nothing(fields: dict[str, Any]) -> None:
    assert request_of(**fields) == request_of()


def test_both_output_limits_are_refused_when_they_differ() -> None:
    error = refusal_of(max_tokens=5, max_completion_tokens=6)
    assert error.field == "max_tokens"
    assert "5" in error.message
    assert "6" in error.message


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_a_string_and_a_text_part_mean_the_same(role: str) -> None:
    expected = Message(role=Role(role), parts=(Text(text="Hi"),), name="ann")
    assert message_of({"role": role, "content": "Hi", "name": "ann"}) == expected
    assert message_of({"role": role, "content": [{"type": "text", "text": "Hi"}], "name": "ann"}) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": ""}, Text(text="")),
        ({"type": "image_url", "image_url": {"url": PIXEL_URL}}, Image(data=PIXEL, media_type="image/png")),
        ({"type": "image_url", "image_url": {"url": PIXEL_URL.replace("data:image", "DATA:Image"), "detail": "low"}},
         Image(data=PIXEL, media_type="image/png", detail="low")),
        ({"type": "image_url", "image_url": {"url": PIXEL_URL.replace(";", ";charset=utf-8;", 1)}},
         Image(data=PIXEL, media_type="image/png")),
        ({"type": "image_url", "image_url": {"url": "https://x.test/Cat.png", "detail": None}},
         Image(url="https://x.test/Cat.png")),
        ({"type": "image_url", "image_url": {"url": "HTTP://x.test/Cat.png"}}, Image(url="http://x.test/Cat.png")),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
         File(name="a.pdf", media_type="application/pdf", data=b"%PDF")),
        ({"type": "refusal", "refusal": "No."}, Text(text="No.")),
        ({"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
         Text(text="x", cache_breakpoint=True)),
        ({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}, Text(text="x", cache_breakpoint=True)),
    ],
)  # fmt: skip
def test_a_content_part_keeps_what_it_holds(part: dict[str, Any], expected: object) -> None:
    assert message_of({"role": "user", "content": [part]}).parts == (expected,)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png,abc", "data:image/png;base64", "data:image/png;base64,", "data:image/png;base64,a",
        "data:image/png;base64,a$==", "data:image/png;base64,YQ==YQ==", "data:image/png;base64,é", "data:", "",
        "file:///etc/passwd", "gopher://x", "ftp://x", "//x.test/a.png", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_image_url_is_refused_when_it_is_neither_http_nor_base64_data(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    error = refusal_of(messages=[HELLO, {"role": "user", "content": [{"type": "text", "text": "a"}, part]}])
    assert error.field == "messages[1].content[1].image_url.url"
    assert "data:" in error.message
    assert "passwd" not in error.message


CALLED = {"name": "f", "arguments": '{"b":1, "a":', "parsed_arguments": {"b": 1}}


def test_an_assistants_turn_keeps_calls_reasoning_and_refusal() -> None:
    turn = {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning_content": "Hm.",
        "refusal": "Not that.",
        "annotations": [],
        "parsed": {"city": "Rome"},
        "audio": None,
        "function_call": None,
        "tool_calls": [{"id": "call_1", "type": "function", "index": 0, "function": CALLED}],
    }
    assert message_of(turn) == Message(
        role=Role.ASSISTANT,
        parts=(Reasoning(text="Hm."), Text(text="Let me look."), Text(text="Not that.")),
        tool_calls=(ToolCall(id="call_1", name="f", arguments_json='{"b":1, "a":'),),
    )


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_an_assistants_turn_needs_no_content_when_it_has_calls(content: dict[str, Any]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = message_of({"role": "assistant", "tool_calls": [call], **content})
    assert message.parts == ()
    assert len(message.tool_calls) == 1


def test_a_turns_fields_of_other_roles_are_ignored_when_they_hold_nothing() -> None:
    nothing = {"tool_calls": [], "tool_call_id": None, "refusal": None, "function_call": None, "name": None}
    assert message_of({**HELLO, **nothing}) == message_of(HELLO)


def test_a_tools_turn_names_its_call() -> None:
    expected = Message(role=Role.TOOL, parts=(Text(text="42"),), tool_call_id="call_1")
    assert message_of({"role": "tool", "content": "42", "tool_call_id": "call_1"}) == expected


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        ({"content": "x"}, "messages[1].role"),
        ({"role": "robot", "content": "x"}, "messages[1].role"),
        ({"role": None, "content": "x"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": None}, "messages[1].content"),
        ({"role": "user", "content": 3}, "messages[1].content"),
        ({"role": "user", "content": {}}, "messages[1].content"),
        ({"role": "user", "content": []}, "messages[1].content"),
        ({"role": "user", "content": ["x"]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "video"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, "messages[1].content[0].image_url"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "messages[1].content[0].file.file_data"),
        ({"role": "user", "content": [{"type": "file", "file": {"file_data": "JVBERg=="}}]},
         "messages[1].content[0].file.file_data"),
        ({"role": "assistant"}, "messages[1].content"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "messages[1].content"),
        ({"role": "assistant", "content": "x", "tool_call_id": "c"}, "messages[1].tool_call_id"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "function",
                                               "function": {"name": "f", "arguments": {}}}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"role": "tool", "content": "x"}, "messages[1].tool_call_id"),
        ({"role": "user", "content": "x", "tool_call_id": "c"}, "messages[1].tool_call_id"),
        ({"role": "user", "content": "x", "tool_calls": [{"id": "c", "type": "function",
                                                          "function": {"name": "f", "arguments": ""}}]},
         "messages[1].tool_calls"),
        ({"role": "system", "content": "x", "reasoning_content": "y"}, "messages[1].reasoning_content"),
        ("x", "messages[1]"),
        (None, "messages[1]"),
    ],
)  # fmt: skip
def test_a_turn_is_refused_by_the_path_of_what_is_wrong(turn: Any, field: str) -> None:
    error = refusal_of(messages=[HELLO, turn])
    assert error.field == field
    assert field in error.message


@pytest.mark.parametrize(
    ("turn", "parameter"),
    [
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
         "messages[0].content[0].input_audio"),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
         "messages[0].content[0].file.file_id"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral",
                                                                                     "ttl": "1h"}}]},
         "messages[0].content[0].cache_control.ttl"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "user", "content": "x", "weight": 0}, "messages[0].weight"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "lang": "en"}]}, "messages[0].content[0].lang"),
    ],
)  # fmt: skip
def test_a_turn_with_what_nobody_carries_is_refused_by_name(turn: dict[str, Any], parameter: str) -> None:
    assert unsupported_by(messages=[turn]).parameter == parameter


def test_a_tools_schema_is_kept_verbatim() -> None:
    schema = '{ "type":"object",\n "properties":{"z":{"type":"number","minimum":1.0e0},"a":{}}, "é":"\\u00e9" }'
    tool = '{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":' + schema + "}}"
    body = '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[' + tool + "]}"
    expected = Tool(name="f", description="d", parameters_json=schema, strict=True)
    assert parse_chat_request(body.encode()).input.tools == (expected,)


@pytest.mark.parametrize("parameters", [{}, {"parameters": None, "description": None, "strict": None}])
def test_a_tool_needs_only_a_name(parameters: dict[str, Any]) -> None:
    assert request_of(tools=[{"type": "function", "function": {"name": "f", **parameters}}]).input.tools == (
        Tool(name="f"),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": "none"}, ToolChoice(mode=ToolChoiceMode.NONE)),
        ({"tool_choice": "auto"}, ToolChoice(mode=ToolChoiceMode.AUTO)),
        ({"tool_choice": "required", "parallel_tool_calls": True},
         ToolChoice(mode=ToolChoiceMode.REQUIRED, parallel=True)),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}},
         ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="f")),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False)),
    ],
)  # fmt: skip
def test_a_tool_choice_keeps_its_mode(fields: dict[str, Any], expected: ToolChoice) -> None:
    assert request_of(**fields).input.tool_choice == expected


def test_a_response_format_keeps_its_schema_verbatim() -> None:
    schema = '{"type": "object", "b": 1.50, "a": []}'
    wanted = (
        '{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":false,"schema":' + schema + "}}"
    )
    body = '{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":' + wanted + "}"
    expected = JsonSchema(name="n", schema_json=schema, strict=False, description="d")
    assert parse_chat_request(body.encode()).input.response_format == expected
    assert request_of(response_format={"type": "json_object"}).input.response_format == JsonObject()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": {}}, "messages"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "1"}, "max_tokens"),
        ({"n": 1.0}, "n"),
        ({"seed": 0.5}, "seed"),
        ({"stop": 3}, "stop"),
        ({"stop": ["a", 3]}, "stop[1]"),
        ({"stop": [None]}, "stop[0]"),
        ({"logprobs": 1}, "logprobs"),
        ({"user": 7}, "user"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
         "tools[0].function.parameters"),
        ({"tool_choice": "f"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.type"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": "x"}}},
         "response_format.json_schema.schema"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"modalities": "text"}, "modalities"),
        ({"service_tier": 1}, "service_tier"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_the_fields_path(fields: dict[str, Any], field: str) -> None:
    error = refusal_of(**fields)
    assert error.field == field
    assert f"'{field}'" in error.message


def test_a_refusal_names_field_finding_and_expectation() -> None:
    assert refusal_of(messages=[{"role": "user", "content": 3}]).message == (
        "'messages[0].content' must be a string, an array or null, but is an integer."
    )
    assert refusal_of(response_format={"type": "xml"}).message == (
        "'response_format.type' must be one of 'text', 'json_object' and 'json_schema', but is 'xml'."
    )


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"stream": True, "stream_options": {"pace": 1}}, "stream_options.pace"),
        ({"tools": [{"type": "function", "function": {"name": "f", "cost": 1}}]}, "tools[0].function.cost"),
    ],
)
def test_what_is_not_built_is_refused_by_name(fields: dict[str, Any], parameter: str) -> None:
    error = unsupported_by(**fields)
    assert error.parameter == parameter
    assert parameter.rpartition(".")[2] in error.message


def test_several_answers_and_probabilities_are_asked_for() -> None:
    assert request_of(n=2).input.sampling.choices == 2
    assert request_of(n=1).input.sampling.choices is None
    assert request_of(logprobs=True).input.sampling.top_logprobs == 0
    assert request_of(logprobs=True, top_logprobs=3).input.sampling.top_logprobs == 3
    assert refusal_of(top_logprobs=3).field == "top_logprobs"


LOOK = {"name": "look", "description": "d", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice(parallel=False)),
        ("none", ToolChoice(mode=ToolChoiceMode.NONE, parallel=False)),
        ({"name": "look"}, ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="look", parallel=False)),
    ],
)
def test_functions_are_tools_in_the_older_form(choice: Any, expected: ToolChoice) -> None:
    request = request_of(functions=[LOOK], function_call=choice)
    assert request.input.tools == (Tool(name="look", description="d", parameters_json='{"type": "object"}'),)
    assert request.input.tool_choice == expected
    assert request.form.functions
    assert not request_of(tools=[{"type": "function", "function": LOOK}]).form.functions


def test_a_functions_result_answers_the_last_call_of_its_name() -> None:
    def called(name: str) -> dict[str, Any]:
        return {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": "{}"}}

    turns = [
        {"role": "user", "content": "x"}, called("look"), {"role": "function", "name": "look", "content": "1"},
        called("look"), {"role": "function", "name": "look", "content": "2"},
    ]  # fmt: skip
    messages = request_of(messages=turns).input.messages
    assert [turn.tool_calls[0].id for turn in messages if turn.tool_calls] == [
        turn.tool_call_id for turn in messages if turn.role is Role.TOOL
    ]
    assert len({turn.tool_call_id for turn in messages if turn.role is Role.TOOL}) == 2
    error = refusal_of(messages=[{"role": "function", "name": "look", "content": "1"}])
    assert error.field == "messages[0].name"


def test_a_custom_tool_its_choice_and_its_call_are_carried() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}
    request = request_of(
        tools=[
            {"type": "custom", "custom": {"name": "run", "format": grammar}},
            {"type": "custom", "custom": {"name": "say", "description": "d"}},
        ],
        tool_choice={"type": "custom", "custom": {"name": "run"}},
        messages=[
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "."},
        ],
    )
    run, say = request.input.tools
    assert json.loads(run.custom_json) == grammar
    assert (say.custom_json, say.description) == ("{}", "d")
    assert request.input.tool_choice == ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="run")
    (call,) = request.input.messages[1].tool_calls
    assert call == ToolCall(id="c", name="run", arguments_json="ls", is_custom=True)


def test_allowed_tools_are_a_choice_among_some() -> None:
    allowed = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]
    choice = request_of(
        tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": allowed}}
    ).input.tool_choice
    assert choice == ToolChoice(mode=ToolChoiceMode.REQUIRED, allowed_tools=("f", "g"))


def test_unknown_fields_travel_verbatim_and_in_order() -> None:
    body = (
        '{"zeta": {"b":1.0,  "a":[1e2]}, "model":"m","messages":[{"role":"user","content":"x"}],'
        '"logit_bias":{"50256":-100}, "min_p":0.05,"verbosity":null,"k\\"\\u00e9y":"\\u00e9"}'
    )
    assert parse_chat_request(body.encode()).input.extra_json == (
        '{"zeta":{"b":1.0,  "a":[1e2]},"logit_bias":{"50256":-100},"min_p":0.05,"k\\"éy":"\\u00e9"}'
    )


def test_a_service_tier_other_than_the_default_travels_on() -> None:
    assert request_of(service_tier="flex").input.extra_json == '{"service_tier":"flex"}'


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"user": "u"}, "u"),
        ({"safety_identifier": "s"}, "s"),
        ({"user": "u", "safety_identifier": "s"}, "u"),
    ],
)
def test_the_user_comes_from_either_field_and_both_go_on(fields: dict[str, Any], user: str) -> None:
    request = request_of(**fields)
    assert request.context.user == user
    assert json.loads(request.input.hints_json) == fields
    assert request.input.extra_json == ""


@pytest.mark.parametrize(
    "fields",
    [{"store": False}, {"store": True}, {"metadata": {"a": "b"}}, {"prompt_cache_key": "k"},
     {"prompt_cache_retention": "24h"}, {"prompt_cache_options": {"mode": "explicit"}}],
)  # fmt: skip
def test_what_changes_nothing_of_the_answer_travels_apart(fields: dict[str, Any]) -> None:
    request = request_of(**fields).input
    assert (json.loads(request.hints_json), request.extra_json) == (fields, "")


def test_metadata_becomes_tags() -> None:
    assert request_of(metadata={"team": "search"}).context.tags == {"team": "search"}


@pytest.mark.parametrize(
    ("options", "include_usage"),
    [({}, False), ({"include_usage": True}, True), ({"include_usage": False, "include_obfuscation": False}, False)],
)
def test_a_stream_carries_usage_only_when_asked(options: dict[str, Any], include_usage: bool) -> None:
    request = request_of(stream=True, stream_options=options)
    assert (request.stream, request.include_usage) == (True, include_usage)
