"""Every bound of the contract: one below, at, one above."""

from __future__ import annotations

import math

import pytest

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import (
    File,
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
from penstock_gateway.domain.life.validation import validate_context, validate_input

USER = Message(role=Role.USER, parts=(Text(text="Hi"),))
CALL = ToolCall(id="c", name="n", arguments_json="{}")
TOOL = Tool(name="weather")
HUGE = 10**400


def turn_with(extra_json, extra_of_call=""):
    call = ToolCall(id="c", name="n", arguments_json="{}", extra_json=extra_of_call)
    return Message(role=Role.ASSISTANT, parts=(Reasoning(extra_json=extra_json),), tool_calls=(call,))


def assert_verdict(check, value, field):
    """``field`` empty: it passes; else it is refused by that name."""
    if not field:
        check(value)
        return
    with pytest.raises(InvalidRequest) as refused:
        check(value)
    assert refused.value.field == field
    assert field in refused.value.message, "a surface puts its own path there"


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"model": ""}, "input.model"),
        ({"model": "m"}, ""),
        ({"model": "m" * 128}, ""),
        ({"model": "m" * 129}, "input.model"),
        ({"messages": ()}, "input.messages"),
        ({"messages": (USER,) * 2048}, ""),
        ({"messages": (USER,) * 2049}, "input.messages"),
        ({"messages": (turn_with("x" * 1024 * 1024),)}, ""),
        ({"messages": (turn_with("x" * (1024 * 1024 + 1)),)}, "input.messages[0].parts[0].reasoning.extra_json"),
        ({"messages": (turn_with("", "x" * 1024 * 1024),)}, ""),
        ({"messages": (turn_with("", "x" * (1024 * 1024 + 1)),)}, "input.messages[0].tool_calls[0].extra_json"),
        ({"tools": tuple(Tool(name=f"t{number}") for number in range(128))}, ""),
        ({"tools": tuple(Tool(name=f"t{number}") for number in range(129))}, "input.tools"),
        ({"tools": (Tool(name=""),)}, "input.tools[0].name"),
        ({"tools": (Tool(name="t" * 64),)}, ""),
        ({"tools": (Tool(name="t" * 65),)}, "input.tools[0].name"),
        ({"tools": (TOOL, Tool(name="other"), TOOL)}, "input.tools[2].name"),
        ({"tools": (Tool(name="t", parameters_json='{"type":"object"}'),)}, ""),
        ({"tools": (Tool(name="t", parameters_json="[]"),)}, "input.tools[0].parameters_json"),
        ({"tools": (Tool(name="t", parameters_json="{"),)}, "input.tools[0].parameters_json"),
        ({"tools": (Tool(name="t", parameters_json="[" * 100_000),)}, "input.tools[0].parameters_json"),
        ({"response_format": JsonObject()}, ""),
        ({"response_format": JsonSchema(name="")}, "input.response_format.json_schema.name"),
        ({"response_format": JsonSchema(name="s" * 64)}, ""),
        ({"response_format": JsonSchema(name="s" * 65)}, "input.response_format.json_schema.name"),
        ({"response_format": JsonSchema(name="s", schema_json="7")}, "input.response_format.json_schema.schema_json"),
        ({"extra_json": '{"x": 1}'}, ""),
        ({"extra_json": "1"}, "input.extra_json"),
        ({"extra_json": "nope"}, "input.extra_json"),
    ],
    ids=str,
)
def test_shape_of_the_request(ask, parts, field):
    assert_verdict(validate_input, ask(**parts), field)


@pytest.mark.parametrize("filler", ["x", "ä"])
@pytest.mark.parametrize(
    ("excess_bytes", "field"), [(-1, ""), (0, ""), (1, "input.extra_json"), (2, "input.extra_json")]
)
def test_schema_is_bounded_in_bytes(ask, filler, excess_bytes, field):
    size = 256 * 1024 + excess_bytes - len('{"a":""}')
    width = len(filler.encode())
    text = '{"a":"' + filler * (size // width) + "x" * (size % width) + '"}'
    assert len(text.encode()) == 256 * 1024 + excess_bytes
    assert_verdict(validate_input, ask(extra_json=text), field)


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("temperature", [0, 0.0, 1, 2, 2.0], [-0.01, 2.01, HUGE]),
        ("top_p", [0, 0.0001, 0.5, 1], [-0.1, 1.0001, HUGE]),
        ("top_k", [1, 2**32 - 1], [0, -1, 2**32, HUGE]),
        ("max_output_tokens", [1, 2**32 - 1], [0, -1, 2**32, HUGE]),
        ("frequency_penalty", [-2, 0, 2], [-2.01, 2.01, HUGE]),
        ("presence_penalty", [-2, 0, 2], [-2.01, 2.01, HUGE]),
        ("top_logprobs", [0, 20], [-1, 21, HUGE]),
        ("seed", [-(2**63), 0, 2**63 - 1], [-(2**63) - 1, 2**63, HUGE, -HUGE]),
        ("reasoning_effort", ["", "none", "minimal", "low", "medium", "high", "xhigh", "max"], ["LOW", "very", " low"]),
    ],
)
def test_sampling_is_within_bounds(ask, name, accepted, refused):
    for value in accepted:
        validate_input(ask(sampling=SamplingParams(**{name: value})))
    for value in refused:
        assert_verdict(validate_input, ask(sampling=SamplingParams(**{name: value})), f"input.sampling.{name}")


@pytest.mark.parametrize("name", ["temperature", "top_p", "frequency_penalty", "presence_penalty"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_none_is_refused(ask, name, value):
    assert_verdict(validate_input, ask(sampling=SamplingParams(**{name: value})), f"input.sampling.{name}")


@pytest.mark.parametrize(
    ("stop", "field"),
    [
        (("x",) * 8, ""),
        (("x",) * 9, "input.sampling.stop"),
        (("x", "x" * 256), ""),
        (("x", "x" * 257), "input.sampling.stop[1]"),
        (("",), "input.sampling.stop[0]"),
    ],
    ids=str,
)
def test_stops_are_few_and_short(ask, stop, field):
    assert_verdict(validate_input, ask(sampling=SamplingParams(stop=stop)), field)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Message(role=Role.USER, parts=(Text(text=""),)), ""),
        (Message(role=Role.USER, parts=(Text(text="x"),) * 256), ""),
        (Message(role=Role.USER, parts=(Text(text="x"),) * 257), "input.messages[1].parts"),
        (Message(role=Role.USER), "input.messages[1].parts"),
        (Message(role=Role.ASSISTANT), "input.messages[1].parts"),
        (Message(role=Role.ASSISTANT, tool_calls=(CALL,)), ""),
        (Message(role=Role.USER, tool_calls=(CALL,)), "input.messages[1].tool_calls"),
        (Message(role=Role.TOOL, tool_call_id="c"), ""),
        (Message(role=Role.TOOL, parts=(Text(text="x"),)), "input.messages[1].tool_call_id"),
        (Message(role=Role.USER, parts=(Text(text="x"),), tool_call_id="c"), "input.messages[1].tool_call_id"),
        (Message(role=Role.ASSISTANT, parts=(Reasoning(text="hm"),)), ""),
        (Message(role=Role.USER, parts=(File(data=b"x"),)), ""),
        (Message(role=Role.USER, parts=(File(),)), "input.messages[1].parts[0].file.data"),
    ],
    ids=str,
)
def test_turn_says_something_that_its_role_may_say(ask, message, field):
    assert_verdict(validate_input, ask(messages=(USER, message)), field)


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (Image(url="https://x/y.png"), ""),
        (Image(url="http://x/y.png", detail="high"), ""),
        (Image(url="file:///etc/passwd"), "image.url"),
        (Image(url="data:image/png;base64,AAAA"), "image.url"),
        (Image(url="HTTPS://x"), "image.url"),
        (Image(), "image"),
        (Image(url="https://x", data=b"x", media_type="image/png"), "image"),
        (Image(data=b"x", media_type="image/webp"), ""),
        (Image(data=b"x", media_type="image/jpg"), ""),
        (Image(data=b"\x89PNG\r\n\x1a\n", media_type="application/octet-stream"), ""),
        (Image(data=b"x", media_type="image/svg+xml"), "image.media_type"),
        (Image(data=b"x"), "image.media_type"),
        (Image(url="https://x", detail="original"), ""),
        (Image(url="https://x", detail="max"), "image.detail"),
    ],
    ids=str,
)
def test_image_has_one_source_of_a_known_kind(ask, image, part):
    turn = Message(role=Role.USER, parts=(Text(text="look"), image))
    assert_verdict(validate_input, ask(messages=(turn,)), part and f"input.messages[0].parts[1].{part}")


@pytest.mark.parametrize(
    ("choice", "tools", "is_valid"),
    [
        (ToolChoice(), (), True),
        (ToolChoice(mode=ToolChoiceMode.AUTO), (), True),
        (ToolChoice(mode=ToolChoiceMode.NONE), (), True),
        (ToolChoice(mode=ToolChoiceMode.REQUIRED), (), False),
        (ToolChoice(mode=ToolChoiceMode.REQUIRED), (TOOL,), True),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="weather"), (), False),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="weather"), (TOOL,), True),
        (ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="time"), (TOOL,), False),
        (ToolChoice(mode=ToolChoiceMode.NAMED), (TOOL,), False),
    ],
    ids=str,
)
def test_tool_choice_needs_its_tools(ask, choice, tools, is_valid):
    assert_verdict(validate_input, ask(tool_choice=choice, tools=tools), "" if is_valid else "input.tool_choice")


def tags(count=1, key="k", value="v"):
    return {f"{number:02d}{key}": value for number in range(count)}


@pytest.mark.parametrize(
    ("context", "field"),
    [
        (RequestContext(), ""),
        (RequestContext(user="u" * 256), ""),
        (RequestContext(user="u" * 257), "context.user"),
        (RequestContext(feature="f" * 64), ""),
        (RequestContext(feature="f" * 65), "context.feature"),
        (RequestContext(tags=tags(16)), ""),
        (RequestContext(tags=tags(17)), "context.tags"),
        (RequestContext(tags=tags(key="k" * 62)), ""),
        (RequestContext(tags=tags(key="k" * 63)), "context.tags"),
        (RequestContext(tags={"": "v"}), "context.tags"),
        (RequestContext(tags={"k": "v" * 512}), ""),
        (RequestContext(tags={"k": "v" * 513}), "context.tags[k]"),
    ],
    ids=str,
)
def test_context_fits_the_ledger(context, field):
    assert_verdict(validate_context, context, field)


@pytest.mark.parametrize("nul", ["\x00", "a\x00b"])
def test_nul_is_refused_where_the_ledger_would_keep_it(ask, nul):
    # PostgreSQL's text cannot hold it.
    assert_verdict(validate_input, ask(model=nul), "input.model")
    assert_verdict(validate_context, RequestContext(user=nul), "context.user")
    assert_verdict(validate_context, RequestContext(feature=nul), "context.feature")
    assert_verdict(validate_context, RequestContext(tags={nul: "v"}), "context.tags")
    assert_verdict(validate_context, RequestContext(tags={"k": nul}), "context.tags[k]")


def test_message_names_the_field_and_the_bound(ask):
    with pytest.raises(InvalidRequest, match=r"^input\.sampling\.temperature must be between 0 and 2, not 3\.$"):
        validate_input(ask(sampling=SamplingParams(temperature=3)))
