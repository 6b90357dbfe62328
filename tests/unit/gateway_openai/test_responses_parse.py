"""A Responses request in the suite's vocabulary: nothing of it is lost, moved or dropped in silence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter
from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.types import (
    File,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_gateway.surfaces.wire_formats.openai.responses.errors import RESPONSES, param_from_field
from penstock_gateway.surfaces.wire_formats.openai.responses.parse import parse_responses_request

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = "data:image/png;base64," + base64.b64encode(PIXEL).decode()


def read(**asked: Any):
    return parse_responses_request(json.dumps({"model": "m", "input": "Hi", **asked}).encode())


def turns(*items: Any, **asked: Any) -> tuple[Message, ...]:
    return read(input=list(items), **asked).input.messages


def refused(**asked: Any) -> dict[str, Any]:
    """What the format tells of a request that is refused."""
    with pytest.raises(PenstockError) as caught:
        read(**asked)
    return json.loads(RESPONSES.error_response(caught.value).body)["error"]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **more}


def called(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{number}", "name": "f", "arguments": "{}", **more}


def test_a_text_is_a_turn_of_the_users_after_the_instructions():
    asked = read(instructions="Be brief.").input
    assert [(turn.role, turn.text) for turn in asked.messages] == [(Role.SYSTEM, "Be brief."), (Role.USER, "Hi")]


def test_messages_keep_their_roles_and_parts():
    content = [
        {"type": "input_text", "text": "See", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": DATA_URL, "detail": "low"},
        {"type": "input_image", "image_url": "HTTPS://a.example/b.png"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ]
    got = turns(
        {"role": "developer", "content": "Rules"}, said("system", "More"), said("user", content),
        {"role": "assistant", "content": "Was"}, {"role": "user", "content": "Now"},
    )  # fmt: skip
    assert [turn.role.value for turn in got] == ["developer", "system", "user", "assistant", "user"]
    assert got[2].parts == (
        Text(text="See", cache_breakpoint=True),
        Image(data=PIXEL, media_type="image/png", detail="low"),
        Image(url="https://a.example/b.png"),
        File(name="a.pdf", media_type="application/pdf", data=b"\0\0\0"),
        File(url="https://a.example/b.pdf"),
    )


def test_what_the_model_said_is_one_turn_in_its_order():
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    text = [{"type": "output_text", "text": "I look.", "annotations": []}, {"type": "refusal", "refusal": "No."}]
    got = turns(
        said("user", "?"), reasoning, said("assistant", text, id="msg_1", status="completed", phase="commentary"),
        called(1, id="fc_1"), {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "*** x"},
        {"type": "function_call_output", "call_id": "call_1", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "two"}]},
        called(3), {"type": "function_call_output", "call_id": "call_3", "output": [{"type": "input_image", "image_url": DATA_URL}]},
    )  # fmt: skip
    assert got[1] == Message(
        role=Role.ASSISTANT,
        parts=(Reasoning(text="Hm"), Text(text="I look."), Text(text="No.")),
        tool_calls=(
            ToolCall(id="call_1", name="f", arguments_json="{}"),
            ToolCall(id="call_2", name="patch", arguments_json="*** x", is_custom=True),
        ),
    )
    assert got[2:4] == (
        Message(role=Role.TOOL, parts=(Text(text="one"),), tool_call_id="call_1"),
        Message(role=Role.TOOL, parts=(Text(text="two"),), tool_call_id="call_2"),
    )
    assert got[4].tool_calls[0].id == "call_3"
    assert got[5].parts == (Image(data=PIXEL, media_type="image/png"),)


def test_calls_stand_where_they_stood_among_the_texts():
    (turn,) = turns(said("assistant", "A"), called(1), said("assistant", "B"), called(2))
    assert [call.parts_before for call in turn.tool_calls] == [1, None]


def test_reasoning_that_openai_encrypted_keeps_its_id():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    (turn,) = turns(item)
    assert turn.parts == (
        Reasoning(hidden=hidden_of(EncryptedReasoning(id="rs_1", encrypted_content="gAAA"))),
    )  # fmt: skip


def test_items_that_nobody_knows_stand_as_they_are_written():
    raw = '{"type":"local_shell_call","call_id":"c","action":{"n":1.0,"a":"\\u00e9"}}'
    body = f'{{"model":"m","input":[{{"role":"user","content":"Hi"}},{raw}]}}'
    message = parse_responses_request(body.encode()).input.messages[1]
    assert message.parts == (Opaque(format="openai_responses", json=raw),)


def test_an_empty_answer_is_no_turn():
    assert len(turns(said("user", "Hi"), said("assistant", []), {"type": "reasoning", "id": "r", "summary": []})) == 1


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"role": "robot", "content": "x"}], "input[0].role"),
        ([{"type": "message", "content": "x"}], "input[0].role"),
        ([said("user", [])], "input[0].content"),
        ([said("user", [{"type": "input_text"}])], "input[0].content[0].text"),
        ([said("user", [{"type": "input_audio"}])], "input[0].content[0]"),
        ([said("user", [{"type": "video"}])], "input[0].content[0].type"),
        ([said("user", [{"type": "input_image"}])], "input[0].content[0].image_url"),
        ([said("user", [{"type": "input_image", "file_id": "file-1"}])], "input[0].content[0].file_id"),
        ([said("user", [{"type": "input_image", "image_url": "ftp://x"}])], "input[0].content[0].image_url"),
        ([said("user", [{"type": "input_file", "file_id": "file-1"}])], "input[0].content[0].file_id"),
        ([said("user", [{"type": "input_file"}])], "input[0].content[0].file_data"),
        ([{"type": "function_call", "name": "f", "arguments": "{}"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "c", "arguments": "{}"}], "input[0].name"),
        ([called(1, arguments={})], "input[0].arguments"),
        ([called(1), {"type": "function_call_output", "call_id": "call_1"}], "input[1].output"),
        ([called(1), {"type": "function_call_output", "call_id": "call_1", "output": 3}], "input[1].output"),
        ([{"type": "custom_tool_call", "call_id": "c", "name": "f"}], "input[0].input"),
    ],
)
def test_an_item_that_is_none_is_named(items, param):
    assert refused(input=items)["param"] == param


def test_references_to_items_are_told_and_make_no_turn():
    for item in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        asked = read(input=[item, {"role": "user", "content": "Hi"}], store=False)
        assert asked.kept is not None
        assert asked.kept.refers
        assert len(asked.input.messages) == 1


def test_tools_of_every_kind():
    schema = '{"type":"object","properties":{"b":{},"a":{}}}'
    tools = [
        {"type": "function", "name": "f", "description": "d", "parameters": json.loads(schema), "strict": True},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "custom", "name": "free"},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "mcp", "server_label": "a"},
        {"type": "mcp", "server_label": "b"},
    ]
    asked = read(tools=tools, tool_choice={"type": "web_search"}, parallel_tool_calls=False).input
    assert asked.tools[:3] == (
        Tool(
            name="f",
            description="d",
            strict=True,
            parameters_json='{"type": "object", "properties": {"b": {}, "a": {}}}',
        ),
        Tool(name="patch", custom_json='{"type":"grammar","grammar":{"syntax":"lark","definition":"start: x"}}'),
        Tool(name="free", custom_json="{}"),
    )
    assert [tool.name for tool in asked.tools[3:]] == ["web_search", "mcp", "mcp_2"]
    assert json.loads(asked.tools[5].opaque.json) == tools[5]
    assert asked.tool_choice == ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="web_search", parallel=False)


FUNCTION = {"type": "function", "name": "f", "parameters": None}


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("auto", ToolChoice(mode=ToolChoiceMode.AUTO)),
        ("none", ToolChoice(mode=ToolChoiceMode.NONE)),
        ("required", ToolChoice(mode=ToolChoiceMode.REQUIRED)),
        ({"type": "function", "name": "f"}, ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="f")),
        ({"type": "custom", "name": "p"}, ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="p")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice(mode=ToolChoiceMode.REQUIRED, allowed_tools=("f",)),
        ),
    ],
)
def test_the_choice_among_tools(choice, meant):
    asked = read(tools=[FUNCTION, {"type": "custom", "name": "p"}], tool_choice=choice)
    assert asked.input.tool_choice == meant
    assert asked.form.members["tool_choice"] == choice


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "often"}}, "tool_choice.mode"),
        ({"tool_choice": {"type": "mcp", "name": "x"}}, "tool_choice.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"include": ["everything"]}, "include"),
        ({"stream_options": {}}, "stream_options"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"truncation": "some"}, "truncation"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "c"}, "previous_response_id": "resp_1"}, "conversation"),
    ],
)
def test_what_cannot_be_read_or_carried_is_named(asked, param):
    assert refused(**asked)["param"] == param


def test_the_form_of_the_text():
    schema = {"type": "object", "properties": {}}
    told = {"type": "json_schema", "name": "n", "description": "d", "schema": schema, "strict": True}
    asked = read(text={"format": told, "verbosity": "low"})
    assert asked.input.response_format == JsonSchema(
        name="n", description="d", strict=True, schema_json=json.dumps(schema)
    )
    assert json.loads(asked.input.extra_json) == {"verbosity": "low"}
    assert read(text={"format": {"type": "json_object"}}).input.response_format == JsonObject()
    assert read(text={"format": {"type": "text"}}).input.response_format is None


def test_how_it_is_to_be_made():
    asked = read(
        temperature=0.5, top_p=0.9, max_output_tokens=100.0, reasoning={"effort": "low", "summary": "auto"},
        top_logprobs=3, service_tier="flex", truncation="auto", max_tool_calls=4, prompt_cache_key="k",
        safety_identifier="s", metadata={"a": "b"}, store=False, future={"x": 1.0},
        include=["web_search_call.action.sources", "reasoning.encrypted_content"],
    )  # fmt: skip
    sampling = asked.input.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_output_tokens) == (0.5, 0.9, 100)
    assert (sampling.reasoning_effort, sampling.top_logprobs) == ("low", 3)
    extra = {"service_tier": "flex", "truncation": "auto", "max_tool_calls": 4, "future": {"x": 1.0}}
    extra |= {"reasoning_summary": "auto", "include": ["web_search_call.action.sources"]}
    assert json.loads(asked.input.extra_json) == extra
    hints = json.loads(asked.input.hints_json)
    assert hints["prompt_cache_key"] == "k"
    assert (asked.context.user, asked.context.tags) == ("s", {"a": "b"})
    assert asked.kept is None


def test_what_codex_sends_is_taken():
    body = {
        "model": "m", "instructions": "You are Codex.", "stream": True, "store": False, "parallel_tool_calls": False,
        "reasoning": None, "include": [], "prompt_cache_key": "thread", "tool_choice": "auto", "service_tier": None,
        "client_metadata": {"x-codex-installation-id": "1"}, "text": None,
        "tools": [{"type": "local_shell"}, {**FUNCTION, "strict": False, "output_schema": None}],
        "input": [said("developer", [{"type": "input_text", "text": "env"}]), said("user", [{"type": "input_text", "text": "Hi"}])],
    }  # fmt: skip
    asked = parse_responses_request(json.dumps(body).encode())
    assert asked.stream
    assert asked.input.extra_json == ""


def test_functions_in_namespaces_have_names_of_their_own():
    inner = [{**FUNCTION, "name": "spawn"}, {"type": "custom", "name": "x" * 64}]
    asked = read(tools=[{"type": "namespace", "name": "agents", "description": "d", "tools": inner}, FUNCTION])
    first, second, plain = asked.input.tools
    assert (first.name, plain.name, len(second.name), second.custom_json) == ("agents__spawn", "f", 64, "{}")
    assert asked.form.namespaces == {"agents__spawn": ("agents", "spawn"), second.name: ("agents", "x" * 64)}
    told = [json.loads(bytes(tool["type"])) for tool in asked.form.members["tools"]]
    assert told == ["namespace", "function"]
    (turn,) = turns(called(1, name="spawn", namespace="agents"))
    assert turn.tool_calls[0].name == "agents__spawn"
    within = {"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}
    assert refused(tools=[within])["param"] == "tools[0].tools[0].type"


def test_what_an_agent_says_in_the_name_of_a_function_is_a_turn_of_the_users():
    (turn,) = turns({"type": "function_call_output", "name": "goal", "namespace": "agent", "output": "Win"})
    assert (turn.role, [part.text for part in turn.parts]) == (Role.USER, ["agent.goal:", "Win"])
    assert refused(input=[{"type": "function_call_output", "output": "x"}])["param"] == "input[0].call_id"


def test_an_output_answers_a_call_before_it():
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    for items in ([output], [output, called(1)], [called(2), output]):
        told = refused(input=items)
        assert (told["param"], told["code"]) == ("input", None)
        assert told["message"] == "No tool call found for function call output with call_id call_1."
    assert len(turns(called(1), output)) == 2
    # The call is among what was kept.
    assert len(turns(output, previous_response_id="resp_1")) == 1


def test_what_is_kept_is_the_input_as_written():
    kept = parse_responses_request(b'{"model":"m","input":[ {"role":"user","content":"Hi"}]}').kept
    assert kept is not None
    assert (kept.store, json.loads(kept.items)) == (None, [{"role": "user", "content": "Hi"}])
    kept = read(store=False, previous_response_id="resp_1").kept
    assert kept is not None
    assert (kept.store, kept.previous) == (False, "resp_1")


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("input.messages[3].parts[0].image.url", "input"),
        ("input.sampling.max_output_tokens", "max_output_tokens"),
        ("input.sampling.reasoning_effort", "reasoning.effort"),
        ("input.extra_json.verbosity", "text.verbosity"),
        ("input.extra_json.truncation", "truncation"),
        ("input.tools[2].opaque", "tools[2]"),
        ("input.tools[2].custom_json", "tools[2].format"),
        ("input.tool_choice.allowed_tools[1]", "tool_choice.tools[1]"),
        ("input.response_format.json_schema.schema_json", "text.format.schema"),
        ("input.model", "model"),
        ("input[3].role", "input[3].role"),
    ],
)
def test_fields_have_this_formats_names(field, param):
    assert param_from_field(field) == param
    for error in (InvalidRequest(f"{field} is wrong.", field=field), UnsupportedParameter("x", parameter=field)):
        told = json.loads(RESPONSES.error_response(error).body)["error"]
        assert told["param"] == param
        assert "input.messages" not in told["message"]
