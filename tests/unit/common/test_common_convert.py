"""The vocabulary and its wire form say the same: nothing is lost or bent on the way."""

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from penstock.llm.v1 import generation_pb2 as gen
from penstock.llm.v1 import message_pb2 as msg
from penstock_common.llm import convert
from penstock_common.llm import types as t

uint32 = st.integers(0, 2**32 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
double = st.floats(allow_nan=False)
float32 = st.floats(allow_nan=False, width=32)
text = st.text(max_size=20)
some_text = st.text(min_size=1, max_size=20)
binary = st.binary(max_size=20)
flag = st.booleans()
optional_flag = st.none() | flag


def tuples_of(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


parts = st.one_of(
    st.builds(t.Text, text=text, cache_breakpoint=flag),
    st.builds(t.Image, url=some_text, media_type=text, detail=text, cache_breakpoint=flag),
    st.builds(t.Image, data=binary, media_type=text, detail=text, cache_breakpoint=flag),
    st.builds(t.File, name=text, media_type=text, data=binary, cache_breakpoint=flag),
    st.builds(t.Reasoning, text=text, signature=binary, hidden=binary, origin=text, cache_breakpoint=flag),
    st.builds(t.Opaque, format=text, json=text, cache_breakpoint=flag),
)
messages = st.builds(
    t.Message,
    role=st.sampled_from(t.Role),
    parts=tuples_of(parts),
    tool_calls=tuples_of(st.builds(t.ToolCall, id=text, name=text, arguments_json=text)),
    tool_call_id=text,
    name=text,
)
samplings = st.builds(
    t.SamplingParams,
    temperature=st.none() | double,
    top_p=st.none() | double,
    top_k=st.none() | uint32,
    max_output_tokens=st.none() | uint32,
    stop=tuples_of(text),
    seed=st.none() | int64,
    frequency_penalty=st.none() | double,
    presence_penalty=st.none() | double,
    reasoning_effort=text,
    top_logprobs=st.none() | uint32,
)
inputs = st.builds(
    t.GenerationInput,
    model=text,
    messages=tuples_of(messages),
    tools=tuples_of(st.builds(t.Tool, name=text, description=text, parameters_json=text, strict=optional_flag)),
    tool_choice=st.none()
    | st.builds(
        t.ToolChoice, mode=st.none() | st.sampled_from(t.ToolChoiceMode), tool_name=text, parallel=optional_flag
    ),
    sampling=samplings,
    response_format=st.none()
    | st.builds(t.JsonObject)
    | st.builds(t.JsonSchema, name=text, schema_json=text, strict=optional_flag, description=text),
    extra_json=text,
)
candidates = st.builds(t.Candidate, upstream=text, model=text)
plans = st.builds(
    t.Plan,
    candidates=tuples_of(candidates),
    reason=text,
    decision=st.none()
    | st.builds(
        t.Decision,
        model=text,
        by=text,
        task=text,
        complexity=text,
        task_confidence=float32,
        complexity_confidence=float32,
        abstains=st.booleans(),
        by_vector=st.booleans(),
        classifier=text,
        passed_over=tuples_of(text),
    ),
)
prices = st.builds(t.UnitPrices, input_nano_usd=int64, cached_input_nano_usd=int64, output_nano_usd=int64)
usages = st.builds(
    t.Usage,
    input_tokens=uint32,
    output_tokens=uint32,
    cached_input_tokens=uint32,
    cache_write_input_tokens=uint32,
    reasoning_tokens=uint32,
    estimated=flag,
)
events = st.one_of(
    st.builds(t.Started, generation_id=text, answered_by=candidates, unit_prices=prices),
    st.builds(t.TextDelta, text=text),
    st.builds(t.ReasoningDelta, text=text, signature=binary),
    st.builds(t.ToolCallDelta, index=uint32, id=text, name=text, arguments_json_fragment=text),
    usages,
    st.builds(
        t.Finished,
        reason=st.sampled_from(t.FinishReason),
        answered_by=candidates,
        matched_stop=text,
        attempts=uint32,
        cost_nano_usd=int64,
        unit_prices=prices,
    ),
)
ROUND_TRIPS = [
    (parts, convert.part_to_proto, convert.part_from_proto),
    (messages, convert.message_to_proto, convert.message_from_proto),
    (inputs, convert.input_to_proto, convert.input_from_proto),
    (candidates, convert.candidate_to_proto, convert.candidate_from_proto),
    (plans, convert.plan_to_proto, convert.plan_from_proto),
    (usages, convert.usage_to_proto, convert.usage_from_proto),
    (events, convert.event_to_proto, convert.event_from_proto),
]


@pytest.mark.parametrize(
    ("values", "to_proto", "from_proto"), ROUND_TRIPS, ids=lambda value: getattr(value, "__name__", "")
)
@given(data=st.data())
def test_a_value_comes_back_as_it_was(values, to_proto, from_proto, data):
    value = data.draw(values)
    proto = to_proto(value)
    again = from_proto(type(proto).FromString(proto.SerializeToString()))
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("values", "to_proto", "from_proto"), ROUND_TRIPS, ids=lambda value: getattr(value, "__name__", "")
)
@given(data=st.data())
def test_a_message_comes_back_as_it_was(values, to_proto, from_proto, data):
    proto = to_proto(data.draw(values))
    assert to_proto(from_proto(proto)) == proto


@pytest.mark.parametrize(
    ("value", "proto"),
    [(t.GenerationInput, gen.GenerationInput), (t.SamplingParams, gen.SamplingParams), (t.Message, msg.Message)]
    + [(t.Tool, msg.Tool), (t.ToolCall, msg.ToolCall), (t.ToolChoice, msg.ToolChoice), (t.Usage, gen.TokenUsage)]
    + [(t.Started, gen.GenerationStarted), (t.Finished, gen.GenerationFinished), (t.Plan, gen.Plan)]
    + [(t.JsonSchema, gen.JsonSchema), (t.UnitPrices, gen.UnitPrices), (t.RequestContext, gen.RequestContext)]
    + [(t.TextDelta, gen.TextDelta), (t.ReasoningDelta, gen.ReasoningDelta), (t.ToolCallDelta, gen.ToolCallDelta)]
    + [(t.Candidate, gen.Candidate), (t.Decision, gen.Decision)],
    ids=lambda value: value.__name__,
)
def test_a_value_has_every_field_of_its_message(value, proto):
    assert set(value.__struct_fields__) == {field.name for field in proto.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("enum", "descriptor", "prefix"),
    [
        (t.Role, msg.Role.DESCRIPTOR, "ROLE_"),
        (t.FinishReason, gen.FinishReason.DESCRIPTOR, "FINISH_REASON_"),
        (t.ToolChoiceMode, msg.ToolChoice.Mode.DESCRIPTOR, "MODE_"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_enum_has_every_value_of_the_contracts(enum, descriptor, prefix):
    named = {value.name.removeprefix(prefix) for value in descriptor.values} - {"UNSPECIFIED"}
    assert {member.name for member in enum} == named


@pytest.mark.parametrize("number", [0, 99])
def test_a_turn_without_a_role_that_is_known_is_refused_with_its_place(number):
    turn = msg.Message(role=msg.ROLE_USER)
    odd = msg.Message()
    # An open enum takes what a newer version sends.
    odd.role = number
    with pytest.raises(convert.UnknownRoleError, match=r"^messages\[2\]\.role$") as caught:
        convert.input_from_proto(gen.GenerationInput(messages=[turn, turn, odd, turn]))
    assert caught.value.index == 2


def test_an_event_without_a_case_is_refused():
    with pytest.raises(ValueError, match="without an event"):
        convert.event_from_proto(gen.GenerationEvent())


def test_what_a_newer_version_names_is_read_as_unset():
    choice = gen.GenerationInput()
    choice.tool_choice.mode = 99
    assert convert.input_from_proto(choice).tool_choice == t.ToolChoice()


def test_an_unknown_finish_reason_never_passes_for_a_stop():
    finished = gen.GenerationEvent()
    finished.finished.reason = 99
    with pytest.raises(ValueError, match="finish reason"):
        convert.event_from_proto(finished)


def test_a_part_with_nothing_set_reads_as_empty_text():
    assert convert.part_from_proto(msg.ContentPart()) == t.Text(text="")


def test_a_field_set_to_its_default_is_not_unset():
    value = t.SamplingParams(temperature=0.0, seed=0, top_k=0, top_logprobs=0)
    proto = convert.input_to_proto(t.GenerationInput(model="m", messages=(), sampling=value))
    assert convert.input_from_proto(proto).sampling == value
    unset = convert.input_from_proto(gen.GenerationInput(model="m"))
    assert unset.sampling == t.SamplingParams()
    assert unset.tool_choice is unset.response_format is None


def test_a_request_context_is_read():
    proto = json_format.ParseDict({"user": "u", "feature": "f", "tags": {"a": "b"}}, gen.RequestContext())
    assert convert.context_from_proto(proto) == t.RequestContext(user="u", feature="f", tags={"a": "b"})
