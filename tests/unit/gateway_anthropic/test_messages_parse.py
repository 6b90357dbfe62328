"""What a Messages request says, in the suite's vocabulary."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import PenstockError
from penstock_common.llm.types import File, JsonSchema, Opaque, Reasoning, Role, Text, ToolChoiceMode
from penstock_gateway.surfaces.wire_formats.anthropic.messages.parse import parse_messages_request, with_betas
from penstock_gateway.surfaces.wire_formats.anthropic.signatures import unwrapped, wrapped


def _read(**members):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], **members}
    return parse_messages_request(json.dumps(body).encode()).input


def _turn(role, *blocks):
    return {"role": role, "content": list(blocks)}


@pytest.mark.parametrize(
    ("members", "effort"),
    [
        ({}, ""),
        ({"thinking": {"type": "adaptive"}}, ""),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8193}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
    ],
)
def test_how_much_it_thinks_is_an_effort(members, effort):
    assert _read(**members).sampling.reasoning_effort == effort


def test_the_form_of_the_answer_is_a_schema_and_other_settings_travel_on():
    config = {"format": {"type": "json_schema", "schema": {"type": "object"}}, "task_budget": {"total": 5}}
    read = _read(output_config=config)
    assert read.response_format == JsonSchema(name="answer", schema_json='{"type": "object"}', strict=True)
    assert json.loads(read.extra_json) == {"output_config": {"task_budget": {"total": 5}}}


def test_results_of_calls_are_turns_of_their_own_in_their_order():
    results = _turn(
        "user",
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": "1",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "tool_result", "tool_use_id": "b", "is_error": True},
        {"type": "text", "text": "go on"},
    )
    messages = _read(messages=[results]).messages
    assert [message.role for message in messages] == [Role.TOOL, Role.TOOL, Role.USER]
    assert messages[0].parts == (Text(text="1", cache_breakpoint=True, cache_ttl="1h"),)
    assert (messages[1].is_error, messages[1].parts) == (True, ())


def test_a_call_keeps_its_place_among_what_was_said_and_its_arguments_as_written():
    body = (
        b'{"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":['
        b'{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f","input":{"z":1,  "a":2}},'
        b'{"type":"text","text":"b"},{"type":"tool_use","id":"2","name":"g","input":{}}]}]}'
    )
    (message,) = parse_messages_request(body).input.messages
    first, second = message.tool_calls
    assert (first.arguments_json, first.parts_before) == ('{"z":1,  "a":2}', 1)
    assert (second.arguments_json, second.parts_before) == ("{}", None)


def test_the_call_of_code_goes_back_as_that():
    caller = {"type": "code_execution_20250825", "tool_id": "srv_1"}
    blocks = [
        {"type": "tool_use", "id": "1", "name": "f", "input": {}, "caller": caller},
        {"type": "tool_use", "id": "2", "name": "f", "input": {}, "caller": {"type": "direct"}},
    ]
    (message,) = _read(messages=[_turn("assistant", *blocks)]).messages
    assert json.loads(message.tool_calls[0].extra_json) == {"caller": caller}
    assert message.tool_calls[1].extra_json == ""


def test_documents_are_files_and_what_nobody_else_knows_stays_as_written():
    blocks = [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "T",
         "context": "C", "citations": {"enabled": True}},
        {"type": "document", "source": {"type": "content", "content": "x"}},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
    ]  # fmt: skip
    (message,) = _read(messages=[_turn("user", *blocks)]).messages
    file, *opaque = message.parts
    assert file == File(name="T", context="C", with_citations=True, data="é".encode(), media_type="text/plain")
    assert [json.loads(part.json) for part in opaque if isinstance(part, Opaque)] == blocks[1:]


def test_system_blocks_stay_apart():
    system = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    first, second = _read(system=system).messages
    assert first.parts == (Text(text="a"), Text(text="b", cache_breakpoint=True))
    assert second.role is Role.USER


@pytest.mark.parametrize(
    ("choice", "mode", "parallel"),
    [
        ({"type": "auto"}, ToolChoiceMode.AUTO, None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoiceMode.REQUIRED, False),
        ({"type": "tool", "name": "f"}, ToolChoiceMode.NAMED, None),
        ({"type": "none"}, ToolChoiceMode.NONE, None),
    ],
)
def test_the_choice_among_tools(choice, mode, parallel):
    told = _read(tool_choice=choice).tool_choice
    assert told is not None
    assert (told.mode, told.parallel) == (mode, parallel)


def test_betas_are_added_to_what_travels_on():
    body = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}],"container":"c"}'
    read = with_betas(parse_messages_request(body), {"anthropic-beta": "a-1, b-2,"})
    assert json.loads(read.input.extra_json) == {"container": "c", "anthropic_beta": ["a-1", "b-2"]}


def test_a_user_that_is_too_long_to_be_kept_is_only_told_to_the_provider():
    body = {"model": "m", "max_tokens": 5, "messages": [], "metadata": {"user_id": "u" * 300}}
    read = parse_messages_request(json.dumps(body).encode())
    assert read.context.user == ""
    assert "u" * 300 in read.input.hints_json


@given(st.binary(max_size=40), st.text(max_size=20))
def test_a_signature_comes_back_as_it_was_given(own, origin):
    assert unwrapped(wrapped(own, origin)) == (own, origin)


def test_a_signature_that_was_altered_is_nobodys():
    (message,) = _read(
        messages=[_turn("assistant", {"type": "thinking", "thinking": "t", "signature": "pk1a.broken"})]
    ).messages
    assert message.parts == (Reasoning(text="t"),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "text", "source", "content", "id", "name", "input", "tool_use_id", "role", "thinking", "data", "caller"]
    ), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(
    ["messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences", "other"]
), JSON))  # fmt: skip
def test_whatever_a_request_holds_it_is_read_or_refused(members):
    body = {"model": "m", "max_tokens": 5, "messages": [], **members}
    with suppress(PenstockError):
        parse_messages_request(json.dumps(body).encode())
