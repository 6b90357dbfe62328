"""The body that Converse receives, byte for byte, and what of a request it cannot be told."""

import hashlib
import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock_common.http.body import BodyWithData
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
from penstock_inference.adapters.providers.bedrock.request import body_from_input
from penstock_inference.adapters.providers.bedrock.table import TABLE
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts, ThinkingBound
from penstock_inference.domain.unsupported import FieldPolicy

PNG = b"\x89PNG\r\n\x1a\n"
# Key order and number form that a parser would not keep.
SCHEMA = '{"type": "object", "z": 1.0, "a": 1e2, "é": "\\u00e9"}'


def turn(role: Role, *parts: Any, **more: Any) -> Message:
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts), **more)


def user(*parts: Any) -> Message:
    return turn(Role.USER, *parts)


def assistant(*parts: Any, **more: Any) -> Message:
    return turn(Role.ASSISTANT, *parts, **more)


def result(identity: str, *parts: Any, **more: Any) -> Message:
    return turn(Role.TOOL, *parts, tool_call_id=identity, **more)


def call(identity: str, name: str = "weather", arguments: str = "{}", **more: Any) -> ToolCall:
    return ToolCall(id=identity, name=name, arguments_json=arguments, **more)


HELLO = user("Hi?")
WEATHER = Tool(name="weather", description="Tells it", parameters_json=SCHEMA)


def asked(*messages: Message, **more: Any) -> GenerationInput:
    return GenerationInput(model="m", messages=messages or (HELLO,), **more)


def sampled(**more: Any) -> GenerationInput:
    return asked(sampling=SamplingParams(**more))


def written(value: GenerationInput, facts: ModelFacts = UNKNOWN_MODEL, policy: Any = None, **more: Any) -> bytes:
    body = body_from_input(value, facts, policy or FieldPolicy(), **more)
    return body if isinstance(body, bytes) else b"".join(body.pieces())


def body(value: GenerationInput, facts: ModelFacts = UNKNOWN_MODEL, policy: Any = None, **more: Any) -> dict[str, Any]:
    return json.loads(written(value, facts, policy, **more))


def messages(*turns: Message) -> Any:
    return body(asked(*turns))["messages"]


def refused(
    value: GenerationInput, facts: ModelFacts = UNKNOWN_MODEL, policy: Any = None, **more: Any
) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        written(value, facts, policy, **more)
    return caught.value


def dropping() -> FieldPolicy:
    return FieldPolicy(UnsupportedFields.DROP)


def test_the_table_says_of_every_use_how_it_is_told():
    assert set(TABLE) == set(Use)


GOLDEN = asked(
    turn(Role.SYSTEM, Text(text="Be brief.", cache_breakpoint=True, cache_ttl="1h")),
    turn(Role.DEVELOPER, "In English."),
    user("Hi?", Image(data=PNG), File(name="my report.pdf", media_type="application/pdf", data=b"%PDF", context="ours")),
    assistant(
        Reasoning(text="Hm.", signature=b"c2ln"),
        "I look.",
        Reasoning(hidden=b"aGlk"),
        tool_calls=(call("t1", arguments='{"b": 1.0,\n "a": 1e2}'), call("t2", parts_before=2)),
    ),
    result("t1", "Cold.", Image(data=PNG)),
    result("t2", Text(text="No.", cache_breakpoint=True), is_error=True),
    user("So?"),
    tools=(replace(WEATHER, strict=True, cache_breakpoint=True, cache_ttl="5m"), Tool(name="now")),
    tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="weather", parallel=True),
    sampling=SamplingParams(temperature=0.5, top_p=0.9, top_k=40, max_output_tokens=99, stop=("END",), reasoning_effort="low"),
    response_format=JsonSchema(name="answer", description="An answer", schema_json=SCHEMA),
    extra_json='{"guardrailConfig":{"guardrailIdentifier": "g", "guardrailVersion":"1"},"requestMetadata":{"team":"a"},'
    '"anthropic_beta":["b-1","b-2"],"additionalModelRequestFields":{"x": 1.0}}',
)  # fmt: skip
WIRE = (
    '{"system":[{"text":"Be brief."},{"cachePoint":{"type":"default","ttl":"1h"}},{"text":"In English."}],'
    '"messages":[{"role":"user","content":[{"text":"Hi?"},'
    '{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}},'
    '{"document":{"format":"pdf","name":"my report-pdf","source":{"bytes":"JVBERg=="},"context":"ours"}}]},'
    '{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"c2ln"}}},'
    '{"text":"I look."},{"toolUse":{"toolUseId":"t2","name":"weather","input":{}}},'
    '{"reasoningContent":{"redactedContent":"aGlk"}},'
    '{"toolUse":{"toolUseId":"t1","name":"weather","input":{"b": 1.0,\n "a": 1e2}}}]},'
    '{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"text":"Cold."},'
    '{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}]}},'
    '{"toolResult":{"toolUseId":"t2","content":[{"text":"No."}],"status":"error"}},{"cachePoint":{"type":"default"}},'
    '{"text":"So?"}]}],'
    '"additionalModelResponseFieldPaths":["/stop_sequence"],'
    '"inferenceConfig":{"maxTokens":99,"temperature":0.5,"topP":0.9,"stopSequences":["END"]},'
    '"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":'
    '"{\\"type\\": \\"object\\", \\"z\\": 1.0, \\"a\\": 1e2, \\"é\\": \\"\\\\u00e9\\"}",'
    '"name":"answer","description":"An answer"}}},"effort":"low"},'
    '"toolConfig":{"tools":[{"toolSpec":{"name":"weather","description":"Tells it","inputSchema":{"json":'
    + SCHEMA
    + '},"strict":true}},{"cachePoint":{"type":"default","ttl":"5m"}},'
    '{"toolSpec":{"name":"now","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"tool":{"name":"weather"}}},'
    '"guardrailConfig":{"guardrailIdentifier": "g", "guardrailVersion":"1"},"requestMetadata":{"team":"a"},'
    '"additionalModelRequestFields":{"top_k":40,"anthropic_beta":["b-1","b-2"],"x":1.0}}'
)


def test_the_wire_is_this_byte_for_byte():
    assert written(GOLDEN).decode() == WIRE
    assert written(GOLDEN) == written(GOLDEN)


def test_botocore_takes_it_for_a_converse_request():
    botocore = pytest.importorskip("botocore.session")
    from botocore.validate import ParamValidator

    shape = botocore.Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    document = json.loads(written(GOLDEN))
    report = ParamValidator().validate({**document, "modelId": "m"}, shape)
    assert report.generate_report() == ""


def test_large_data_is_written_as_it_is_sent():
    image = Image(data=PNG + b"x" * 100_000)
    value = asked(user(image, File(name="a.txt", data=b"y" * 70_000)))
    body = body_from_input(value, UNKNOWN_MODEL, FieldPolicy())
    assert isinstance(body, BodyWithData)
    assert len(body) == len(written(value))
    content = json.loads(written(value))["messages"][0]["content"]
    assert len(content[0]["image"]["source"]["bytes"]) == -(-100_008 // 3) * 4
    assert content[1]["document"]["format"] == "txt"


# Turns.


@pytest.mark.parametrize("blank", ["", " ", "\n\t "])
def test_blank_text_is_never_sent(blank):
    assert messages(user(blank, "Hi?"), assistant(blank), user("So?")) == [
        {"role": "user", "content": [{"text": "Hi?"}, {"text": "So?"}]}
    ]
    assert "system" not in body(asked(turn(Role.SYSTEM, blank), HELLO))


def test_a_result_of_nothing_is_one():
    assert messages(assistant(tool_calls=(call("t"),)), result("t", ""))[1]["content"] == [
        {"toolResult": {"toolUseId": "t", "content": []}}
    ]


def test_a_later_system_turn_is_the_users_text_in_its_place():
    turns = messages(HELLO, assistant("Yes?"), turn(Role.SYSTEM, "Be kind."), user("Go."))
    assert [one["role"] for one in turns] == ["user", "assistant", "user"]
    assert turns[2]["content"] == [{"text": "<system>\nBe kind.\n</system>"}, {"text": "Go."}]


@pytest.mark.parametrize(
    "facts", [UNKNOWN_MODEL, ModelFacts(prefill=True, thinking=frozenset())]
)  # fmt: skip
def test_a_turn_that_is_begun_stays_begun_but_for_blanks_at_its_end(facts):
    sent = body(asked(HELLO, assistant("So it \n")), facts)
    assert sent["messages"][1] == {"role": "assistant", "content": [{"text": "So it"}]}


def test_a_model_that_does_not_go_on_is_asked_to():
    facts = ModelFacts(thinking=frozenset({"adaptive"}))
    sent = body(asked(HELLO, assistant("So ", "it ")), facts)["messages"]
    assert [one["role"] for one in sent] == ["user"]
    assert sent[0]["content"][1]["text"].startswith("<answer_so_far>\nSo it\n</answer_so_far>\n")
    assert len(body(asked(HELLO, assistant(" ")), facts)["messages"]) == 1
    calling = assistant(tool_calls=(call("a"),))
    assert body(asked(HELLO, calling), facts)["messages"][1]["role"] == "assistant"


def test_reasoning_that_nobody_signed_is_left_out_and_said():
    policy = FieldPolicy()
    turns = body(asked(HELLO, assistant(Reasoning(text="Hm."), "So."), HELLO), policy=policy)["messages"]
    assert turns[1]["content"] == [{"text": "So."}]
    assert policy.dropped == ("reasoning handed back",)


def test_a_life_in_the_cache_that_bedrock_has_not_is_left_out_and_said():
    policy = FieldPolicy()
    tools = (replace(WEATHER, cache_breakpoint=True, cache_ttl="99y"),)
    asking = asked(user(Text(text="Hi.", cache_breakpoint=True, cache_ttl='1h","x":"')), tools=tools)
    told = body(asking, policy=policy)
    assert told["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert told["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert policy.dropped == ("cache_ttl",)


def test_blocks_of_ours_are_verbatim_and_those_of_others_left_out():
    ours, theirs = Opaque(format="bedrock", json='{"video":{"x": 1.0}}'), Opaque(format="gemini", json="{}")
    wire = written(asked(HELLO, assistant(ours, theirs, "So."), HELLO))
    assert b'{"role":"assistant","content":[{"video":{"x": 1.0}},{"text":"So."}]}' in wire


def test_citations_of_ours_are_handed_back_and_those_of_others_not():
    ours = '[{"title": "a", "location":{"documentPage":{"start": 1}}}]'
    wire = written(asked(HELLO, assistant(Text(text="So.", citations_json=ours)), HELLO))
    assert f'{{"citationsContent":{{"content":[{{"text":"So."}}],"citations":{ours}}}}}'.encode() in wire
    for other in ('[{"type":"char_location"}]', "[]", "{", "[{}]"):
        assert messages(HELLO, assistant(Text(text="So.", citations_json=other)))[1]["content"] == [{"text": "So."}]


def test_ids_that_bedrock_refuses_are_others_in_call_and_result():
    long = "x" * 65
    turns = messages(assistant(tool_calls=(call(long), call("a/b"))), result(long, "1"), result("a/b", "2"))
    ids = [block["toolUse"]["toolUseId"] for block in turns[0]["content"]]
    assert ids[0] == f"call_{hashlib.sha256(long.encode()).hexdigest()[:32]}"
    assert [block["toolResult"]["toolUseId"] for block in turns[1]["content"]] == ids


def test_a_call_without_arguments_has_an_empty_object_and_a_custom_one_its_text():
    turns = messages(assistant(tool_calls=(call("a", arguments=""), call("b", arguments="SELECT", is_custom=True))))
    assert [block["toolUse"]["input"] for block in turns[0]["content"]] == [{}, {"input": "SELECT"}]


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"a":1}}', "7"])
def test_arguments_that_are_no_object_are_handed_back_within_one(arguments):
    turns = messages(assistant(tool_calls=(call("a", arguments=arguments),)))
    assert [block["toolUse"]["input"] for block in turns[0]["content"]] == [{"INVALID_JSON": arguments}]


def test_nothing_breaks_out_of_a_schema():
    failure = refused(asked(tools=(replace(WEATHER, parameters_json='{}},"x":{"y":{}'),)))
    assert (failure.kind, failure.parameter) == (FailureKind.BAD_REQUEST, "input.tools[0].parameters_json")


def document(**more: Any) -> Any:
    return messages(user("See:", File(data=b"x", **more)))[0]["content"][1]["document"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "document"), ("a  b\n(1)[2].pdf", "a b (1)[2]-pdf"), ("ß_ü.md", "-md"), ("x" * 300, "x" * 200)],
)
def test_a_documents_name_has_the_few_characters_that_bedrock_takes(name, told):
    assert document(name=name, media_type="text/plain")["name"] == told


def test_two_documents_of_one_name_are_told_apart():
    file = File(name="a.csv", data=b"x")
    content = messages(user("See:", file, file), assistant("Yes."), user("And", file))
    blocks = [*content[0]["content"], *content[2]["content"]]
    assert [block["document"]["name"] for block in blocks if "document" in block] == ["a-csv", "a-csv 2", "a-csv 3"]


def test_documents_may_be_cited():
    assert document(name="a.md", with_citations=True) == {
        "format": "md",
        "name": "a-md",
        "source": {"bytes": "eA=="},
        "citations": {"enabled": True},
    }


def test_what_is_no_document_or_image_of_bedrocks_is_refused():
    assert refused(asked(user(File(name="a.exe", data=b"x")))).parameter == "input.messages[0].parts.file"
    assert refused(asked(user(Image(data=b"x", media_type="image/bmp")))).kind is FailureKind.UNSUPPORTED


def test_addresses_in_s3_are_told_and_others_refused():
    content = messages(user(Image(url="s3://b/a.jpg"), File(url="s3://b/c.pdf")))[0]["content"]
    assert content[0]["image"] == {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/a.jpg"}}}
    assert content[1]["document"]["source"] == {"s3Location": {"uri": "s3://b/c.pdf"}}
    for part in (Image(url="https://a/b.png"), File(url="https://a/b.pdf")):
        failure = refused(asked(user(part)), policy=dropping())
        assert (failure.kind, failure.may_be_dropped) == (FailureKind.UNSUPPORTED, False)


def test_a_model_without_breakpoints_has_none():
    wire = written(GOLDEN, ModelFacts(cache_breakpoints=False))
    assert b"cachePoint" not in wire


# Tools.


def tool_config(value: GenerationInput, facts: ModelFacts = UNKNOWN_MODEL, policy: Any = None) -> Any:
    return body(value, facts, policy).get("toolConfig")


def test_a_conversation_with_calls_has_their_tools_where_the_caller_names_none():
    turns = (HELLO, assistant(tool_calls=(call("a", "f"), call("b", "g"), call("c", "f"))), result("a", "1"))
    assert tool_config(asked(*turns)) == {
        "tools": [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in ("f", "g")]
    }
    assert len(tool_config(asked(result("a", "1")))["tools"]) == 1


def chosen(mode: ToolChoiceMode | None, *turns: Message, **more: Any) -> GenerationInput:
    return asked(*turns, tools=(WEATHER, Tool(name="now")), tool_choice=ToolChoice(mode=mode, **more))


@pytest.mark.parametrize(
    ("mode", "told"),
    [(ToolChoiceMode.AUTO, {"auto": {}}), (ToolChoiceMode.REQUIRED, {"any": {}}), (None, None)],
)
def test_a_choice_is_told(mode, told):
    assert tool_config(chosen(mode)).get("toolChoice") == told


def test_none_leaves_the_tools_out_and_is_refused_where_bedrock_wants_some():
    assert tool_config(chosen(ToolChoiceMode.NONE)) is None
    value = chosen(ToolChoiceMode.NONE, HELLO, assistant(tool_calls=(call("a"),)), result("a", "1"))
    failure = refused(value, policy=dropping())
    assert (failure.parameter, failure.may_be_dropped) == ("input.tool_choice", False)


def test_tools_that_may_not_be_called_are_left_out():
    told = tool_config(chosen(ToolChoiceMode.AUTO, allowed_tools=("now",)))
    assert [one["toolSpec"]["name"] for one in told["tools"]] == ["now"]


def test_thinking_that_is_bound_to_the_tools_is_not_parted_from_them():
    bound, thought = (
        ModelFacts(thinking_bound=ThinkingBound.PREFIX),
        assistant(Reasoning(text="Hm.", signature=b"c"), "So."),
    )
    turns = (HELLO, thought, HELLO)
    assert refused(chosen(ToolChoiceMode.NONE, *turns), bound, dropping()).parameter == "input.tool_choice"
    assert tool_config(chosen(ToolChoiceMode.NONE, HELLO), bound) is None
    fewer = chosen(ToolChoiceMode.AUTO, *turns, allowed_tools=("now",))
    assert refused(fewer, bound).parameter == "input.tool_choice.allowed_tools"
    policy = dropping()
    assert len(tool_config(fewer, bound, policy)["tools"]) == 2
    assert policy.dropped == ("allowed_tools",)
    assert len(tool_config(fewer)["tools"]) == 1


def test_a_model_that_cannot_be_forced_is_not():
    facts = ModelFacts(forced_tool_choice=False)
    for mode, more in ((ToolChoiceMode.REQUIRED, {}), (ToolChoiceMode.NAMED, {"tool_name": "now"})):
        assert refused(chosen(mode, **more), facts).may_be_dropped
        policy = dropping()
        assert tool_config(chosen(mode, **more), facts, policy)["toolChoice"] == {"auto": {}}
        assert policy.dropped == ("tool_choice",)


def test_several_calls_at_once_need_no_word_and_cannot_be_forbidden():
    assert "toolChoice" not in tool_config(chosen(None, parallel=True))
    assert refused(chosen(None, parallel=False)).parameter == "input.tool_choice.parallel"


def test_tools_of_the_providers_own_are_verbatim_and_those_of_others_left_out():
    ours = Tool(name="s", opaque=Opaque(format="bedrock", json='{"systemTool":{"name": "s"}}'))
    theirs = Tool(name="web", opaque=Opaque(format="anthropic", json="{}"))
    policy = FieldPolicy()
    assert b'"tools":[{"systemTool":{"name": "s"}}]' in written(asked(tools=(ours, theirs)), policy=policy)
    assert policy.dropped == ("tool web",)


# What the model's facts decide.


def told_so(facts: ModelFacts) -> bool:
    """Return whether a model can be told not to think."""
    return "disabled" in (facts.thinking or ()) or "none" in facts.efforts


@pytest.mark.parametrize(
    ("facts", "effort", "output", "thinking"),
    [
        (ModelFacts(), "high", "high", None),
        (ModelFacts(), "minimal", "low", None),
        (ModelFacts(thinking=frozenset({"adaptive"})), "max", "max", {"type": "adaptive"}),
        (ModelFacts(thinking=frozenset({"adaptive", "enabled", "disabled"})), "none", None, {"type": "disabled"}),
        (ModelFacts(thinking=frozenset({"enabled"})), "high", None, {"type": "enabled", "budget_tokens": 16384}),
        (ModelFacts(thinking=frozenset(), efforts=("low", "high")), "medium", "low", None),
        (ModelFacts(efforts=("medium", "high")), "low", "medium", None),
        (ModelFacts(efforts=("low", "high")), "none", "low", None),
        (ModelFacts(efforts=("none", "high")), "none", None, None),
        (ModelFacts(thinking=frozenset({"adaptive"})), "none", "low", {"type": "adaptive"}),
        (ModelFacts(thinking=frozenset({"enabled"})), "none", None, {"type": "enabled", "budget_tokens": 1024}),
    ],
)
def test_an_effort_is_told_as_the_model_takes_it(facts, effort, output, thinking):
    policy = FieldPolicy()
    sent = body(sampled(reasoning_effort=effort), facts, policy)
    assert sent.get("outputConfig", {}).get("effort") == output
    assert sent.get("additionalModelRequestFields", {}).get("thinking") == thinking
    clamped = (bool(facts.efforts) and effort not in facts.efforts) or (effort == "none" and not told_so(facts))
    assert policy.dropped == ((f"reasoning_effort: {effort}",) if clamped else ())


def test_a_budget_is_less_than_what_may_be_written():
    facts = ModelFacts(thinking=frozenset({"enabled"}))
    sent = body(sampled(reasoning_effort="high", max_output_tokens=2000), facts)
    assert sent["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1999
    assert refused(sampled(reasoning_effort="high", max_output_tokens=1000), facts).may_be_dropped


@pytest.mark.parametrize(("facts", "effort"), [(ModelFacts(), "none"), (ModelFacts(thinking=frozenset()), "high")])
def test_an_effort_that_cannot_be_told_is_refused_or_dropped(facts, effort):
    assert refused(sampled(reasoning_effort=effort), facts).parameter == "input.sampling.reasoning_effort"
    policy = dropping()
    assert b"effort" not in written(sampled(reasoning_effort=effort), facts, policy)
    assert policy.dropped == ("reasoning_effort",)


def test_sampling_that_the_model_refuses_is_refused_or_dropped():
    facts = ModelFacts(sampling=frozenset({"stop"}))
    value = sampled(temperature=1.0, top_p=0.5, top_k=1, max_output_tokens=5, stop=("x",))
    assert refused(value, facts).parameter == "input.sampling.temperature"
    policy = dropping()
    sent = body(value, facts, policy)
    assert sent["inferenceConfig"] == {"maxTokens": 5, "stopSequences": ["x"]}
    assert "additionalModelRequestFields" not in sent
    assert policy.dropped == ("temperature", "top_p", "top_k")


def test_a_schema_that_the_model_does_not_keep_to_is_refused():
    failure = refused(asked(response_format=JsonSchema(name="a", schema_json="{}")), ModelFacts(json_schema=False))
    assert failure.parameter == "input.response_format.json_schema"


def test_betas_that_the_model_refuses_are_left_out_and_said():
    policy = FieldPolicy()
    value = asked(extra_json='{"anthropic_beta":["a","b"]}')
    sent = body(value, ModelFacts(denied_betas=frozenset({"a"})), policy)
    assert sent["additionalModelRequestFields"] == {"anthropic_beta": ["b"]}
    assert policy.dropped == ("anthropic_beta: a",)
    assert refused(asked(extra_json='{"anthropic_beta":"a"}')).kind is FailureKind.BAD_REQUEST


# Further fields.


def test_what_converse_has_no_field_for_is_refused_dropped_or_the_models_own():
    value = sampled(seed=1, presence_penalty=0.5, top_logprobs=0)
    assert refused(value).may_be_dropped
    policy = dropping()
    assert "additionalModelRequestFields" not in body(value, policy=policy)
    assert policy.dropped == ("seed", "presence_penalty", "logprobs")
    passing = FieldPolicy(UnsupportedFields.PASS)
    assert body(value, policy=passing)["additionalModelRequestFields"] == {"seed": 1, "presence_penalty": 0.5}
    # Nobody could be told of it.
    assert passing.dropped == ("logprobs",)
    assert refused(asked(response_format=JsonObject())).parameter == "input.response_format.json_object"


def test_fields_that_nobody_knows_are_the_models_where_that_is_declared():
    value = asked(extra_json='{"min_p": 0.10}')
    assert refused(value).parameter == "input.extra_json.min_p"
    assert b'"additionalModelRequestFields":{"min_p":0.10}' in written(value, passthrough=True)


@pytest.mark.parametrize(
    "extra",
    ['{"model":"x"}', '{"additionalModelRequestFields":{"max_tokens":9}}', '{"additionalModelRequestFields":{"speed":"fast"}}',
     '{"fallbacks":[]}', '{"service_tier":"flex"}', '{"performanceConfig":{"latency":"optimized"}}'],
)  # fmt: skip
def test_what_decides_of_answerer_and_price_is_nobodys_to_set(extra):
    policy = FieldPolicy(UnsupportedFields.PASS)
    failure = refused(asked(extra_json=extra), policy=policy, passthrough=True)
    assert (failure.kind, failure.may_be_dropped) == (FailureKind.UNSUPPORTED, False)


def test_a_tier_is_told_where_there_are_prices():
    def tiered(extra: str) -> Any:
        return body(asked(extra_json=extra), service_tiers=True)

    assert tiered('{"service_tier":"flex"}')["serviceTier"] == {"type": "flex"}
    assert tiered('{"service_tier":"auto"}')["serviceTier"] == {"type": "default"}
    assert tiered('{"serviceTier":{"type":"priority"}}')["serviceTier"] == {"type": "priority"}
    assert tiered('{"performanceConfig":{"latency":"optimized"}}')["performanceConfig"] == {"latency": "optimized"}
    assert refused(asked(extra_json='{"speed":"fast"}'), service_tiers=True).kind is FailureKind.UNSUPPORTED


def test_hints_are_left_out_and_said():
    policy = FieldPolicy()
    assert written(asked(hints_json='{"user":"ann","store":false}'), policy=policy) == written(asked())
    assert policy.dropped == ("user",)
