"""What Anthropic's Messages API is asked: byte for byte, and by what is known of the model."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.http.body import Body
from penstock_common.llm.types import (
    ContentPart,
    File,
    GenerationInput,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Opaque,
    Reasoning,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
    UnsupportedFields,
)
from penstock_inference.adapters.providers.anthropic.request import MessagesRequest, Options, request_of
from penstock_inference.adapters.providers.anthropic.table import TABLE
from penstock_inference.adapters.providers.carried import How, Use
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts, ThinkingBound
from penstock_inference.domain.upstream import UpstreamCall

PNG = b"\x89PNG\r\n\x1a\n1"
SUMMARIZED = Options(thinking_display="summarized")
REFUSE, DROP, PASS = UnsupportedFields.REFUSE, UnsupportedFields.DROP, UnsupportedFields.PASS
ADAPTIVE = ModelFacts(
    thinking=frozenset({"adaptive"}),
    efforts=("low", "medium", "high", "max"),
    sampling=frozenset({"stop"}),
    forced_tool_choice=False,
)
BUDGETED = ModelFacts(thinking=frozenset({"enabled", "disabled"}), prefill=True, max_output_tokens=32000)


def said(role: Role, *parts: ContentPart | str, **more: Any) -> Message:
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts), **more)


HI = said(Role.USER, "Hi")


def asked(*messages: Message, **more: Any) -> GenerationInput:
    return GenerationInput(model="public", messages=messages or (HI,), **more)


def sampled(**more: Any) -> GenerationInput:
    return asked(sampling=SamplingParams(**more))


def request(
    value: GenerationInput,
    facts: ModelFacts = UNKNOWN_MODEL,
    unsupported: UnsupportedFields = REFUSE,
    options: Options = SUMMARIZED,
    *,
    whole: bool = False,
    folds_system: bool = False,
) -> MessagesRequest:
    call = UpstreamCall(
        model="claude-x",
        input=value,
        connect_seconds=1,
        headers_received=lambda: None,
        whole_expected=lambda: None,
        whole=whole,
        unsupported=unsupported,
        facts=facts,
    )
    return request_of(call, options, folds_system=folds_system)


def written(body: bytes | Body) -> bytes:
    return body if isinstance(body, bytes) else b"".join(bytes(piece) for piece in body.pieces())


def body_of(value: GenerationInput, *more: Any, **named: Any) -> dict[str, Any]:
    return json.loads(written(request(value, *more, **named).body))


def turns_of(*messages: Message, **named: Any) -> list[dict[str, Any]]:
    return body_of(asked(*messages), **named)["messages"]


def text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def refusal(value: GenerationInput, *more: Any, **named: Any) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        request(value, *more, **named)
    return caught.value


def dropped_and_body(value: GenerationInput, facts: ModelFacts = UNKNOWN_MODEL) -> tuple[tuple[str, ...], Any]:
    """Return what is left out under ``drop``, having checked that ``refuse`` refuses it."""
    assert refusal(value, facts).kind is FailureKind.UNSUPPORTED
    made = request(value, facts, DROP)
    return made.dropped, json.loads(written(made.body))


CALLS = (
    ToolCall(id="toolu_1", name="weather", arguments_json='{"zip": 150, "at": 1.50}', parts_before=1),
    ToolCall(id="toolu_2", name="python", arguments_json="print(1)", is_custom=True),
)
CONVERSATION = asked(
    said(Role.SYSTEM, Text(text="Be brief.", cache_breakpoint=True, cache_ttl="1h")),
    said(Role.DEVELOPER, "Be kind."),
    said(Role.USER, Image(data=PNG), Text(text="What is it like?", cache_breakpoint=True)),
    Message(
        role=Role.ASSISTANT,
        parts=(Reasoning(text="Hm.", signature=b"c2ln"), Text(text="Let me see."), Reasoning(hidden=b"aGlkZGVu")),
        tool_calls=CALLS,
    ),
    said(Role.TOOL, Text(text="warm", cache_breakpoint=True), tool_call_id="toolu_1"),
    said(Role.TOOL, "no such thing", tool_call_id="toolu_2", is_error=True),
    said(Role.USER, "And now?"),
    tools=(
        Tool(name="weather", description="Tells it.", parameters_json='{"type":"object", "properties":{"zip":{}}}'),
        Tool(name="python", custom_json='{"type":"text"}', cache_breakpoint=True, cache_ttl="5m"),
    ),
    tool_choice=ToolChoice(mode=ToolChoiceMode.AUTO, parallel=False),
    sampling=SamplingParams(temperature=0.5, top_k=3, max_output_tokens=100, stop=("END",)),
    hints_json='{"user":"u-1"}',
)
GOLDEN = (
    b'{"model":"claude-x","max_tokens":100,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral",'
    b'"ttl":"1h"}},{"type":"text","text":"Be kind."}],"messages":[{"role":"user","content":[{"type":"image","source":{"type":'
    b'"base64","media_type":"image/png","data":"iVBORw0KGgox"}},{"type":"text","text":"What is it like?","cache_control":'
    b'{"type":"ephemeral"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},'
    b'{"type":"tool_use","id":"toolu_1","name":"weather","input":{"zip": 150, "at": 1.50}},{"type":"text","text":"Let me see."},'
    b'{"type":"redacted_thinking","data":"aGlkZGVu"},{"type":"tool_use","id":"toolu_2","name":"python","input":{"input":'
    b'"print(1)"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":'
    b'"warm"}],"cache_control":{"type":"ephemeral"}},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text",'
    b'"text":"no such thing"}],"is_error":true},{"type":"text","text":"And now?"}]}],"tools":[{"name":"weather","description":'
    b'"Tells it.","input_schema":{"type":"object", "properties":{"zip":{}}}},{"name":"python","input_schema":{"type":"object",'
    b'"properties":{"input":{"type":"string","description":"Free text, as this format says: {\\"type\\":\\"text\\"}"}},'
    b'"required":["input"],"additionalProperties":false},"cache_control":{"type":"ephemeral","ttl":"5m"}}],"tool_choice":'
    b'{"type":"auto","disable_parallel_tool_use":true},"temperature":0.5,"top_k":3,"stop_sequences":["END"],"metadata":'
    b'{"user_id":"u-1"},"stream":true}'
)


def test_a_request_is_written_byte_for_byte():
    made = request(CONVERSATION)
    assert made.body == GOLDEN
    assert (made.version, made.betas, made.dropped) == ("2023-06-01", "", ())
    assert request(CONVERSATION, whole=True).body == GOLDEN.replace(b'"stream":true', b'"stream":false')


def test_the_table_is_complete():
    assert set(TABLE) == set(Use)
    assert all(row.note for row in TABLE.values() if row.how is How.CONVERTED)


# Turns.


def test_consecutive_results_and_text_are_one_turn_with_the_results_first():
    answer = Message(role=Role.ASSISTANT, tool_calls=CALLS)
    results = [said(Role.TOOL, "1", tool_call_id="toolu_1"), said(Role.TOOL, tool_call_id="toolu_2")]
    made = turns_of(HI, answer, said(Role.USER, "A"), results[0], said(Role.USER, "B"), results[1])
    assert [turn["role"] for turn in made] == ["user", "assistant", "user"]
    assert made[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text("1")]},
        {"type": "tool_result", "tool_use_id": "toolu_2"},
        text("A"),
        text("B"),
    ]


def test_large_data_stands_where_its_block_does_wherever_that_is_moved():
    first, second = PNG + b"a" * 70_000, PNG + b"b" * 70_000
    answer = Message(role=Role.ASSISTANT, tool_calls=CALLS[:1])
    value = asked(
        HI, answer, said(Role.USER, Image(data=first)), said(Role.TOOL, Image(data=second), tool_call_id="toolu_1")
    )
    result, image = body_of(value)["messages"][2]["content"]
    assert result["content"][0]["source"]["data"] == base64.b64encode(second).decode()
    assert image["source"]["data"] == base64.b64encode(first).decode()


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_blank_text_is_no_block_and_a_turn_of_it_is_none(blank: str):
    made = turns_of(
        HI, said(Role.ASSISTANT, blank), said(Role.USER, blank, "Yes"), said(Role.ASSISTANT, "A", blank), HI
    )
    assert made == [
        {"role": "user", "content": [text("Hi"), text("Yes")]},
        {"role": "assistant", "content": [text("A")]},
        {"role": "user", "content": [text("Hi")]},
    ]


SYSTEM = said(Role.SYSTEM, Text(text="New rule.", cache_breakpoint=True))
OWN = {"role": "system", "content": [text("New rule.", cache_control={"type": "ephemeral"})]}
WITHIN = text("<system>\nNew rule.\n</system>", cache_control={"type": "ephemeral"})


def test_a_later_system_turn_stands_by_itself_where_it_may():
    answer = said(Role.ASSISTANT, "A")
    hi = {"role": "user", "content": [text("Hi")]}
    assert turns_of(HI, SYSTEM) == [hi, OWN]
    assert turns_of(HI, SYSTEM, SYSTEM, answer, HI)[:3] == [hi, OWN, OWN]
    called = Message(role=Role.ASSISTANT, tool_calls=CALLS[:1])
    assert turns_of(HI, called, said(Role.TOOL, "1", tool_call_id="toolu_1"), SYSTEM)[-1] == OWN
    # It stays where it was while the conversation grows.
    assert turns_of(HI, SYSTEM, answer, HI)[:2] == turns_of(HI, SYSTEM)


def test_a_later_system_turn_stands_within_the_users_where_it_may_not_stand_by_itself():
    answer = said(Role.ASSISTANT, "A")
    assert turns_of(HI, SYSTEM, HI) == [{"role": "user", "content": [text("Hi"), WITHIN, text("Hi")]}]
    assert turns_of(HI, answer, SYSTEM, HI)[2] == {"role": "user", "content": [WITHIN, text("Hi")]}
    assert turns_of(HI, answer, SYSTEM)[2] == {"role": "user", "content": [WITHIN]}
    assert turns_of(HI, SYSTEM, folds_system=True) == [{"role": "user", "content": [text("Hi"), WITHIN]}]
    assert request(asked(HI, SYSTEM)).has_system_turns
    assert not request(asked(HI, SYSTEM), folds_system=True).has_system_turns


def test_calls_without_readable_arguments_and_ids_of_others_are_told_all_the_same():
    calls = (
        ToolCall(id="functions.f:0", name="f", arguments_json='{"a'),
        ToolCall(
            id="toolu_1", name="f", arguments_json="", extra_json='{"caller":{"type":"direct"},"extra_content":{}}'
        ),
        ToolCall(id="toolu_2", name="f", arguments_json="[1]"),
    )
    answer = Message(role=Role.ASSISTANT, tool_calls=calls)
    first, second, third = turns_of(HI, answer)[1]["content"]
    assert first["input"] == {"INVALID_JSON": '{"a'}
    assert second == {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    assert third["input"] == {"INVALID_JSON": "[1]"}
    identity = first["id"]
    assert identity.replace("_", "").isalnum()
    result = turns_of(HI, answer, said(Role.TOOL, "1", tool_call_id="functions.f:0"))[2]["content"][0]
    assert result["tool_use_id"] == identity
    assert turns_of(HI, Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="functions.f.0", name="f", arguments_json=""),)))[
        1
    ]["content"][0]["id"] != identity  # fmt: skip


# Documents, images, citations, opaque blocks.


def test_documents_of_every_kind():
    parts = (
        File(data=b"%PDF-1", name="a.pdf", context="Read it.", with_citations=True, cache_breakpoint=True),
        File(data=b"plain", media_type="text/plain; charset=utf-8"),
        File(url="https://x/a.pdf"),
        File(id="file_1"),
        Image(url="https://x/a.png"),
    )
    made = request(asked(said(Role.USER, *parts)))
    pdf, plain, by_url, by_id, image = json.loads(written(made.body))["messages"][0]["content"]
    assert pdf == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
        "title": "a.pdf",
        "context": "Read it.",
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
    }
    assert plain["source"] == {"type": "text", "media_type": "text/plain", "data": "plain"}
    assert by_url["source"] == {"type": "url", "url": "https://x/a.pdf"}
    assert by_id["source"] == {"type": "file", "file_id": "file_1"}
    assert image == {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}
    assert made.betas == "files-api-2025-04-14"


@pytest.mark.parametrize(
    ("part", "facts", "path"),
    [
        (File(data=b"\xff", media_type="text/plain"), UNKNOWN_MODEL, "parts[0].file"),
        (File(data=b"PK", media_type="application/zip"), UNKNOWN_MODEL, "parts[0].file"),
        (File(data=b"%PDF-1"), ModelFacts(documents=False), "parts[0].file"),
        (Image(url="https://x"), ModelFacts(images_by_url=False), "parts[0].image.url"),
    ],
)
def test_what_a_model_cannot_read_is_refused_and_never_left_out(part: ContentPart, facts: ModelFacts, path: str):
    for unsupported in (REFUSE, DROP):
        failure = refusal(asked(said(Role.USER, part)), facts, unsupported)
        assert (failure.kind, failure.parameter) == (FailureKind.UNSUPPORTED, f"input.messages[0].{path}")


CITED = Text(text="So it is.", citations_json='[{"type":"char_location","cited_text":"x",  "document_index":0}]')


def test_citations_go_back_to_whom_they_are_of():
    value = asked(HI, said(Role.ASSISTANT, CITED), HI)
    assert b'"citations":[{"type":"char_location","cited_text":"x",  "document_index":0}]' in written(
        request(value).body
    )
    others = Text(text="So it is.", citations_json='[{"type":"url_citation","url":"https://x"}]')
    made = request(asked(HI, said(Role.ASSISTANT, others), HI))
    assert (made.dropped, b"citations" in written(made.body)) == (("citations",), False)
    # Two blocks of text that came as two stay two.
    apart = Text(text="A.", citations_json="[]")
    made = request(asked(HI, said(Role.ASSISTANT, apart, "B."), HI))
    assert json.loads(written(made.body))["messages"][1]["content"] == [text("A."), text("B.")]
    assert made.dropped == ()


def test_the_newer_version_refuses_what_it_does():
    newer = ModelFacts(api_version="2026-10-21")
    made = request(asked(said(Role.USER, CITED)), newer)
    assert (made.version, made.dropped) == ("2026-10-21", ("citations",))
    assert b"char_location" in written(request(asked(said(Role.USER, CITED))).body)
    assert b"char_location" in written(request(asked(HI, said(Role.ASSISTANT, CITED), HI), newer).body)
    document = asked(HI, said(Role.ASSISTANT, File(data=b"%PDF-1")), HI)
    assert refusal(document, newer).parameter == "input.messages[1].parts[0].file"
    assert request(document).dropped == ()
    for name in ("temperature", "top_p", "top_k"):
        dropped, body = dropped_and_body(sampled(**{name: 1}), newer)
        assert dropped == (name,)
        assert name not in body
        assert body_of(sampled(**{name: 1}), newer, PASS)[name] == 1


def test_opaque_blocks_and_tools_stand_verbatim_in_their_places():
    block = '{"type": "server_tool_use",  "id":"srvtoolu_1","input":{"b":1,"a":2}}'
    tool = '{"type":"web_search_20250305",  "name":"web_search"}'
    value = asked(
        HI,
        said(Role.ASSISTANT, "A", Opaque(format="anthropic", json=block), Opaque(format="gemini", json="{}"), "B"),
        said(Role.USER, Opaque(format="anthropic", json='{"type":"search_result"}')),
        tools=(Tool(name="web_search", opaque=Opaque(format="anthropic", json=tool)),),
    )
    body = written(request(value).body)
    assert b'[{"type":"text","text":"A"},%b,{"type":"text","text":"B"}]' % block.encode() in body
    assert b'"tools":[%b]' % tool.encode() in body
    others = asked(tools=(Tool(name="s", opaque=Opaque(format="gemini", json="{}")), Tool(name="f")))
    dropped, made = dropped_and_body(others)
    assert dropped == ("tools",)
    assert [tool["name"] for tool in made["tools"]] == ["f"]
    assert refusal(others, UNKNOWN_MODEL, PASS).kind is FailureKind.UNSUPPORTED


@pytest.mark.parametrize(
    ("part", "is_sent"),
    [
        (Reasoning(text="Hm.", signature=b"s"), True),
        (Reasoning(signature=b"s"), True),
        (Reasoning(text="Hm.", signature=b"s", origin="a/claude-x#1"), True),
        (Reasoning(text="Hm.", signature=b"s", origin="b/kin"), True),
        (Reasoning(text="Hm.", signature=b"s", origin="b/another"), False),
        (Reasoning(hidden=b"h", origin="b/another"), False),
        (Reasoning(text="Hm."), False),
        (Reasoning(text="Hm.", signature=b"\xff\xfe"), False),
    ],
)
def test_thinking_goes_to_the_model_that_reads_it_and_nothing_else_does(part: Reasoning, is_sent: bool):
    facts = ModelFacts(reads_thinking_of=frozenset({"kin"}))
    made = request(asked(HI, said(Role.ASSISTANT, part, "A"), HI), facts)
    content = json.loads(written(made.body))["messages"][1]["content"]
    assert ("thinking" in content[0]["type"]) is is_sent
    assert made.dropped == (() if is_sent else ("reasoning handed back",))
    assert content[-1] == text("A")


def test_breakpoints_are_left_out_where_the_model_takes_none():
    value = asked(said(Role.USER, Text(text="Hi", cache_breakpoint=True, cache_ttl="2d")))
    made = request(value)
    assert made.dropped == ("cache_ttl",)
    assert b'"cache_control":{"type":"ephemeral"}' in written(made.body)
    made = request(value, ModelFacts(cache_breakpoints=False))
    assert (made.dropped, b"cache_control" in written(made.body)) == (("cache breakpoint",), False)


# Tools and the choice among them.

TWO = (Tool(name="f", parameters_json='{"type":"object"}', strict=True), Tool(name="g", parameters_json="{}"))


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice(mode=ToolChoiceMode.AUTO), {"type": "auto"}),
        (ToolChoice(), None),
        (ToolChoice(parallel=True), None),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode=ToolChoiceMode.NONE, parallel=False), {"type": "none"}),
        (ToolChoice(mode=ToolChoiceMode.REQUIRED), {"type": "any"}),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="g"), {"type": "tool", "name": "g"}),
        (ToolChoice(mode=ToolChoiceMode.REQUIRED, allowed_tools=("g",)), {"type": "tool", "name": "g"}),
    ],
)
def test_the_choice_among_tools(choice: ToolChoice, wanted: dict[str, Any] | None):
    body = body_of(asked(tools=TWO, tool_choice=choice))
    assert body.get("tool_choice") == wanted
    assert body["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}, "strict": True},
        {"name": "g", "input_schema": {"type": "object"}},
    ]
    assert "tool_choice" not in body_of(asked(tool_choice=choice))


@pytest.mark.parametrize(
    ("mode", "name"),
    [(ToolChoiceMode.REQUIRED, "tool_choice: required"), (ToolChoiceMode.NAMED, "tool_choice: one tool")],
)
def test_a_model_that_cannot_be_made_to_call_is_left_the_choice_visibly(mode: ToolChoiceMode, name: str):
    value = asked(tools=TWO, tool_choice=ToolChoice(mode=mode, tool_name="g"))
    dropped, body = dropped_and_body(value, ADAPTIVE)
    assert dropped == (name,)
    assert "tool_choice" not in body
    assert body_of(value, ADAPTIVE, PASS)["tool_choice"]["type"] in ("any", "tool")


def test_allowed_tools_are_the_only_ones_sent_unless_thinking_is_bound_to_all():
    value = asked(tools=TWO, tool_choice=ToolChoice(mode=ToolChoiceMode.AUTO, allowed_tools=("g",)))
    assert [tool["name"] for tool in body_of(value)["tools"]] == ["g"]
    bound = ModelFacts(thinking_bound=ThinkingBound.PREFIX)
    dropped, body = dropped_and_body(value, bound)
    assert dropped == ("tool_choice.allowed_tools",)
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
    every = asked(tools=TWO, tool_choice=ToolChoice(mode=ToolChoiceMode.AUTO, allowed_tools=("g", "f")))
    assert len(body_of(every, bound)["tools"]) == 2


def test_what_a_model_without_these_cannot_be_told_of_tools():
    facts = ModelFacts(json_schema=False, parallel_tools=False)
    dropped, body = dropped_and_body(asked(tools=TWO, tool_choice=ToolChoice(parallel=False)), facts)
    assert dropped == ("parallel_tool_calls", "tools.strict") or set(dropped) == {"parallel_tool_calls", "tools.strict"}
    assert "strict" not in body["tools"][0]
    assert "tool_choice" not in body


# The form of the answer.


def test_a_schema_is_native_where_the_model_keeps_to_it_and_else_said_in_words():
    schema = JsonSchema(name="s", schema_json='{"type": "object",  "b":1, "a":2}')
    value = asked(said(Role.SYSTEM, "Be brief."), HI, response_format=schema)
    assert b'"output_config":{"format":{"type":"json_schema","schema":{"type": "object",  "b":1, "a":2}}}' in written(
        request(value).body
    )
    dropped, body = dropped_and_body(value, ModelFacts(json_schema=False))
    assert dropped == ("response_format: json_schema",)
    assert "output_config" not in body
    assert body["system"][0] == text("Be brief.")
    assert body["system"][1]["text"].endswith(schema.schema_json)
    words = body_of(asked(response_format=JsonObject()))
    assert "one JSON object" in words["system"][0]["text"]
    assert "output_config" not in words


# Effort and sampling.


@pytest.mark.parametrize(
    ("effort", "facts", "thinking", "told", "dropped"),
    [
        ("high", UNKNOWN_MODEL, {"type": "adaptive", "display": "summarized"}, "high", ()),
        ("minimal", UNKNOWN_MODEL, {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort",)),
        ("none", UNKNOWN_MODEL, {"type": "disabled"}, None, ()),
        ("none", ADAPTIVE, {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort",)),
        ("xhigh", ADAPTIVE, {"type": "adaptive", "display": "summarized"}, "high", ("reasoning_effort",)),
        ("max", ADAPTIVE, {"type": "adaptive", "display": "summarized"}, "max", ()),
        ("minimal", BUDGETED, {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}, None, ()),
        ("medium", BUDGETED, {"type": "enabled", "budget_tokens": 4096, "display": "summarized"}, None, ()),
        ("max", BUDGETED, {"type": "enabled", "budget_tokens": 30976, "display": "summarized"}, None, ()),
        ("none", BUDGETED, {"type": "disabled"}, None, ()),
    ],
)
def test_an_effort_is_told_as_the_model_takes_it(
    effort: str, facts: ModelFacts, thinking: Any, told: str | None, dropped: tuple[str, ...]
):
    made = request(sampled(reasoning_effort=effort), facts)
    body = json.loads(written(made.body))
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == told
    assert made.dropped == dropped


def test_thinking_that_nobody_asked_for_is_shown_by_a_model_that_thinks_anyway():
    assert body_of(asked(), ADAPTIVE)["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert "output_config" not in body_of(asked(), ADAPTIVE)
    may_not = ModelFacts(thinking=frozenset({"adaptive", "disabled"}))
    for facts, options in (
        (UNKNOWN_MODEL, SUMMARIZED),
        (BUDGETED, SUMMARIZED),
        (may_not, SUMMARIZED),
        (ADAPTIVE, Options()),
    ):
        assert "thinking" not in body_of(asked(), facts, options=options)
    forced = asked(tools=TWO, tool_choice=ToolChoice(mode=ToolChoiceMode.REQUIRED))
    made = request(forced, ModelFacts(thinking=frozenset({"adaptive"})))
    assert (made.dropped, b'"thinking"' in written(made.body)) == ((), False)


def test_a_model_that_never_thinks_is_not_told_to():
    facts = ModelFacts(thinking=frozenset())
    dropped, body = dropped_and_body(sampled(reasoning_effort="high"), facts)
    assert dropped == ("reasoning_effort",)
    assert "thinking" not in body
    assert "output_config" not in body
    made = request(sampled(reasoning_effort="none"), facts)
    assert (made.dropped, b"thinking" in written(made.body)) == ((), False)
    assert body_of(sampled(reasoning_effort="high"), facts, PASS)["output_config"] == {"effort": "high"}


def test_an_answer_too_short_for_any_thinking_is_asked_for_without():
    made = request(sampled(reasoning_effort="low", max_output_tokens=2000), BUDGETED)
    assert (made.dropped, b"thinking" in written(made.body)) == (("reasoning_effort",), False)
    assert (
        body_of(sampled(reasoning_effort="high", max_output_tokens=4000), BUDGETED)["thinking"]["budget_tokens"] == 2976
    )


def test_no_thinking_beside_a_forced_tool_or_after_a_loop_that_lost_it():
    forced = asked(
        tools=TWO,
        tool_choice=ToolChoice(mode=ToolChoiceMode.REQUIRED),
        sampling=SamplingParams(reasoning_effort="high"),
    )
    made = request(forced)
    assert made.dropped == ("reasoning_effort",)
    body = json.loads(written(made.body))
    assert "thinking" not in body
    assert body["output_config"] == {"effort": "high"}
    called = Message(role=Role.ASSISTANT, tool_calls=CALLS[:1])
    thought = Message(role=Role.ASSISTANT, parts=(Reasoning(signature=b"s"),), tool_calls=CALLS[:1])
    result = said(Role.TOOL, "1", tool_call_id="toolu_1")
    effort = SamplingParams(reasoning_effort="high")
    for answer, facts, thinks in [(called, BUDGETED, False), (thought, BUDGETED, True), (called, UNKNOWN_MODEL, True)]:
        made = request(asked(HI, answer, result, SYSTEM, sampling=effort), facts)
        assert (b'"thinking":{' in written(made.body)) is thinks
    assert b'"thinking":{' in written(
        request(asked(HI, called, result, said(Role.ASSISTANT, "A"), HI, sampling=effort), BUDGETED).body
    )


@pytest.mark.parametrize(("name", "setting"), [("temperature", 0.5), ("top_p", 0.9), ("top_k", 5)])
def test_sampling_is_sent_to_models_that_take_it(name: str, setting: float):
    assert body_of(sampled(**{name: setting}))[name] == setting
    for facts, effort in ((ADAPTIVE, ""), (UNKNOWN_MODEL, "high"), (ModelFacts(sampling_without_effort=True), "")):
        value = sampled(**{name: setting}, reasoning_effort=effort)
        dropped, body = dropped_and_body(value, facts)
        assert dropped == (name,)
        assert name not in body
        assert body_of(value, facts, PASS)[name] == setting
    assert body_of(sampled(**{name: setting}, reasoning_effort="none"), BUDGETED)[name] == setting


def test_beside_thinking_the_default_sampling_may_be_said():
    body = body_of(sampled(temperature=1, top_p=0.95, reasoning_effort="high"))
    assert (body["temperature"], body["top_p"]) == (1, 0.95)


def test_what_the_format_has_no_words_for_is_refused_dropped_or_passed():
    for name in ("seed", "frequency_penalty", "presence_penalty"):
        dropped, body = dropped_and_body(sampled(**{name: 1}))
        assert dropped == (name,)
        assert name not in body
        assert body_of(sampled(**{name: 1}), UNKNOWN_MODEL, PASS)[name] == 1
    dropped, body = dropped_and_body(sampled(top_logprobs=2))
    assert (dropped, "logprobs" in body) == (("logprobs",), False)
    assert body_of(sampled(top_logprobs=2), UNKNOWN_MODEL, PASS)["top_logprobs"] == 2
    assert refusal(sampled(choices=2), UNKNOWN_MODEL, DROP).parameter == "input.sampling.choices"
    dropped, body = dropped_and_body(sampled(temperature=1.5))
    assert (dropped, "temperature" in body) == (("temperature",), False)
    dropped, body = dropped_and_body(sampled(stop=("\n", "END")))
    assert (dropped, body["stop_sequences"]) == (("stop",), ["END"])
    dropped, body = dropped_and_body(sampled(stop=("END",)), ModelFacts(sampling=frozenset()))
    assert (dropped, "stop_sequences" in body) == (("stop",), False)


def test_how_long_an_answer_may_be_is_always_said():
    assert body_of(asked())["max_tokens"] == 8192
    assert body_of(asked(), BUDGETED)["max_tokens"] == 32000
    assert body_of(sampled(max_output_tokens=50), BUDGETED)["max_tokens"] == 50
    made = request(sampled(max_output_tokens=50_000), BUDGETED)
    assert json.loads(written(made.body))["max_tokens"] == 32000
    assert made.dropped == ("max_output_tokens",)


# Further fields, hints, betas.


def test_own_fields_pass_with_the_betas_that_they_need():
    extra = '{"context_management":{"edits": [1]},"thinking":{"type":"between_tools"},"container":"c","mcp_servers":[]}'
    options = Options(betas=("mcp-client-2025-04-04", "context-1m-2025-08-07"))
    denied = ModelFacts(denied_betas=frozenset({"context-1m-2025-08-07"}))
    made = request(asked(extra_json=extra), denied, options=options)
    assert b'"context_management":{"edits": [1]},"thinking":{"type":"between_tools"},"container":"c"' in written(
        made.body
    )
    # The one that is configured in another version stays in that.
    assert made.betas == "mcp-client-2025-04-04,context-management-2025-06-27"
    sampling = SamplingParams(reasoning_effort="high", temperature=0.5)
    both = body_of(asked(sampling=sampling, extra_json='{"thinking":{"type":"disabled"}}'))
    assert (both["thinking"], both["temperature"]) == ({"type": "disabled"}, 0.5)
    config = asked(
        sampling=SamplingParams(reasoning_effort="high"),
        extra_json='{"output_config":{"task_budget":{"a":1},"effort":"low"}}',
    )
    assert body_of(config)["output_config"] == {"task_budget": {"a": 1}, "effort": "high"}


def test_betas_of_a_request_go_into_the_header():
    made = request(asked(extra_json='{"anthropic_beta":["a-2026-01-01","b"]}'), options=Options(betas=("b",)))
    assert made.betas == "b,a-2026-01-01"
    assert b"anthropic_beta" not in written(made.body)
    for bad in ('["a\\r\\nx-api-key: mine"]', '"a"', "[1]"):
        assert refusal(asked(extra_json=f'{{"anthropic_beta":{bad}}}')).kind is FailureKind.BAD_REQUEST


def test_other_fields_follow_what_is_configured():
    value = asked(extra_json='{"logit_bias":{"1":2}}')
    dropped, body = dropped_and_body(value)
    assert (dropped, "logit_bias" in body) == (("logit_bias",), False)
    assert body_of(value, options=Options(passthrough=True))["logit_bias"] == {"1": 2}
    assert body_of(value, UNKNOWN_MODEL, PASS)["logit_bias"] == {"1": 2}
    for name in ("system", "messages", "max_tokens", "stream"):
        assert refusal(asked(extra_json=f'{{"{name}":1}}'), UNKNOWN_MODEL, PASS).kind is FailureKind.UNSUPPORTED
    assert refusal(asked(extra_json="[]")).kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    ("tier", "sent"),
    [("auto", "auto"), ("default", "standard_only"), ("priority", "auto"), ("standard_only", "standard_only")],
)
def test_a_tier_is_told_where_it_has_a_price(tier: str, sent: str):
    value = asked(extra_json=f'{{"service_tier":"{tier}"}}')
    assert body_of(value, options=Options(service_tiers=True))["service_tier"] == sent
    assert refusal(value).parameter == "input.extra_json.service_tier"
    assert refusal(value, UNKNOWN_MODEL, PASS).parameter == "input.extra_json.service_tier"


@pytest.mark.parametrize(
    ("hints", "user", "dropped"),
    [
        ('{"user":"u"}', "u", ()),
        ('{"metadata":{"user_id":"m"},"user":"u"}', "m", ()),
        ('{"metadata":{"team":"x"},"store":false}', None, ("metadata",)),
        ('{"safety_identifier":"s","prompt_cache_key":"k"}', "s", ("prompt_cache_key",)),
        ('{"user":7}', None, ("user",)),
    ],
)
def test_a_user_is_told_and_other_hints_are_left_out(hints: str, user: str | None, dropped: tuple[str, ...]):
    made = request(asked(hints_json=hints))
    assert json.loads(written(made.body)).get("metadata", {}).get("user_id") == user
    assert made.dropped == dropped


# An assistant's turn at the end.


def test_a_begun_answer_goes_as_it_is_to_models_that_go_on_with_it():
    begun = said(Role.ASSISTANT, "It began", " so \n")
    value = asked(HI, begun, sampling=SamplingParams(reasoning_effort="high"))
    assert request(value, BUDGETED).dropped == ("reasoning_effort",)
    assert turns_of(HI, begun, facts=BUDGETED)[1:] == [
        {"role": "assistant", "content": [text("It began"), text(" so")]}
    ]


def test_a_begun_answer_is_quoted_to_models_that_do_not():
    begun = said(Role.ASSISTANT, Reasoning(text="Hm.", signature=b"s"), "It began so \n")
    (turn,) = turns_of(HI, begun)
    assert turn["role"] == "user"
    assert turn["content"][0] == text("Hi")
    assert "<answer_so_far>\nIt began so\n</answer_so_far>" in turn["content"][1]["text"]
    assert turns_of(HI, said(Role.ASSISTANT, " ")) == [{"role": "user", "content": [text("Hi")]}]


def test_a_turn_that_the_provider_paused_goes_back_as_it_is():
    paused = said(Role.ASSISTANT, "A", Opaque(format="anthropic", json='{"type":"server_tool_use"}'))
    assert turns_of(HI, paused)[1] == {"role": "assistant", "content": [text("A"), {"type": "server_tool_use"}]}


PARTS = st.one_of(
    st.builds(lambda text, at: Text(text=text, cache_breakpoint=at), st.text(max_size=8), st.booleans()),
    st.builds(Image, data=st.just(PNG)),
    st.builds(lambda text: Reasoning(text=text, signature=b"s"), st.text(max_size=4)),
    st.just(Opaque(format="anthropic", json='{"type":"x"}')),
)
TURNS = st.one_of(
    st.builds(
        lambda role, parts: said(role, *parts),
        st.sampled_from([Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT]),
        st.lists(PARTS, max_size=3),
    ),
    st.builds(lambda parts: said(Role.TOOL, *parts, tool_call_id="toolu_1"), st.lists(PARTS, max_size=2)),
)


@given(st.lists(TURNS, min_size=1, max_size=8))
def test_whatever_the_turns_are_the_vendors_rules_of_them_are_kept(messages: list[Message]):
    made = turns_of(*messages)
    roles = [turn["role"] for turn in made]
    for at, turn in enumerate(made):
        kinds = [block["type"] for block in turn["content"]]
        assert kinds
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result") or roles[at] == "assistant"
        if roles[at] == "user":
            assert at == 0 or roles[at - 1] == "assistant"
        if roles[at] == "system":
            assert at
            assert roles[at - 1] in ("user", "system")
            assert at == len(made) - 1 or roles[at + 1] in ("assistant", "system")
    assert request(asked(*messages)).body == request(asked(*messages)).body
