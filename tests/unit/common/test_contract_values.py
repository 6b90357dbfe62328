"""What the router and the cache are told of a conversation, instead of the conversation."""

import pytest

from penstock_common.contract.cache import probe_of
from penstock_common.contract.router import requirements_of
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
)


def asking(*turns, **fields):
    return GenerationInput(model="fast", messages=turns, **fields)


def user(*parts):
    return Message(role=Role.USER, parts=parts)


@pytest.mark.parametrize(
    ("request_", "capabilities"),
    [
        (asking(user(Text(text="Hi?"))), {"chat"}),
        (asking(user(Text(text="Hi?"), Image(data=b"x"))), {"chat", "vision"}),
        (asking(user(Text(text="Hi?")), tools=(Tool(name="f"),)), {"chat", "tools"}),
        (asking(user(Text(text="Hi?")), response_format=JsonSchema(name="a")), {"chat", "json_schema"}),
        (asking(user(Text(text="Hi?")), response_format=JsonObject()), {"chat"}),
        (
            asking(user(Image(url="https://a")), tools=(Tool(name="f"),), response_format=JsonSchema(name="a")),
            {"chat", "vision", "tools", "json_schema"},
        ),
        (asking(user(Image(url="https://a")), response_format=JsonObject()), {"chat", "vision"}),
    ],
)
def test_a_request_needs_what_it_uses(request_, capabilities):
    assert requirements_of(request_).capabilities == capabilities


@pytest.mark.parametrize(
    ("turns", "tokens"),
    [
        ((), 0),
        ((user(Text(text="x" * 7)),), 0),
        ((user(Text(text="x" * 8)),), 1),
        # In bytes, as tokenizers see it: three for each of these.
        ((user(Text(text="水" * 8)),), 3),
        ((user(Text(text="x" * 5)), Message(role=Role.ASSISTANT, parts=(Reasoning(text="y" * 5),))), 1),
        ((user(File(name="a.pdf", data=b"x" * 1000)),), 0),
        ((user(Text(text="\ud800" * 8)),), 1),
    ],
)
def test_the_least_tokens_are_a_lower_bound_of_the_text(turns, tokens):
    assert requirements_of(asking(*turns)).min_input_tokens == tokens


def test_a_probe_says_what_decides_whether_an_answer_may_be_cached():
    probe = probe_of(asking(user(Text(text="Hi?")), sampling=SamplingParams(temperature=0.5, max_output_tokens=7)))
    assert (probe.temperature, probe.max_output_tokens) == (0.5, 7)
    assert not probe.has_tools_in_flight
    assert not probe.refers_to_the_web
    assert len(probe.digest) == 32


@pytest.mark.parametrize(
    ("parts", "refers"),
    [
        ((Text(text="https://a"),), False),
        ((Image(url="https://a"),), True),
        ((Text(text="What?"), Image(url="https://a")), True),
        ((Image(url="data:image/png;base64,AA"), Text(text="What?")), False),
        ((Image(data=b"x"),), False),
        ((), False),
    ],
)
def test_a_probe_says_whether_the_web_may_change_it(parts, refers):
    assert probe_of(asking(user(Text(text="Hi?")), user(*parts))).refers_to_the_web is refers


@pytest.mark.parametrize(
    "turn",
    [
        Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="f", arguments_json="{}"),)),
        Message(role=Role.TOOL, parts=(Text(text="42"),), tool_call_id="c"),
    ],
)
def test_a_probe_says_whether_tools_are_in_flight(turn):
    assert probe_of(asking(user(Text(text="Hi?")), turn)).has_tools_in_flight
