"""The body that the Responses API receives, byte for byte."""

import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock_common.http.body import BodyWithData
from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.types import (
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
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.openai_responses.request import Asking, body_from_input
from penstock_inference.adapters.providers.openai_responses.table import TABLE
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts, Tools
from penstock_inference.domain.unsupported import FieldPolicy

sys.path.insert(0, str(Path(__file__).parent))

from table_checks import became, expected  # noqa: E402
from test_carried import EXAMPLES  # noqa: E402

REASONS = ModelFacts(efforts=("low", "medium", "high"), tools_on_chat=Tools.NO)
# Key order, number form and escapes that a parser would not keep.
SCHEMA = '{"type": "object", "z": 1.0, "a": 1e2, "é": "\\u00e9", "z": 2}'
HIDDEN = hidden_of(EncryptedReasoning(id="rs_1", encrypted_content="gAAA"))
PNG = b"\x89PNG\r\n\x1a\n"


def turn(role, *parts, **more):
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts), **more)


def raw(value, policy=None, facts=UNKNOWN_MODEL, whole=False, asking=None):
    return body_from_input(value, "m", asking or Asking(), policy or FieldPolicy(), facts, whole=whole)


def sent(*messages, policy=None, facts=UNKNOWN_MODEL, asking=None, **more):
    messages = messages or (turn(Role.USER, "Hi?"),)
    return json.loads(raw(GenerationInput(model="x", messages=messages, **more), policy, facts, asking=asking))


def call(number, **more):
    return ToolCall(id=f"call_{number}", name="look", arguments_json='{"a": 1', **more)


def test_the_least_body():
    value = GenerationInput(model="x", messages=(turn(Role.USER, "Hi?"),))
    assert raw(value) == (
        b'{"model":"m","store":false,"stream":true,"input":[{"type":"message","role":"user",'
        b'"content":[{"type":"input_text","text":"Hi?"}]}]}'
    )
    assert b'"stream":false' in raw(value, whole=True)


def test_a_tool_loop_byte_for_byte():
    value = GenerationInput(
        model="x",
        messages=(
            turn(Role.SYSTEM, "Be brief."),
            turn(Role.DEVELOPER, "Use tools."),
            turn(Role.USER, "Look."),
            turn(
                Role.ASSISTANT,
                Reasoning(text="Two "),
                Reasoning(text="looks."),
                Reasoning(hidden=HIDDEN, origin="a/m"),
                "Looking.",
                tool_calls=(call(1, parts_before=3), call(2), replace(call(3), is_custom=True, arguments_json="ls -l")),
            ),
            turn(Role.TOOL, "one", tool_call_id="call_1"),
            turn(Role.TOOL, "two", tool_call_id="call_2", is_error=True),
            turn(Role.TOOL, "three", tool_call_id="call_3"),
        ),
        tools=(
            Tool(name="look", description="Looks.", parameters_json=SCHEMA),
            Tool(name="run", custom_json='{"type":"grammar","grammar":{"syntax":"lark","definition":"x: 1"}}'),
            Tool(name="search", opaque=Opaque(format="openai_responses", json='{"type": "web_search"}')),
            Tool(name="bare", strict=True),
        ),
        tool_choice=ToolChoice(mode=ToolChoiceMode.AUTO, allowed_tools=("look", "run", "search"), parallel=False),
        sampling=SamplingParams(reasoning_effort="max", max_output_tokens=100),
        response_format=JsonSchema(name="n", schema_json=SCHEMA, description="e"),
        extra_json='{"verbosity":"low","reasoning":{"summary":"auto"},"truncation":"disabled"}',
        hints_json='{"prompt_cache_key":"k","safety_identifier":"s","metadata":{"a":"b"},"store":false}',
    )
    policy = FieldPolicy()
    assert raw(value, policy, REASONS).decode() == (
        '{"model":"m","store":false,"stream":true,"tools":['
        f'{{"type":"function","name":"look","description":"Looks.","parameters":{SCHEMA},"strict":false}},'
        '{"type":"custom","name":"run","format":{"type":"grammar","syntax":"lark","definition":"x: 1"}},'
        '{"type": "web_search"},'
        '{"type":"function","name":"bare","parameters":{"type":"object","properties":{}},"strict":true}],'
        '"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"look"},'
        '{"type":"custom","name":"run"},{"type":"web_search"}]},"parallel_tool_calls":false,"input":['
        '{"type":"message","role":"system","content":[{"type":"input_text","text":"Be brief."}]},'
        '{"type":"message","role":"developer","content":[{"type":"input_text","text":"Use tools."}]},'
        '{"type":"message","role":"user","content":[{"type":"input_text","text":"Look."}]},'
        '{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Two "},'
        '{"type":"summary_text","text":"looks."}],"encrypted_content":"gAAA"},'
        '{"type":"function_call","call_id":"call_1","name":"look","arguments":"{\\"a\\": 1"},'
        '{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Looking."}]},'
        '{"type":"function_call","call_id":"call_2","name":"look","arguments":"{\\"a\\": 1"},'
        '{"type":"custom_tool_call","call_id":"call_3","name":"look","input":"ls -l"},'
        '{"type":"function_call_output","call_id":"call_1","output":"one"},'
        '{"type":"function_call_output","call_id":"call_2","output":"Error: two"},'
        '{"type":"custom_tool_call_output","call_id":"call_3","output":"three"}],'
        '"max_output_tokens":100,"truncation":"disabled","reasoning":{"summary":"auto","effort":"high"},'
        f'"text":{{"format":{{"type":"json_schema","name":"n","description":"e","schema":{SCHEMA},"strict":false}},'
        '"verbosity":"low"},"include":["reasoning.encrypted_content"],'
        '"prompt_cache_key":"k","safety_identifier":"s","metadata":{"a":"b"}}'
    )
    assert policy.dropped == ("reasoning_effort=max",)


def test_a_turn_that_is_added_changes_nothing_of_what_stands_before_it():
    turns = (
        turn(Role.SYSTEM, "Be brief."),
        turn(Role.USER, "Look."),
        turn(Role.ASSISTANT, Reasoning(hidden=HIDDEN), tool_calls=(call(1),)),
        turn(Role.TOOL, "one", tool_call_id="call_1"),
        turn(Role.SYSTEM, "Be briefer."),
    )
    bodies = [raw(GenerationInput(model="x", messages=turns[:count]), facts=REASONS) for count in range(1, 6)]
    heads = [body.partition(b'],"include"')[0] for body in bodies]
    assert all(later.startswith(earlier) for earlier, later in zip(heads, heads[1:], strict=False))


def test_reasoning_of_others_has_no_item_and_is_noted():
    for part in (Reasoning(text="Hm."), Reasoning(text="Hm.", signature=b"x"), Reasoning(hidden=b"b64==")):
        policy = FieldPolicy()
        body = sent(turn(Role.ASSISTANT, part, "Hi"), policy=policy)
        assert [item["type"] for item in body["input"]] == ["message"]
        assert policy.dropped == ("reasoning handed back",)
    # Nor does it become the summary of OpenAI's.
    signed = turn(Role.ASSISTANT, Reasoning(text="Hm.", signature=b"x"), Reasoning(hidden=HIDDEN))
    assert sent(signed)["input"][0]["summary"] == []


def test_parts_of_every_kind():
    body = sent(
        turn(
            Role.USER,
            Image(url="https://a/b.png", detail="high"),
            Image(data=PNG),
            File(name="a.pdf", media_type="application/pdf", data=b"%", context="From May."),
            File(url="https://a/b.pdf"),
            File(id="file-1"),
        ),
        turn(Role.ASSISTANT, Opaque(format="openai_responses", json='{"type":"web_search_call","id":"ws_1"}')),
        turn(Role.ASSISTANT, Opaque(format="anthropic", json="{}"), "a", "b"),
        turn(Role.TOOL, "seen", Image(data=PNG), tool_call_id="c"),
        turn(Role.TOOL, Image(data=PNG), tool_call_id="d", is_error=True),
    )
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    assert body["input"] == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "high"},
                image,
                {"type": "input_text", "text": "From May."},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JQ=="},
                {"type": "input_file", "file_url": "https://a/b.pdf"},
                {"type": "input_file", "file_id": "file-1"},
            ],
        },
        {"type": "web_search_call", "id": "ws_1"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
        },
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": "seen"}, image],
        },
        {
            "type": "function_call_output",
            "call_id": "d",
            "output": [{"type": "input_text", "text": "Error: "}, image],
        },
    ]


def test_large_data_is_written_only_as_it_is_sent():
    body = raw(GenerationInput(model="x", messages=(turn(Role.USER, Image(data=PNG + bytes(200_000))),)))
    assert isinstance(body, BodyWithData)


@pytest.mark.parametrize(("breakpoints", "marked"), [(True, True), (False, False)])
def test_ends_of_prefixes_go_to_models_that_take_them(breakpoints, marked):
    parts = (Text(text="a", cache_breakpoint=True, cache_ttl="1h"),)
    policy = FieldPolicy()
    body = sent(turn(Role.USER, *parts), policy=policy, facts=ModelFacts(cache_breakpoints=breakpoints))
    assert ("prompt_cache_breakpoint" in body["input"][0]["content"][0]) is marked
    assert "prompt_cache_breakpoint" not in str(sent(turn(Role.USER, *parts)))
    assert policy.dropped == ("cache_ttl",)


@pytest.mark.parametrize(
    ("facts", "sampling", "messages", "reasons"),
    [
        (UNKNOWN_MODEL, SamplingParams(), (), False),
        (UNKNOWN_MODEL, SamplingParams(reasoning_effort="low"), (), True),
        (ModelFacts(default_effort="medium"), SamplingParams(), (), True),
        (ModelFacts(tools_on_chat=Tools.NO), SamplingParams(), (), True),
        (ModelFacts(), SamplingParams(), (), False),
        (UNKNOWN_MODEL, SamplingParams(), (turn(Role.ASSISTANT, Reasoning(hidden=HIDDEN)),), True),
    ],
)
def test_encrypted_reasoning_is_asked_for_where_the_model_reasons(facts, sampling, messages, reasons):
    body = sent(*messages, facts=facts, sampling=sampling, asking=Asking(summary="auto"))
    assert ("include" in body) is reasons
    assert (body.get("reasoning", {}).get("summary") == "auto") is reasons


def test_the_smallest_limit_is_16_and_that_is_noted():
    policy = FieldPolicy()
    assert sent(sampling=SamplingParams(max_output_tokens=5), policy=policy)["max_output_tokens"] == 16
    assert policy.dropped == ("max_output_tokens=5",)
    assert sent(sampling=SamplingParams(max_output_tokens=17))["max_output_tokens"] == 17


def test_probabilities_are_included():
    body = sent(sampling=SamplingParams(top_logprobs=2))
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 2)


def test_a_penalty_of_0_asks_for_nothing():
    assert "penalty" not in str(sent(sampling=SamplingParams(frequency_penalty=0.0, presence_penalty=0.0)))


def test_json_and_choices_of_tools():
    assert sent(response_format=JsonObject())["text"] == {"format": {"type": "json_object"}}
    tools = (Tool(name="look"), Tool(name="run", custom_json="{}"))
    for name, kind in (("look", "function"), ("run", "custom")):
        choice = ToolChoice(mode=ToolChoiceMode.NAMED, tool_name=name)
        assert sent(tools=tools, tool_choice=choice)["tool_choice"] == {"type": kind, "name": name}
    for mode in (ToolChoiceMode.AUTO, ToolChoiceMode.NONE, ToolChoiceMode.REQUIRED):
        assert sent(tools=tools, tool_choice=ToolChoice(mode=mode))["tool_choice"] == mode.value


def test_what_the_model_does_not_take_is_as_the_policy_says():
    facts = ModelFacts(sampling=frozenset())
    with pytest.raises(AttemptFailed) as failed:
        sent(sampling=SamplingParams(temperature=1.0), facts=facts)
    assert failed.value.parameter == "input.sampling.temperature"
    policy = FieldPolicy(UnsupportedFields.DROP)
    assert "temperature" not in sent(sampling=SamplingParams(temperature=1.0), facts=facts, policy=policy)
    assert policy.dropped == ("temperature",)


@pytest.mark.parametrize("name", ["input", "previous_response_id", "conversation", "background", "text", "include"])
def test_an_extra_field_never_replaces_one_of_ours(name):
    for mode in UnsupportedFields:
        with pytest.raises(AttemptFailed) as failed:
            sent(extra_json=json.dumps({name: 1}), policy=FieldPolicy(mode), asking=Asking(passthrough=True))
        assert failed.value.kind is FailureKind.UNSUPPORTED


def test_a_service_tier_has_a_price_and_is_no_field_like_others():
    asked = {"extra_json": '{"service_tier":"priority"}'}
    assert sent(**asked, asking=Asking(service_tiers=True))["service_tier"] == "priority"
    for mode in (UnsupportedFields.REFUSE, UnsupportedFields.PASS):
        with pytest.raises(AttemptFailed):
            sent(**asked, policy=FieldPolicy(mode))


def test_fields_of_chat_alone_are_as_the_policy_says():
    asked = {"extra_json": '{"logit_bias":{"1":2}}', "hints_json": '{"store":true}'}
    with pytest.raises(AttemptFailed) as failed:
        sent(**asked)
    assert failed.value.may_be_dropped
    policy = FieldPolicy(UnsupportedFields.DROP)
    assert sent(**asked, policy=policy)["store"] is False
    assert policy.dropped == ("logit_bias", "store")
    assert sent(**asked, policy=FieldPolicy(UnsupportedFields.PASS))["logit_bias"] == {"1": 2}


SIGNS = {
    Use.TEMPERATURE: '"temperature":0', Use.TOP_P: '"top_p":0.5', Use.TOP_K: '"top_k":1',
    Use.MAX_OUTPUT_TOKENS: '"max_output_tokens":16', Use.STOP: '"stop":["x"]', Use.SEED: '"seed":0',
    Use.FREQUENCY_PENALTY: '"frequency_penalty":0.1', Use.PRESENCE_PENALTY: '"presence_penalty":0.1',
    Use.REASONING_EFFORT: '"reasoning":{"effort":"low"}', Use.LOGPROBS: '"top_logprobs":0', Use.CHOICES: '"n":2',
    Use.TOOLS: '"tools":[', Use.CUSTOM_TOOLS: '"type":"custom"', Use.STRICT_TOOLS: '"strict":true',
    Use.TOOL_CHOICE_NONE: '"tool_choice":"none"', Use.TOOL_CHOICE_REQUIRED: '"tool_choice":"required"',
    Use.TOOL_CHOICE_NAMED: '"tool_choice":{"type":"function"', Use.ALLOWED_TOOLS: '"name":"f"',
    Use.PARALLEL_TOOLS: '"parallel_tool_calls":false', Use.JSON_OBJECT: '"json_object"',
    Use.JSON_SCHEMA: '"json_schema"', Use.IMAGE: '"image_url":"data:', Use.IMAGE_URL: '"image_url":"https://a"',
    Use.IMAGE_DETAIL: '"detail":"low"', Use.FILE: '"file_data"', Use.FILE_URL: '"file_url":"https://a"',
    Use.FILE_ID: '"file_id":"f"', Use.CITATIONS: "citations", Use.REASONING: '"encrypted_content":"gAAA"',
    Use.CACHE_BREAKPOINT: '"prompt_cache_breakpoint":{"mode":"explicit"}', Use.CACHE_TTL: "1h",
    Use.NAME: '"ann"', Use.LATER_SYSTEM: '"role":"system"', Use.FAILED_CALL: '"Error: "',
    Use.IMAGE_OF_TOOL: '"image_url":"data:', Use.PREFILL: '"role":"assistant"',
}  # fmt: skip
OTHERS = {
    Use.FREQUENCY_PENALTY: GenerationInput(
        model="m", messages=(turn(Role.USER, "a"),), sampling=SamplingParams(frequency_penalty=0.1)
    ),
    Use.REASONING: GenerationInput(model="m", messages=(turn(Role.ASSISTANT, Reasoning(hidden=HIDDEN)),)),
}
ASKED = [
    (use, OTHERS.get(use, value)) for use, value, _ in EXAMPLES if not (value.tools and value.tools[0].cache_breakpoint)
]
NOTED_BESIDES = {Use.MAX_OUTPUT_TOKENS: ("max_output_tokens=1",)}


@pytest.mark.parametrize("mode", UnsupportedFields)
@pytest.mark.parametrize(("use", "value"), ASKED, ids=lambda value: getattr(value, "value", ""))
def test_every_use_becomes_what_the_table_says(use, value, mode):
    outcome, dropped = became(lambda value, policy: raw(value, policy, ModelFacts()), value, mode, SIGNS[use])
    assert outcome == expected(TABLE[use], mode)
    assert dropped == ((use.value,) if outcome == "left out" else NOTED_BESIDES.get(use, ()))


def test_the_table_is_complete():
    assert TABLE.keys() == set(Use)
