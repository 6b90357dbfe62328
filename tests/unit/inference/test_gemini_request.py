"""The body that Gemini receives, byte for byte."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.gemini.request import body_of
from penstock_inference.adapters.providers.gemini.signatures import extra_of_call, signature_of_call
from penstock_inference.adapters.providers.gemini.table import TABLE
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamCall

# Key order, number form and escapes that a parser would not keep.
SCHEMA = '{"type": "object", "$schema":"x", "z": 1.0, "a": 1e2, "é": "\\u00e9"}'
REFUSE, DROP, PASS = UnsupportedFields.REFUSE, UnsupportedFields.DROP, UnsupportedFields.PASS
FORCED = ToolChoiceMode.REQUIRED
BY_LEVEL = ModelFacts(efforts=("low", "high"), default_effort="high")
BY_BUDGET = ModelFacts(efforts=("none", "low", "medium", "high"), thinking=frozenset({"enabled", "disabled"}))


def user(*parts):
    return Message(role=Role.USER, parts=parts or (Text(text="Hi?"),))


def model(*parts, calls=(), **more):
    return Message(role=Role.ASSISTANT, parts=parts, tool_calls=calls, **more)


def result(identity, *parts, **more):
    return Message(role=Role.TOOL, parts=parts, tool_call_id=identity, **more)


def said(text):
    return Text(text=text)


def call(identity, arguments="{}", name="f", signature="", **more):
    extra = extra_of_call(signature) if signature else ""
    return ToolCall(id=identity, name=name, arguments_json=arguments, extra_json=extra, **more)


def asked(*messages, **more):
    return GenerationInput(model="fast", messages=messages or (user(),), **more)


def sent(value, *, facts=None, unsupported=REFUSE, manner=None):
    """Return the body and what was left out of it."""
    policy = FieldPolicy(unsupported)
    about = {} if facts is None else {"facts": facts}
    request = UpstreamCall("m", value, 1, lambda: None, lambda: None, unsupported=unsupported, **about)
    return body_of(request, manner or Manner(), policy), policy.dropped


def body(value, **more):
    return json.loads(sent(value, **more)[0])


def contents(*messages, **more):
    return body(asked(*messages), **more)["contents"]


def refusal(value, **more):
    with pytest.raises(AttemptFailed) as refused:
        sent(value, **more)
    return refused.value


def test_the_table_says_of_every_use_how_it_is_told():
    assert set(TABLE) == set(Use)


GOLDEN = asked(
    Message(role=Role.SYSTEM, parts=(said("Be brief."), said("Be kind."))),
    Message(role=Role.DEVELOPER, parts=(said("No jokes."),)),
    user(said("Weather?"), Image(data=b"\x89PNG\r\n\x1a\n", media_type="image/jpg")),
    model(
        Reasoning(text="Two places.", signature=b"c2ln+/8="),
        said("I look."),
        calls=(
            call("a", '{"city": "Oslo",  "n": 1.0}', signature="AAA="),
            call("b", '{"city":"Rome"}'),
        ),
    ),
    result("b", said('{"t": 20.50}')),
    result("a", said("cold"), is_error=True),
    tools=(Tool(name="f", description="Asks.", parameters_json=SCHEMA), Tool(name="g")),
    tool_choice=ToolChoice(mode=FORCED, allowed_tools=("f",)),
    sampling=SamplingParams(
        temperature=0.0, top_p=0.0, top_k=3, max_output_tokens=9, stop=("x",), seed=7, frequency_penalty=0.5,
        presence_penalty=-1.0, choices=2, top_logprobs=2, reasoning_effort="low",
    ),
    response_format=JsonSchema(name="n", schema_json=SCHEMA, strict=True),
)  # fmt: skip
GOLDEN_BODY = (
    '{"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Be kind."},{"text":"No jokes."}]},'
    '"contents":[{"role":"user","parts":[{"text":"Weather?"},'
    '{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]},'
    '{"role":"model","parts":[{"text":"Two places.","thought":true,"thoughtSignature":"c2ln+/8="},{"text":"I look."},'
    '{"functionCall":{"id":"a","name":"f","args":{"city": "Oslo",  "n": 1.0}},"thoughtSignature":"AAA="},'
    '{"functionCall":{"id":"b","name":"f","args":{"city":"Rome"}}}]},'
    '{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"error":"cold"}}},'
    '{"functionResponse":{"id":"b","name":"f","response":{"t": 20.50}}}]}],'
    '"tools":[{"functionDeclarations":[{"name":"f","description":"Asks.","parametersJsonSchema":' + SCHEMA + "},"
    '{"name":"g"}]}],'
    '"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},'
    '"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],'
    '"generationConfig":{"temperature":0.0,"topP":1e-6,"topK":3,"maxOutputTokens":9,"seed":7,"frequencyPenalty":0.5,'
    '"presencePenalty":-1.0,"stopSequences":["x"],"candidateCount":2,"responseLogprobs":true,"logprobs":2,'
    '"responseMimeType":"application/json","responseJsonSchema":' + SCHEMA + ","
    '"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}}}'
)


def test_a_request_is_these_bytes():
    manner = Manner({"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"})
    told, dropped = sent(GOLDEN, manner=manner)
    assert told.decode() == GOLDEN_BODY
    assert dropped == ()


def test_the_plainest_request_says_nothing_else():
    assert sent(asked())[0] == b'{"contents":[{"role":"user","parts":[{"text":"Hi?"}]}]}'


def test_a_conversation_that_grows_keeps_its_beginning():
    whole = contents(*GOLDEN.messages, model(said("Cold.")), user(said("And now?")), unsupported=DROP)
    for count in range(3, len(GOLDEN.messages) + 1):
        begun = contents(*GOLDEN.messages[:count])
        # The last may still grow: results of calls made at once.
        assert whole[: len(begun) - 1] == begun[:-1]


# Turns.


def test_a_system_turn_within_the_conversation_is_a_user_s_at_its_place():
    turns = contents(user(), model(said("Hello.")), Message(role=Role.SYSTEM, parts=(said("Now in French."),)), user())
    assert [turn["role"] for turn in turns] == ["user", "model", "user", "user"]
    assert turns[2]["parts"] == [{"text": "Now in French."}]


def test_a_turn_of_the_model_without_anything_that_is_told_is_left_out():
    assert len(contents(user(), model(Reasoning(text="Hm.")), user())) == 2


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        (' {"a":1}\n', {"a": 1}),
        ("plain", {"output": "plain"}),
        ("[1]", {"output": "[1]"}),
        ('"a"', {"output": '"a"'}),
        ("{broken", {"output": "{broken"}),
        ("", {"output": ""}),
    ],
)
def test_a_result_is_an_object(text, response):
    turns = contents(user(), model(calls=(call("a"),)), result("a", said(text)))
    assert turns[-1]["parts"] == [{"functionResponse": {"id": "a", "name": "f", "response": response}}]


def test_the_results_of_one_step_are_one_turn_in_the_order_of_its_calls():
    calls = tuple(call(name, name=name) for name in "abc")
    turns = contents(user(), model(calls=calls), *(result(name, said(name)) for name in "cab"), user())
    assert [part["functionResponse"]["name"] for part in turns[2]["parts"]] == ["a", "b", "c"]
    assert turns[3]["parts"] == [{"text": "Hi?"}]


def test_a_result_with_an_image_has_it_beside():
    turns = contents(user(), model(calls=(call("a"),)), result("a", said("see"), Image(data=b"GIF8x")))
    assert turns[-1]["parts"][0]["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "image/gif", "data": base64.b64encode(b"GIF8x").decode()}}
    ]


def test_a_result_of_no_call_is_refused():
    failure = refusal(asked(user(), result("nobody", said("x"))))
    assert (failure.kind, failure.parameter) == (FailureKind.BAD_REQUEST, "input.messages[1].tool_call_id")


@pytest.mark.parametrize(("text", "told"), [("", "{}"), ("{}", "{}"), ('{"b": 1.50, "a":2}', '{"b": 1.50, "a":2}')])
def test_arguments_stand_as_they_were_written(text, told):
    raw = sent(asked(user(), model(calls=(call("a", text),)), result("a", said("x"))))[0].decode()
    assert f'"args":{told}' in raw


@pytest.mark.parametrize("text", ["[1]", "{oops", "1", '"x"', '{} , "x":{}'])
def test_arguments_that_are_no_object_are_handed_back_within_one(text):
    raw = sent(asked(user(), model(calls=(call("a", text),)), result("a", said("x"))))[0]
    (part,) = json.loads(raw)["contents"][1]["parts"]
    assert part["functionCall"]["args"] == {"INVALID_JSON": text}


def test_the_input_of_a_custom_tool_is_one_argument():
    turns = contents(user(), model(calls=(call("a", "SELECT 1", is_custom=True),)), result("a", said("1")))
    assert turns[1]["parts"][0]["functionCall"]["args"] == {"input": "SELECT 1"}


# Signatures.


def model_parts(*parts, calls=()):
    return contents(user(), model(*parts, calls=calls), user())[1]["parts"]


def test_every_signature_is_on_the_part_that_it_came_with():
    parts = (
        Reasoning(text="Hm.", signature=b"one"), said("A"), Reasoning(signature=b"two"), said("B"),
        Reasoning(hidden=b"three"), Opaque(format="gemini", json='{"executableCode": {"code":"1"},"thoughtSignature":"x"}'),
        Reasoning(signature=b"four"), said("C"), Reasoning(signature=b"five"), Reasoning(signature=b"six"),
    )  # fmt: skip
    assert model_parts(*parts) == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "one"},
        {"text": "A", "thoughtSignature": "two"},
        {"text": "B"},
        {"text": "", "thoughtSignature": "three"},
        {"executableCode": {"code": "1"}, "thoughtSignature": "x"},
        {"text": "", "thoughtSignature": "four"},
        {"text": "C", "thoughtSignature": "five"},
        {"text": "", "thoughtSignature": "six"},
    ]


def test_calls_stand_where_they_stood():
    calls = (call("a", signature="s", parts_before=1), call("b", parts_before=2))
    kinds = [next(iter(part)) for part in model_parts(said("A"), said("B"), calls=calls)]
    assert kinds == ["text", "functionCall", "text", "functionCall"]


def test_the_first_call_of_a_step_that_nobody_signed_has_the_word_that_google_gives_for_it():
    calls = (call("a"), call("b"))
    parts = model_parts(calls=calls)
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None]
    signed = model_parts(calls=(call("a", signature="s"), call("b")))
    assert [part.get("thoughtSignature") for part in signed] == ["s", None]


def test_blocks_and_thoughts_of_others_are_left_out():
    assert model_parts(Opaque(format="anthropic", json="{}"), Reasoning(text="Hm."), said("A")) == [{"text": "A"}]


def test_a_signature_of_any_bytes_is_text():
    assert model_parts(Reasoning(text="Hm.", signature=b"\xff"))[0]["thoughtSignature"] == "/w=="


@pytest.mark.parametrize("extra", ["", "{}", "[1]", "oops", '{"extra_content":{"google":7}}', '{"extra_content":null}'])
def test_what_is_no_signature_is_none(extra):
    assert signature_of_call(extra) == ""


# Media.


def test_large_data_is_written_as_it_is_sent():
    large = bytes(range(256)) * 400
    told, _ = sent(asked(user(File(name="a.pdf", media_type="application/pdf", data=large), Image(data=b"GIF8x"))))
    assert isinstance(told, BodyWithData)
    parts = json.loads(b"".join(told.pieces()))["contents"][0]["parts"]
    assert base64.b64decode(parts[0]["inlineData"]["data"]) == large
    assert parts[1]["inlineData"]["mimeType"] == "image/gif"


@pytest.mark.parametrize("part", [
    Image(url="gs://b/a.png", media_type="image/png"),
    File(url="https://generativelanguage.googleapis.com/v1beta/files/x"),
    File(id="https://elsewhere/f", media_type="text/plain"),
], ids=str)  # fmt: skip
def test_files_that_google_has_are_named(part):
    told = contents(user(part))[0]["parts"][0]["fileData"]
    assert told["fileUri"] == (getattr(part, "id", "") or part.url)
    assert told.get("mimeType", "") == part.media_type


@pytest.mark.parametrize("part", [Image(url="https://a/b.png"), File(url="https://a/b.pdf")], ids=str)
def test_other_addresses_are_refused_unless_everything_is_passed_on(part):
    for mode in (REFUSE, DROP):
        failure = refusal(asked(user(part)), unsupported=mode)
        assert failure.kind is FailureKind.UNSUPPORTED
        assert failure.parameter.startswith("input.messages[0].parts[0].")
    assert contents(user(part), unsupported=PASS)[0]["parts"] == [{"fileData": {"fileUri": part.url}}]


# Tools and the form of the answer.


def calling(choice, *, strict=None):
    value = asked(tools=(Tool(name="f", strict=strict),), tool_choice=choice)
    return body(value).get("toolConfig", {}).get("functionCallingConfig")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (None, None),
        (ToolChoice(parallel=True), None),
        (ToolChoice(mode=ToolChoiceMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=ToolChoiceMode.NONE), {"mode": "NONE"}),
        (ToolChoice(mode=FORCED), {"mode": "ANY"}),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(mode=ToolChoiceMode.AUTO, allowed_tools=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)  # fmt: skip
def test_the_choice_among_tools_in_its_words(choice, told):
    assert calling(choice) == told


def test_strict_tools_are_validated():
    assert calling(None, strict=True) == {"mode": "VALIDATED"}
    assert calling(ToolChoice(mode=FORCED), strict=True) == {"mode": "ANY"}


def test_one_call_at_a_time_is_refused_or_left_out():
    value = asked(tools=(Tool(name="f"),), tool_choice=ToolChoice(parallel=False))
    assert refusal(value).parameter == "input.tool_choice.parallel"
    assert sent(value, unsupported=DROP)[1] == ("parallel_tool_calls",)


def test_gemini_s_own_tools_stand_as_they_were_written_and_those_of_others_are_refused():
    own = Tool(name="search", opaque=Opaque(format="gemini", json='{"googleSearch": {}}'))
    other = Tool(name="x", opaque=Opaque(format="anthropic", json='{"type":"x"}'))
    assert b'"tools":[{"googleSearch": {}}]' in sent(asked(tools=(own,)))[0]
    assert refusal(asked(tools=(other,))).parameter == "input.tools[0].opaque"
    assert "tools" not in body(asked(tools=(other,)), unsupported=DROP)


def test_any_object_is_json():
    assert body(asked(response_format=JsonObject()))["generationConfig"] == {"responseMimeType": "application/json"}


# Thinking.


def thinking(effort="", facts=None):
    value = asked(sampling=SamplingParams(reasoning_effort=effort))
    told, dropped = sent(value, facts=facts)
    return json.loads(told).get("generationConfig", {}).get("thinkingConfig"), dropped


def level(word):
    return {"includeThoughts": True, "thinkingLevel": word}


def budget(tokens):
    return {"includeThoughts": True, "thinkingBudget": tokens}


@pytest.mark.parametrize(
    ("effort", "facts", "told", "dropped"),
    [
        ("", None, None, ()),
        ("", ModelFacts(prefill=True), None, ()),
        ("", BY_LEVEL, {"includeThoughts": True}, ()),
        ("", ModelFacts(efforts=("none", "low"), default_effort="none"), None, ()),
        ("high", None, level("HIGH"), ()),
        ("max", None, level("HIGH"), ("reasoning_effort: max",)),
        ("none", None, level("MINIMAL"), ("reasoning_effort: none",)),
        ("minimal", BY_LEVEL, level("LOW"), ("reasoning_effort: minimal",)),
        ("medium", BY_LEVEL, level("LOW"), ("reasoning_effort: medium",)),
        ("xhigh", ModelFacts(efforts=("high", "xhigh")), level("XHIGH"), ()),
        ("none", ModelFacts(efforts=("none", "low")), {"thinkingBudget": 0}, ()),
        ("none", BY_BUDGET, {"thinkingBudget": 0}, ()),
        ("low", BY_BUDGET, budget(1024), ()),
        ("high", BY_BUDGET, budget(24576), ()),
    ],
)
def test_effort_in_the_words_of_the_model_s_generation(effort, facts, told, dropped):
    assert thinking(effort, facts) == (told, dropped)


@pytest.mark.parametrize("facts", [ModelFacts(sampling=frozenset({"top_p"})), ModelFacts(sampling_without_effort=True)])
def test_sampling_that_the_model_does_not_take_is_refused_or_left_out(facts):
    value = asked(sampling=SamplingParams(temperature=1.0, max_output_tokens=4))
    assert refusal(value, facts=facts).parameter == "input.sampling.temperature"
    told, dropped = sent(value, facts=facts, unsupported=DROP)
    assert json.loads(told)["generationConfig"] == {"maxOutputTokens": 4}
    assert dropped == ("temperature",)


def test_a_choice_that_cannot_be_forced_is_free():
    value = asked(tools=(Tool(name="f"),), tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="f"))
    facts = ModelFacts(forced_tool_choice=False)
    assert refusal(value, facts=facts).kind is FailureKind.UNSUPPORTED
    told = body(value, facts=facts, unsupported=DROP)
    assert told["toolConfig"]["functionCallingConfig"] == {"mode": "AUTO"}


# Further fields.


def test_further_fields_that_it_takes_stand_as_they_were_written():
    extra = '{"cached_content": "cachedContents/x", "labels": {"b":1,"a":2}, "generationConfig": {"mediaResolution": "HIGH"}}'
    told = sent(asked(extra_json=extra))[0].decode()
    assert '"generationConfig":{"mediaResolution":"HIGH"}' in told
    assert '"cachedContent":"cachedContents/x","labels":{"b":1,"a":2}' in told


@pytest.mark.parametrize("extra", [
    '{"contents": []}', '{"generationConfig": {"maxOutputTokens": 99999}}', '{"generation_config": {"candidateCount": 3}}',
    '{"tools": []}', '{"serviceTier": "priority"}', '{"generationConfig": {"max_output_tokens": 99999}}',
    '{"generation_config": {"candidate_count": 8}}', '{"generationConfig": {"service_tier": "priority"}}',
])  # fmt: skip
@pytest.mark.parametrize("mode", UnsupportedFields)
def test_fields_of_the_contract_and_of_the_price_are_never_set_by_others(extra, mode):
    if extra.startswith('{"serviceTier"') and mode is DROP:
        assert "serviceTier" not in body(asked(extra_json=extra), unsupported=mode)
        return
    assert refusal(asked(extra_json=extra), unsupported=mode).kind is FailureKind.UNSUPPORTED


def test_unknown_fields_go_by_the_policy():
    value = asked(extra_json='{"whatever": 1}')
    assert refusal(value).parameter == "input.extra_json.whatever"
    assert sent(value, unsupported=DROP)[1] == ("whatever",)
    assert body(value, unsupported=PASS)["whatever"] == 1
    assert body(value, manner=Manner(passthrough=True))["whatever"] == 1


def test_a_tier_is_asked_for_where_tiers_have_prices():
    told = body(asked(extra_json='{"service_tier":"priority"}'), manner=Manner(service_tiers=True))
    assert told["serviceTier"] == "priority"


def test_what_is_blocked_is_the_configuration_s_to_say_where_it_says_it():
    extra = '{"safetySettings": [{"category":"A","threshold":"OFF"}]}'
    assert body(asked(extra_json=extra))["safetySettings"] == [{"category": "A", "threshold": "OFF"}]
    manner = Manner({"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"})
    assert refusal(asked(extra_json=extra), manner=manner).kind is FailureKind.UNSUPPORTED


def test_hints_are_left_out_and_told():
    assert sent(asked(hints_json='{"user":"u","store":false}'))[1] == ("user",)


@given(st.data())
def test_the_same_request_is_the_same_bytes(data):
    text = st.text(max_size=8)
    parts = data.draw(st.lists(st.builds(Text, text=text) | st.builds(Reasoning, text=text, signature=st.binary(max_size=4)),
                               max_size=4))  # fmt: skip
    value = asked(user(), model(*parts, calls=(call("a"),)), result("a", Text(text=data.draw(text))))
    first = sent(value)[0]
    assert first == sent(replace(value, model="other"))[0]
    json.loads(first)
