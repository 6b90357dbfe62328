"""What a caller writes in a provider's own format reaches it so: through the surface, the contract on the wire, and the provider.

The documented differences (docs/requests.md, "What reaches a provider of the same format") are the rules below, and
nothing else may differ. What Penstock does not read is the same bytes; what it reads has the same value; what has come through once
comes through again byte for byte; and a longer conversation begins with the bytes of the shorter one, by which providers find what
they remember.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.convert.input import input_from_proto, input_to_proto
from penstock_common.llm.types import UnsupportedFields
from penstock_gateway.surfaces.wire_formats.anthropic import messages
from penstock_gateway.surfaces.wire_formats.openai import chat
from penstock_inference.adapters.providers.anthropic.request import Options, request_of
from penstock_inference.adapters.providers.openai.dialect import DIALECTS
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamCall

MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
EXAMPLES = 25

# JSON as people and libraries write it: numbers in every form, keys in any order, blanks, escapes. What is no 64-bit
# number is refused before anybody is asked, and says so.
NUMBERS = st.sampled_from(
    ["0", "-0", "1", "1.0", "1.50", "1e5", "1E+2", "-0.1e-7", "9007199254740993", "1.7976931348623157e308"]
)
TEXTS = st.sampled_from(['""', '"a"', '"\\u00e9"', '"é"', '"\\/"', '"\\ud83d\\ude00"', '"a\\nb"', '"model"'])
NAMES = st.sampled_from(['"a"', '"z"', '"model"', '"\\u0062"', '"messages"', '"é"'])
BLANKS = st.sampled_from(["", " ", "\t", "  "])


def _object(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(NAMES, BLANKS, inner).map(lambda one: f"{one[0]}{one[1]}:{one[1]}{one[2]}")
    pairs = st.lists(pair, max_size=3, unique_by=lambda text: json.loads("{" + text + "}").popitem()[0])
    return pairs.map(lambda each: "{" + ", ".join(each) + "}")


VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.sampled_from(["true", "false"])),
    lambda inner: (
        _object(inner | st.just("null")) | st.lists(inner, max_size=3).map(lambda all_: f"[{' ,'.join(all_)}]")
    ),
    max_leaves=6,
)
OBJECTS = _object(VALUES)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
# The last turn is the user's: an answer that is begun is for models that go on with one, and else told in other words.
TURNS = st.lists(WORDS, min_size=0, max_size=2).flatmap(
    lambda some: st.lists(WORDS, min_size=2 * len(some) + 1, max_size=2 * len(some) + 1)
)


def through_the_contract(value: Any) -> Any:
    return input_from_proto(input_to_proto(value))


def openai_trip(body: bytes) -> bytes:
    read = chat.FORMAT.parse(body)
    policy = FieldPolicy(UnsupportedFields.PASS)
    sent = body_from_input(through_the_contract(read.input), "m", DIALECTS["openai"], policy, whole=not read.stream)
    return sent if isinstance(sent, bytes) else b"".join(bytes(piece) for piece in sent.pieces())


def anthropic_trip(body: bytes) -> bytes:
    read = messages.FORMAT.parse(body)
    call = UpstreamCall(
        "m", through_the_contract(read.input), 1.0, lambda: None, lambda: None,
        whole=not read.stream, unsupported=UnsupportedFields.PASS,
    )  # fmt: skip
    sent = request_of(call, Options()).body
    return sent if isinstance(sent, bytes) else b"".join(bytes(piece) for piece in sent.pieces())


TRIPS = {"openai": openai_trip, "anthropic": anthropic_trip}


def written(members: dict[str, str]) -> bytes:
    """Return a request in the order of its members, each as it is written."""
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}").encode()


def raw_members(body: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in MEMBERS.decode(body).items()}


def turns_of(texts: list[str]) -> list[dict[str, Any]]:
    return [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(texts)]


@st.composite
def openai_requests(draw: st.DrawFn) -> dict[str, str]:
    optional = {
        "temperature": st.sampled_from(["0", "0.7", "1.0", "2"]),
        "top_p": st.sampled_from(["0.5", "1"]),
        "seed": st.sampled_from(["0", "12345", "-1"]),
        "frequency_penalty": st.sampled_from(["0.5", "-2"]),
        "presence_penalty": st.sampled_from(["0.25", "1"]),
        "max_completion_tokens": st.sampled_from(["1", "4096"]),
        "stop": st.sampled_from(['["a"]', '["a","b"]']),
        "n": st.sampled_from(["2", "3"]),
        "reasoning_effort": st.just('"low"'),
        "parallel_tool_calls": st.sampled_from(["true", "false"]),
        "tool_choice": st.sampled_from(['"auto"', '"required"', '"none"', '{"type":"function","function":{"name":"f"}}']),
        "response_format": OBJECTS.map(
            lambda schema: f'{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema},"strict":true}}}}'
        ) | st.just('{"type":"json_object"}'),
        # What Penstock does not read.
        "logit_bias": _object(st.sampled_from(["1", "1.0", "-5"])),
        "prediction": OBJECTS,
        "verbosity": st.just('"low"'),
        "metadata": st.just('{"z": "1","a":"2"}'),
        "user": st.just('"u"'),
        "store": st.sampled_from(["true", "false"]),
        "prompt_cache_key": st.just('"k\\u00e9"'),
        "a_field_of_tomorrow": VALUES,
    }  # fmt: skip
    tool = f'{{"type":"function","function":{{"name":"f","description":"d","parameters":{draw(OBJECTS)}}}}}'
    told = {"model": '"m"', "messages": json.dumps(turns_of(draw(TURNS))), "tools": f"[{tool}]"}
    for name in draw(st.permutations(sorted(optional))):
        if draw(st.booleans()):
            told[name] = draw(optional[name])
    return told


@st.composite
def anthropic_requests(draw: st.DrawFn) -> dict[str, str]:
    optional = {
        "temperature": st.sampled_from(["0", "0.7", "1.0"]),
        "top_k": st.sampled_from(["1", "40"]),
        "stop_sequences": st.sampled_from(['["a"]', '["a","b"]']),
        "system": st.just('"be brief"'),
        "tool_choice": st.sampled_from(['{"type":"auto"}', '{"type":"any"}', '{"type":"tool","name":"f"}']),
        "metadata": st.just('{"user_id":"u"}'),
        # What Penstock does not read.
        "container": st.just('"c\\u00e9"'),
        "context_management": OBJECTS,
        "mcp_servers": OBJECTS.map(lambda one: f"[{one}]"),
        "a_field_of_tomorrow": VALUES,
    }
    tool = f'{{"name":"f","description":"d","input_schema":{draw(OBJECTS)}}}'
    told = {
        "model": '"m"', "max_tokens": draw(st.sampled_from(["1", "4096"])), "tools": f"[{tool}]",
        "messages": json.dumps(turns_of(draw(TURNS))),
    }  # fmt: skip
    for name in draw(st.permutations(sorted(optional))):
        if draw(st.booleans()):
            told[name] = draw(optional[name])
    return told


REQUESTS = {"openai": openai_requests(), "anthropic": anthropic_requests()}
VERBATIM = {
    "openai": {
        "logit_bias", "prediction", "verbosity", "metadata", "user", "store", "prompt_cache_key", "a_field_of_tomorrow",
    },
    "anthropic": {"container", "context_management", "mcp_servers", "metadata", "a_field_of_tomorrow"},
}  # fmt: skip
ADDED = {"stream", "stream_options"}
"""What we say for ourselves: whether an answer comes whole, and that a stream tells what it used."""


def same_turns(kind: str, sent: bytes, asked: str) -> bool:
    """Return whether turns say the same; Anthropic's content may be a text, or a list with one."""
    told, wanted = json.loads(sent), json.loads(asked)
    for turn in told:
        content = turn["content"]
        if (
            kind == "anthropic"
            and isinstance(content, list)
            and len(content) == 1
            and set(content[0]) == {"type", "text"}
        ):
            turn["content"] = content[0]["text"]
    return told == wanted


def schema_sent(kind: str, tools: str) -> bytes:
    """Return the schema as it is to be sent: as written, but that Anthropic's must have a type."""
    schema = schema_in(kind, tools.encode())
    return b'{"type":"object"}' if kind == "anthropic" and schema == b"{}" else schema


def schema_in(kind: str, tools: bytes) -> bytes:
    tool = MEMBERS.decode(ELEMENTS.decode(tools)[0])
    if kind == "anthropic":
        return bytes(tool["input_schema"])
    return bytes(MEMBERS.decode(tool["function"])["parameters"])


@pytest.mark.parametrize("kind", TRIPS)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_nothing_is_lost_and_what_is_not_read_is_the_same_bytes(kind: str, data: st.DataObject) -> None:
    asked = data.draw(REQUESTS[kind])
    sent = raw_members(TRIPS[kind](written(asked)))
    assert set(sent) - ADDED == set(asked)
    for name, value in asked.items():
        if name in VERBATIM[kind]:
            assert sent[name].decode() == value, name
        elif name == "messages":
            assert same_turns(kind, sent[name], value)
        elif name == "tools":
            assert schema_in(kind, sent[name]) == schema_sent(kind, value)
        elif name == "system":
            told = json.loads(sent[name])
            assert (told if isinstance(told, str) else told[0]["text"]) == json.loads(value)
        else:
            assert json.loads(sent[name]) == json.loads(value), name


@pytest.mark.parametrize("kind", TRIPS)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_came_through_once_comes_through_byte_for_byte(kind: str, data: st.DataObject) -> None:
    once = TRIPS[kind](written(data.draw(REQUESTS[kind])))
    assert TRIPS[kind](once) == once


@pytest.mark.parametrize("kind", TRIPS)
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_longer_conversation_begins_with_the_bytes_of_the_shorter(kind: str, data: st.DataObject) -> None:
    asked = data.draw(REQUESTS[kind])
    turns = [*json.loads(asked["messages"]), *turns_of(["", data.draw(WORDS), data.draw(WORDS)])[1:]]
    longer = {**asked, "messages": json.dumps(turns)}
    shorter_sent, longer_sent = (raw_members(TRIPS[kind](written(each)))["messages"] for each in (asked, longer))
    assert longer_sent.startswith(shorter_sent.removesuffix(b"]"))
