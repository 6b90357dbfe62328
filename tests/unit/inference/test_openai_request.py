"""The body that an upstream speaking OpenAI's format receives."""

from __future__ import annotations

import base64
import json
from dataclasses import replace as with_fields
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
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

OPENAI = DIALECTS["openai"]
COMPATIBLE = DIALECTS["openai_compatible"]
VLLM = DIALECTS["vllm"]
# Key order, number form and escapes that a parser would not keep.
SCHEMA = '{"type": "object", "z": 1.0, "a": 1e2, "é": "\\u00e9", "z": 2}'


def user(*parts: Any) -> Message:
    """Return a user's turn."""
    return Message(role=Role.USER, parts=parts)


QUESTION = GenerationInput(model="fast", messages=(user(Text(text="Hi?")),))


def body(value: GenerationInput, dialect: Dialect = COMPATIBLE) -> dict[str, Any]:
    """Return the decoded body."""
    return json.loads(body_from_input(value, "m", dialect))


def content(*parts: Any, dialect: Dialect = COMPATIBLE) -> Any:
    """Return the content of a user's turn with these parts."""
    return body(replace(QUESTION, messages=(user(*parts),)), dialect)["messages"][0]["content"]


def refused(value: GenerationInput, dialect: Dialect = COMPATIBLE) -> AttemptFailed:
    """Return the refusal of a value."""
    with pytest.raises(AttemptFailed) as failed:
        body_from_input(value, "m", dialect)
    return failed.value


def test_the_least_body_asks_for_a_stream_and_usage() -> None:
    assert body(QUESTION) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_every_sampling_parameter_is_passed_on() -> None:
    sampling = SamplingParams(
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        max_output_tokens=9,
        stop=("a", "b"),
        seed=-1,
        frequency_penalty=0.25,
        presence_penalty=-0.5,
        reasoning_effort="low",
    )
    sent = body(replace(QUESTION, sampling=sampling))
    del sent["model"], sent["messages"], sent["stream"], sent["stream_options"]
    assert sent == {
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "max_tokens": 9,
        "stop": ["a", "b"],
        "seed": -1,
        "frequency_penalty": 0.25,
        "presence_penalty": -0.5,
        "reasoning_effort": "low",
    }


def test_openai_takes_max_completion_tokens() -> None:
    sent = body(replace(QUESTION, sampling=SamplingParams(max_output_tokens=9)), OPENAI)
    assert sent["max_completion_tokens"] == 9
    assert "max_tokens" not in sent


def test_schemas_go_verbatim() -> None:
    value = replace(
        QUESTION,
        tools=(Tool(name="f", description="d", parameters_json=SCHEMA, strict=True),),
        response_format=JsonSchema(name="n", schema_json=SCHEMA, strict=False, description="e"),
    )
    raw = body_from_input(value, "m", COMPATIBLE).decode()
    assert raw.count(SCHEMA) == 2
    sent = json.loads(raw)
    assert sent["tools"][0]["function"] | {"parameters": None} == {
        "name": "f", "description": "d", "strict": True, "parameters": None,
    }  # fmt: skip
    assert sent["response_format"]["type"] == "json_schema"
    assert sent["response_format"]["json_schema"] | {"schema": None} == {
        "name": "n", "description": "e", "strict": False, "schema": None,
    }  # fmt: skip


@pytest.mark.parametrize("schema", ['{}},"model":"dear"', "{", "", "nul"])
def test_a_schema_that_is_not_one_json_value_cannot_break_out(schema: str) -> None:
    value = replace(QUESTION, tools=(Tool(name="f", parameters_json=schema or " "),))
    assert refused(value).kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(mode=ToolChoiceMode.AUTO), {"tool_choice": "auto"}),
        (ToolChoice(mode=ToolChoiceMode.NONE), {"tool_choice": "none"}),
        (ToolChoice(mode=ToolChoiceMode.REQUIRED, parallel=False),
         {"tool_choice": "required", "parallel_tool_calls": False}),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="f"),
         {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (ToolChoice(parallel=True), {"parallel_tool_calls": True}),
    ],
)  # fmt: skip
def test_tool_choice(choice: ToolChoice, sent: dict[str, Any]) -> None:
    made = body(replace(QUESTION, tool_choice=choice))
    assert {name: made[name] for name in made if "tool" in name} == sent


def test_json_object() -> None:
    assert body(replace(QUESTION, response_format=JsonObject()))["response_format"] == {"type": "json_object"}


def test_a_conversation_with_tool_calls() -> None:
    messages = (
        Message(role=Role.DEVELOPER, parts=(Text(text="Be brief."),)),
        Message(
            role=Role.ASSISTANT,
            parts=(Reasoning(text="Hm."),),
            tool_calls=(ToolCall(id="c1", name="f", arguments_json='{"a": 1'),),
        ),
        Message(role=Role.TOOL, parts=(Text(text="42"),), tool_call_id="c1", name="f"),
    )
    assert body(replace(QUESTION, messages=messages))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1'}}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "f"},
    ]


def test_openai_knows_the_developer() -> None:
    value = replace(QUESTION, messages=(Message(role=Role.DEVELOPER, parts=(Text(text="x"),)),))
    assert body(value, OPENAI)["messages"][0]["role"] == "developer"


def test_images_inline_become_data_urls() -> None:
    assert content(Text(text="What?"), Image(data=b"\x00\x01", media_type="image/png", detail="low")) == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE=", "detail": "low"}},
    ]


def test_large_data_is_written_only_as_it_is_sent() -> None:
    first, second = b"\x89PNG\r\n\x1a\n" + bytes(300_001), b"\xff\xd8\xff" + bytes(100_000)
    small = Image(data=b"\x00\x01", media_type="image/png")
    turns = (user(Image(data=first), small), user(Text(text="And?"), Image(data=second, detail="low")))
    sent = body_from_input(replace(QUESTION, messages=turns), "m", COMPATIBLE)
    assert isinstance(sent, BodyWithData)
    written = b"".join(sent.pieces())
    assert len(sent) == len(written)
    one, other = (turn["content"] for turn in json.loads(written)["messages"])
    assert [part["image_url"]["url"] for part in one] == [
        "data:image/png;base64," + base64.b64encode(first).decode(),
        "data:image/png;base64,AAE=",
    ]
    url = "data:image/jpeg;base64," + base64.b64encode(second).decode()
    assert other[1] == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def test_a_large_file_is_written_only_as_it_is_sent() -> None:
    file = File(name="a.pdf", media_type="application/pdf", data=bytes(200_000))
    sent = body_from_input(replace(QUESTION, messages=(user(file),)), "m", OPENAI)
    assert isinstance(sent, BodyWithData)
    data = json.loads(b"".join(sent.pieces()))["messages"][0]["content"][0]["file"]["file_data"]
    assert data == "data:application/pdf;base64," + base64.b64encode(file.data).decode()


def test_a_url_goes_to_openai_and_to_nobody_inside_our_network() -> None:
    image = Image(url="http://169.254.169.254/x.png")
    assert content(image, dialect=OPENAI) == [{"type": "image_url", "image_url": {"url": image.url}}]
    for dialect in (VLLM, DIALECTS["ollama"], COMPATIBLE):
        failure = refused(replace(QUESTION, messages=(user(image),)), dialect)
        assert (failure.kind, failure.parameter) == (FailureKind.UNSUPPORTED, "input.messages[0].parts[0].image.url")


def test_files_go_to_openai_only() -> None:
    file = File(name="a.pdf", media_type="application/pdf", data=b"%")
    assert content(file, dialect=OPENAI) == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JQ=="}}
    ]
    assert refused(replace(QUESTION, messages=(user(file),))).parameter == "input.messages[0].parts[0].file"


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        (SamplingParams(top_logprobs=2), {"logprobs": True, "top_logprobs": 2}),
        (SamplingParams(top_logprobs=0), {"logprobs": True}),
        (SamplingParams(choices=3), {"n": 3}),
        (SamplingParams(choices=1), {}),
    ],
)
def test_several_answers_and_their_probabilities_are_asked_for(sampling: SamplingParams, sent: dict[str, Any]) -> None:
    asked = body(replace(QUESTION, sampling=sampling), OPENAI)
    assert {name: asked[name] for name in ("n", "logprobs", "top_logprobs") if name in asked} == sent
    if sent:
        failure = refused(replace(QUESTION, sampling=sampling), DIALECTS["ollama"])
        assert failure.kind is FailureKind.UNSUPPORTED
        # One answer is not several: what the caller reads would not be there.
        assert failure.may_be_dropped is ("n" not in sent)


def test_a_top_p_of_0_is_sent_as_what_the_server_takes() -> None:
    value = replace(QUESTION, sampling=SamplingParams(top_p=0))
    assert body(value, OPENAI)["top_p"] == 0
    assert body(value, VLLM)["top_p"] == 1e-6


HINTS = json.dumps({"user": "u", "metadata": {"a": "b"}, "safety_identifier": "s", "store": False})


def test_hints_go_to_those_that_take_them_and_are_noted_elsewhere() -> None:
    value = replace(QUESTION, hints_json=HINTS)
    assert {name: body(value, OPENAI).get(name) for name in json.loads(HINTS)} == json.loads(HINTS)
    policy = FieldPolicy()
    sent = json.loads(body_from_input(value, "m", COMPATIBLE, policy))
    assert not sent.keys() & json.loads(HINTS).keys()
    # Nobody stores who does not know of it.
    assert policy.dropped == ("user", "metadata", "safety_identifier")


def test_what_is_no_hint_does_not_pass_for_one() -> None:
    value = replace(QUESTION, hints_json='{"logit_bias": {"1": 5}}')
    assert refused(value, OPENAI).parameter == "input.hints_json.logit_bias"


@pytest.mark.parametrize("name", ["logit_bias", "verbosity", "prediction", "reasoning", "web_search_options"])
def test_openai_takes_its_own_fields(name: str) -> None:
    value = replace(QUESTION, extra_json=json.dumps({name: {"x": 1}}))
    assert body(value, OPENAI)[name] == {"x": 1}


def test_a_service_tier_has_a_price_and_is_no_field_like_others() -> None:
    value = replace(QUESTION, extra_json='{"service_tier": "priority"}')
    assert refused(value, OPENAI).may_be_dropped
    policy = FieldPolicy(UnsupportedFields.DROP)
    assert "service_tier" not in json.loads(body_from_input(value, "m", OPENAI, policy))
    assert policy.dropped == ("service_tier",)
    with pytest.raises(AttemptFailed):
        body_from_input(value, "m", OPENAI, FieldPolicy(UnsupportedFields.PASS))


@pytest.mark.parametrize("mode", [UnsupportedFields.DROP, UnsupportedFields.PASS])
def test_what_a_server_does_not_take_is_left_out_or_sent_all_the_same(mode: UnsupportedFields) -> None:
    value = replace(QUESTION, sampling=SamplingParams(top_k=3, top_logprobs=0), extra_json='{"min_p": 0.1}')
    policy = FieldPolicy(mode)
    sent = json.loads(body_from_input(value, "m", DIALECTS["ollama"], policy))
    if mode is UnsupportedFields.DROP:
        assert not sent.keys() & {"top_k", "logprobs", "min_p"}
        assert policy.dropped == ("top_k", "logprobs", "min_p")
    else:
        assert (sent["top_k"], sent["logprobs"], sent["min_p"], policy.dropped) == (3, True, 0.1, ())


CUSTOM = Tool(name="run", description="Runs.", custom_json='{"type":"text"}')
LOOK = Tool(name="look")


def test_a_custom_tool_its_choice_and_its_call_are_openais() -> None:
    call = Message(
        role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="run", arguments_json="ls -l", is_custom=True),)
    )
    value = replace(
        QUESTION,
        tools=(CUSTOM, LOOK),
        tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="run"),
        messages=(*QUESTION.messages, call, Message(role=Role.TOOL, parts=(Text(text="ok"),), tool_call_id="c")),
    )
    sent = body(value, OPENAI)
    assert sent["tools"][0] == {
        "type": "custom", "custom": {"name": "run", "description": "Runs.", "format": {"type": "text"}}
    }  # fmt: skip
    assert sent["tool_choice"] == {"type": "custom", "custom": {"name": "run"}}
    assert sent["messages"][1]["tool_calls"] == [
        {"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}
    ]
    assert refused(value, VLLM).parameter == "input.tools[0].custom_json"


def test_allowed_tools_are_named_where_that_is_known_and_alone_told_of_elsewhere() -> None:
    choice = ToolChoice(mode=ToolChoiceMode.REQUIRED, allowed_tools=("look",))
    value = replace(QUESTION, tools=(LOOK, Tool(name="other")), tool_choice=choice)
    sent = body(value, OPENAI)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["look", "other"]
    assert sent["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]},
    }
    sent = body(value, VLLM)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["look"]
    assert sent["tool_choice"] == "required"


def test_top_k_is_refused_by_openai() -> None:
    assert refused(replace(QUESTION, sampling=SamplingParams(top_k=2)), OPENAI).parameter == "input.sampling.top_k"


def test_extra_fields_are_merged_where_the_upstream_takes_them() -> None:
    value = replace(QUESTION, extra_json='{"min_p": 0.1}')
    for dialect in (VLLM, with_fields(COMPATIBLE, passthrough=True)):
        assert body(value, dialect)["min_p"] == 0.1


def test_extra_fields_are_refused_elsewhere() -> None:
    failure = refused(replace(QUESTION, extra_json='{"min_p": 0.1}'), COMPATIBLE)
    assert (failure.parameter, failure.may_be_dropped) == ("input.extra_json.min_p", True)


@pytest.mark.parametrize("field", ["model", "messages", "stream", "n", "max_tokens"])
def test_an_extra_field_never_replaces_one_of_ours(field: str) -> None:
    value = replace(QUESTION, extra_json=json.dumps({field: 7}))
    failure = refused(value, with_fields(VLLM, passthrough=True))
    assert (failure.parameter, failure.may_be_dropped) == (f"input.extra_json.{field}", False)


def test_extra_json_must_be_an_object() -> None:
    assert refused(replace(QUESTION, extra_json="[1]"), VLLM).kind is FailureKind.BAD_REQUEST


def test_a_server_without_stream_options_is_not_sent_any() -> None:
    assert "stream_options" not in body(QUESTION, Dialect(stream_options=False))


def turn_of(message: Message, dialect: Dialect = COMPATIBLE) -> dict[str, Any]:
    """Return the one turn as it is sent."""
    (turn,) = body(replace(QUESTION, messages=(message,)), dialect)["messages"]
    return turn


SIGNED = Message(
    role=Role.ASSISTANT,
    parts=(Reasoning(text="Hm.", extra_json='{"reasoning_details":[1.0],"stream":false}'), Text(text="Hi")),
    tool_calls=(
        ToolCall(id="a", name="f", arguments_json="{}", extra_json='{"extra_content":{"google":{}},"id":"x"}'),
        ToolCall(id="b", name="f", arguments_json="{}"),
    ),
)


def test_extras_go_where_they_came_from_and_set_nothing_else() -> None:
    turn = turn_of(SIGNED)
    first, second = turn.pop("tool_calls")
    assert turn == {"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "reasoning_details": [1.0]}
    assert (first["id"], first["extra_content"]) == ("a", {"google": {}})
    assert "extra_content" not in second


def test_servers_that_take_none_are_sent_none() -> None:
    turn = turn_of(SIGNED, OPENAI)
    assert turn.keys() == {"role", "content", "tool_calls"}
    assert all(call.keys() == {"id", "type", "function"} for call in turn["tool_calls"])


def test_what_is_lost_is_made_up_only_where_it_is() -> None:
    wanting = with_fields(COMPATIBLE, signed_calls=True, reasoned_turns=True)
    assert turn_of(SIGNED, wanting) == turn_of(SIGNED)
    plain = Message(role=Role.ASSISTANT, parts=(Text(text="Hi"),))
    assert turn_of(plain, wanting) == {"role": "assistant", "content": "Hi", "reasoning_content": ""}
    asked = Message(role=Role.USER, parts=(Text(text="Hi"),))
    assert turn_of(asked, wanting) == turn_of(asked)


@pytest.mark.parametrize("extra_json", ["{", "[]", "7", "{}x"])
def test_extras_that_are_no_object_are_a_bad_request(extra_json: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        turn_of(Message(role=Role.ASSISTANT, parts=(Reasoning(extra_json=extra_json),)))
    assert failed.value.kind is FailureKind.BAD_REQUEST


SAMPLING = SamplingParams(temperature=0.5, top_p=0.9, stop=("x",), seed=1, max_output_tokens=9, reasoning_effort="low")


def sampled(facts: ModelFacts, mode: UnsupportedFields) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body that a model of these facts is sent, and what was left out of it."""
    policy = FieldPolicy(mode)
    sent = body_from_input(replace(QUESTION, sampling=SAMPLING), "m", OPENAI, policy, facts=facts)
    return json.loads(sent), policy.dropped


def test_a_model_is_told_its_token_limit_in_the_field_that_it_has() -> None:
    sent, _ = sampled(ModelFacts(max_tokens_field="max_tokens"), UnsupportedFields.DROP)
    assert (sent["max_tokens"], "max_completion_tokens" in sent) == (9, False)


def test_sampling_that_a_model_does_not_take_is_left_out_and_told() -> None:
    sent, dropped = sampled(ModelFacts(sampling=frozenset({"stop", "seed"})), UnsupportedFields.DROP)
    assert (set(sent) & {"temperature", "top_p", "stop", "seed"}, dropped) == (
        {"stop", "seed"},
        ("temperature", "top_p"),
    )
    assert sent["max_completion_tokens"] == 9


def test_sampling_that_a_model_does_not_take_is_refused_where_nothing_may_be_left_out() -> None:
    with pytest.raises(AttemptFailed, match=r"temperature is not taken by this model") as caught:
        sampled(ModelFacts(sampling=frozenset()), UnsupportedFields.REFUSE)
    assert caught.value.kind is FailureKind.UNSUPPORTED


def test_sampling_that_a_model_does_not_take_is_sent_to_who_wants_it_so() -> None:
    sent, dropped = sampled(ModelFacts(sampling=frozenset()), UnsupportedFields.PASS)
    assert (sent["temperature"], sent["stop"], dropped) == (0.5, ["x"], ())


def test_sampling_beside_an_effort_is_left_out_where_the_model_takes_it_without_alone() -> None:
    facts = ModelFacts(sampling_without_effort=True, default_effort="none")
    assert "temperature" not in sampled(facts, UnsupportedFields.DROP)[0]
    plain = replace(QUESTION, sampling=SamplingParams(temperature=0.5))
    assert json.loads(body_from_input(plain, "m", OPENAI, facts=facts))["temperature"] == 0.5
