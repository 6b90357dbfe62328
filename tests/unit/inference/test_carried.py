"""What a request asks for is found, wherever it stands; and what its provider cannot be told is decided by the table."""

import pytest

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
from penstock_inference.adapters.providers.carried import HINT, NEVER, NO, YES, Use, blocks_of, left_out, uses_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.unsupported import FieldPolicy

HELLO = Message(role=Role.USER, parts=(Text(text="Hello"),))
ALL = dict.fromkeys(Use, YES)


def asked(*messages: Message, **more: object) -> GenerationInput:
    return GenerationInput(model="m", messages=messages or (HELLO,), **more)  # type: ignore[arg-type]


def of_parts(*parts: object, role: Role = Role.USER) -> GenerationInput:
    return asked(Message(role=role, parts=parts, tool_call_id="c" if role is Role.TOOL else ""))  # type: ignore[arg-type]


def sampled(**more: object) -> GenerationInput:
    return asked(sampling=SamplingParams(**more))  # type: ignore[arg-type]


def chosen(**more: object) -> GenerationInput:
    return asked(tool_choice=ToolChoice(**more), tools=(Tool(name="f"),))  # type: ignore[arg-type]


PART = "input.messages[0].parts[0]"
EXAMPLES = [
    (Use.TEMPERATURE, sampled(temperature=0.0), "input.sampling.temperature"),
    (Use.TOP_P, sampled(top_p=0.5), "input.sampling.top_p"),
    (Use.TOP_K, sampled(top_k=1), "input.sampling.top_k"),
    (Use.MAX_OUTPUT_TOKENS, sampled(max_output_tokens=1), "input.sampling.max_output_tokens"),
    (Use.STOP, sampled(stop=("x",)), "input.sampling.stop"),
    (Use.SEED, sampled(seed=0), "input.sampling.seed"),
    (Use.FREQUENCY_PENALTY, sampled(frequency_penalty=0.0), "input.sampling.frequency_penalty"),
    (Use.PRESENCE_PENALTY, sampled(presence_penalty=0.1), "input.sampling.presence_penalty"),
    (Use.REASONING_EFFORT, sampled(reasoning_effort="low"), "input.sampling.reasoning_effort"),
    (Use.LOGPROBS, sampled(top_logprobs=0), "input.sampling.top_logprobs"),
    (Use.CHOICES, sampled(choices=2), "input.sampling.choices"),
    (Use.TOOLS, asked(tools=(Tool(name="f"),)), "input.tools[0]"),
    (Use.CUSTOM_TOOLS, asked(tools=(Tool(name="f", custom_json="{}"),)), "input.tools[0].custom_json"),
    (Use.STRICT_TOOLS, asked(tools=(Tool(name="f", strict=True),)), "input.tools[0].strict"),
    (Use.TOOL_CHOICE_NONE, chosen(mode=ToolChoiceMode.NONE), "input.tool_choice"),
    (Use.TOOL_CHOICE_REQUIRED, chosen(mode=ToolChoiceMode.REQUIRED), "input.tool_choice"),
    (Use.TOOL_CHOICE_NAMED, chosen(mode=ToolChoiceMode.NAMED, tool_name="f"), "input.tool_choice"),
    (Use.ALLOWED_TOOLS, chosen(allowed_tools=("f",)), "input.tool_choice.allowed_tools"),
    (Use.PARALLEL_TOOLS, chosen(parallel=False), "input.tool_choice.parallel"),
    (Use.JSON_OBJECT, asked(response_format=JsonObject()), "input.response_format.json_object"),
    (Use.JSON_SCHEMA, asked(response_format=JsonSchema(name="a")), "input.response_format.json_schema"),
    (Use.IMAGE, of_parts(Image(data=b"x")), f"{PART}.image"),
    (Use.IMAGE_URL, of_parts(Image(url="https://a")), f"{PART}.image.url"),
    (Use.IMAGE_DETAIL, of_parts(Image(data=b"x", detail="low")), f"{PART}.image.detail"),
    (Use.FILE, of_parts(File(data=b"x")), f"{PART}.file"),
    (Use.FILE_URL, of_parts(File(url="https://a")), f"{PART}.file"),
    (Use.FILE_ID, of_parts(File(id="f")), f"{PART}.file"),
    (Use.CITATIONS, of_parts(File(data=b"x", with_citations=True)), f"{PART}.file.with_citations"),
    (Use.CITATIONS, of_parts(Text(text="x", citations_json="[1]"), role=Role.ASSISTANT), f"{PART}.citations_json"),
    (Use.REASONING, of_parts(Reasoning(text="x"), role=Role.ASSISTANT), f"{PART}.reasoning"),
    (Use.CACHE_BREAKPOINT, of_parts(Text(text="x", cache_breakpoint=True)), f"{PART}.cache_breakpoint"),
    (
        Use.CACHE_BREAKPOINT,
        asked(tools=(Tool(name="f", cache_breakpoint=True),)),
        "input.tools[0].cache_breakpoint",
    ),
    (Use.CACHE_TTL, of_parts(Text(text="x", cache_breakpoint=True, cache_ttl="1h")), f"{PART}.cache_ttl"),
    (Use.NAME, asked(Message(role=Role.USER, parts=HELLO.parts, name="ann")), "input.messages[0].name"),
    (Use.LATER_SYSTEM, asked(HELLO, Message(role=Role.SYSTEM, parts=HELLO.parts)), "input.messages[1]"),
    (
        Use.FAILED_CALL,
        asked(Message(role=Role.TOOL, tool_call_id="c", is_error=True)),
        "input.messages[0].is_error",
    ),
    (Use.IMAGE_OF_TOOL, of_parts(Image(data=b"x"), role=Role.TOOL), PART),
    (Use.PREFILL, asked(HELLO, Message(role=Role.ASSISTANT, parts=HELLO.parts)), "input.messages[1]"),
]


@pytest.mark.parametrize(("use", "value", "path"), EXAMPLES, ids=lambda value: getattr(value, "value", ""))
def test_every_use_is_found_by_its_path(use, value, path):
    assert uses_of(value)[use] == path
    assert use not in uses_of(asked())


def test_the_examples_have_every_use():
    assert {use for use, _, _ in EXAMPLES} == set(Use)


def test_a_leading_system_turn_and_one_choice_ask_for_nothing():
    system = Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),))
    assert uses_of(asked(system, system, HELLO, sampling=SamplingParams(choices=1))) == {}


@pytest.mark.parametrize("row", [NO, NEVER])
def test_what_a_provider_cannot_be_told_is_refused_by_its_path(row):
    with pytest.raises(AttemptFailed) as caught:
        left_out(sampled(seed=1), {**ALL, Use.SEED: row}, FieldPolicy())
    assert (caught.value.kind, caught.value.parameter) == (FailureKind.UNSUPPORTED, "input.sampling.seed")
    assert caught.value.may_be_dropped is (row is NO)


def test_what_is_dropped_is_left_out_and_said():
    policy = FieldPolicy(UnsupportedFields.DROP)
    assert left_out(sampled(seed=1, top_k=2), {**ALL, Use.SEED: NO}, policy) == {Use.SEED}
    assert policy.dropped == ("seed",)


def test_what_changes_the_question_is_never_dropped():
    with pytest.raises(AttemptFailed):
        left_out(sampled(choices=2), {**ALL, Use.CHOICES: NEVER}, FieldPolicy(UnsupportedFields.DROP))


def test_what_is_to_pass_is_not_left_out():
    assert left_out(sampled(seed=1), {**ALL, Use.SEED: NO}, FieldPolicy(UnsupportedFields.PASS)) == frozenset()


def test_what_has_no_effect_is_left_out_even_where_nothing_may_be_dropped():
    policy = FieldPolicy()
    value = of_parts(Text(text="x", cache_breakpoint=True))
    assert left_out(value, {**ALL, Use.CACHE_BREAKPOINT: HINT}, policy) == {Use.CACHE_BREAKPOINT}
    assert policy.dropped == ("cache breakpoint",)


def test_the_blocks_of_a_turn_come_in_their_order():
    thought, text = Reasoning(text="hm"), Text(text="so")
    ours, theirs = Opaque(format="anthropic", json="{}"), Opaque(format="gemini", json="{}")
    calls = (
        ToolCall(id="last", name="f", arguments_json="{}"),
        ToolCall(id="second", name="f", arguments_json="{}", parts_before=1),
        ToolCall(id="first", name="f", arguments_json="{}", parts_before=0),
        ToolCall(id="beyond", name="f", arguments_json="{}", parts_before=99),
    )
    message = Message(role=Role.ASSISTANT, parts=(thought, text, ours, theirs), tool_calls=calls)
    assert list(blocks_of(message, "anthropic")) == [2, thought, 1, text, ours, 0, 3]
