"""Bodies that no honest client sends: each is refused clearly, none breaks anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest, PenstockError
from penstock_common.llm.convert import input_from_proto, input_to_proto
from penstock_gateway.domain.life.validation import validate_input
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.errors import error_response

TURNS = b'"messages":[{"role":"user","content":"x"}]'
HUGE = b"9" * 5000


def with_field(name: bytes, value: bytes) -> bytes:
    return b'{"model":"m",' + TURNS + b',"' + name + b'":' + value + b"}"


BAD_BODIES = {
    "empty": (b"", "empty"),
    "blank": (b" \n\t", "empty"),
    "null": (b"null", "must be an object, but is null"),
    "array": (b"[]", "must be an object, but is an array"),
    "string": (b'"x"', "must be an object, but is a string"),
    "number": (b"1", "must be an object, but is an integer"),
    "empty object": (b"{}", "'model' is required"),
    "truncated": (b'{"model":"m"', "ends in the middle"),
    "single quotes": (b"{'model':'m'}", "malformed"),
    "form": (b"model=m&messages=x", "malformed"),
    "trailing bytes": (b'{"model":"m",' + TURNS + b"} x", "trailing"),
    "two objects": (b'{"model":"m",' + TURNS + b"}{}", "trailing"),
    "trailing comma": (b'{"model":"m",' + TURNS + b",}", "trailing comma"),
    "byte order mark": (b'\xef\xbb\xbf{"model":"m",' + TURNS + b"}", "byte order mark"),
    "UTF-16": ('{"model":"m"}'.encode("utf-16"), "UTF-8"),
    "UTF-16 without mark": ('{"model":"m"}'.encode("utf-16-le"), "malformed"),
    "invalid UTF-8": (with_field(b"user", b'"\xff"'), "UTF-8"),
    "overlong UTF-8": (with_field(b"user", b'"\xc0\xaf"'), "UTF-8"),
    "surrogate in UTF-8": (with_field(b"user", b'"\xed\xa0\x80"'), "UTF-8"),
    "invalid UTF-8 in an unknown field": (with_field(b"zz", b'"\xff"'), "UTF-8"),
    "invalid UTF-8 in a name": (with_field(b"\xff", b"1"), "UTF-8"),
    "lone high surrogate": (with_field(b"user", b'"\\ud800"'), "surrogate"),
    "lone high surrogate before text": (with_field(b"user", b'"\\uD83Dxyzxyz"'), "surrogate"),
    "lone low surrogate": (with_field(b"user", b'"\\udc00"'), "surrogate"),
    "lone surrogate in an unknown field": (with_field(b"zz", b'"\\ud800"'), "surrogate"),
    "lone surrogate in a schema": (
        with_field(b"tools", b'[{"type":"function","function":{"name":"f","parameters":{"a":"\\ud800"}}}]'),
        "surrogate",
    ),
    "object among the tags": (
        with_field(b"metadata", b'{"a":{}}'),
        "A value of 'metadata' must be a string, but is an object",
    ),
    "object as a model": (b'{"model":{"id":"m"},' + TURNS + b"}", "'model' must be a string, but is an object"),
    "object as a kind": (with_field(b"tools", b'[{"type":{}}]'), "'tools[0].type' must be a string"),
    "very many members": (
        b'{"model":"m",' + b",".join(b'"%d":1' % n for n in range(300)) + b"}",
        "301 fields; at most 256",
    ),
    "raw NUL": (with_field(b"user", b'"\x00"'), "malformed"),
    "NaN": (with_field(b"temperature", b"NaN"), "malformed"),
    "Infinity": (with_field(b"temperature", b"-Infinity"), "malformed"),
    "1e999": (with_field(b"temperature", b"1e999"), "'temperature' must be a number of at most 64 bits"),
    "1e999 in an unknown field": (with_field(b"zz", b"[1e999]"), "'zz[0]' must be a number of at most 64 bits"),
    "huge integer": (with_field(b"max_tokens", HUGE), "'max_tokens' must be a number of at most 64 bits"),
    "huge float": (with_field(b"temperature", HUGE), "'temperature' must be a number of at most 64 bits"),
    "huge integer in an unknown field": (with_field(b"zz", HUGE), "'zz' must be a number of at most 64 bits"),
    "deep array": (with_field(b"zz", b"[" * 3000 + b"]" * 3000), "nested too deeply"),
    "very deep array": (with_field(b"zz", b"[" * 10**6 + b"]" * 10**6), "nested too deeply"),
    "deep and unclosed": (b"[" * 10**6, "must be an object"),
    "deep object in a turn": (
        b'{"model":"m","messages":[{"role":"user","content":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}]}",
        "nested too deeply",
    ),
    "duplicate": (b'{"model":"a","model":"b",' + TURNS + b"}", "'model' is given twice"),
    "duplicate with spaces": (b'{"model": "a", ' + TURNS + b', "model" : "a"}', "'model' is given twice"),
    "duplicate by escape": (b'{"model":"a","mod\\u0065l":"b",' + TURNS + b"}", "'model' is given twice"),
    "duplicate unknown": (b'{"model":"a","zz":1,"zz":null,' + TURNS + b"}", "'zz' is given twice"),
}


@pytest.mark.parametrize(("body", "expected"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_refused_clearly(body: bytes, expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(body)
    assert expected in caught.value.message
    assert len(caught.value.message) < 300
    assert error_response(caught.value).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m",' + TURNS + b"}",
        b' {\n "model" : "m" ,\n ' + TURNS + b"}\n",
        b'{"mod\\u0065l":"m",' + TURNS + b"}",
        b'{"model":"m",' + TURNS + b',"user":"\\ud83d\\ude00"}',
        b'{"model":"m",' + TURNS + b',"user":"model"}',
    ],
)
def test_an_unusual_but_good_body_is_taken(body: bytes) -> None:
    assert parse_chat_request(body).input.model == "m"


@pytest.mark.parametrize("size", [10, 10_000, 1_000_000])
def test_an_error_message_stays_short_when_what_it_echoes_is_long(size: int) -> None:
    long = "y" * size
    turn = {"role": "user", "content": "x"}
    bodies: list[dict[str, Any]] = [
        {"model": "m", "messages": [{"role": long, "content": "x"}]},
        {"model": "m", "messages": [{**turn, long: 1}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": long}]}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": long}}]}]},
        {"model": "m", "messages": [turn], "tool_choice": long},
        {"model": "m", "messages": [turn], "response_format": {"type": long}},
    ]
    for body in bodies:
        with pytest.raises(PenstockError) as caught:
            parse_chat_request(json.dumps(body).encode())
        assert len(error_response(caught.value).body) < 600


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

FULL: dict[str, Any] = {
    "model": "fast",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ==", "detail": "low"}},
                {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,YQ=="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "temperature": 0.5,
    "max_completion_tokens": 9,
    "stop": ["a"],
    "seed": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
    "user": "u",
    "logit_bias": {"1": 2},
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += paths(child, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def check_any_outcome(body: bytes) -> None:
    """Parse; whatever is taken can be validated, and what is valid can travel."""
    refusal: PenstockError | None = None
    try:
        request = parse_chat_request(body)
        validate_input(request.input)
    except PenstockError as error:
        refusal = error
    if refusal is not None:
        assert error_response(refusal).status == 400
        return
    assert input_from_proto(input_to_proto(request.input)) == request.input


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_parsing_raises_nothing_but_its_own_errors_for_any_bytes(body: bytes) -> None:
    check_any_outcome(body)


@settings(deadline=None)
@given(json_values)
def test_parsing_raises_nothing_but_its_own_errors_for_any_json(value: Any) -> None:
    check_any_outcome(json.dumps(value).encode())


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_parsing_raises_nothing_but_its_own_errors_when_any_place_holds_anything(data: st.DataObject) -> None:
    body = FULL
    for _ in range(data.draw(st.integers(1, 2))):
        body = replaced(body, data.draw(st.sampled_from(paths(body))), data.draw(json_values))
        if not isinstance(body, dict):
            break
    check_any_outcome(json.dumps(body).encode())


@settings(deadline=None)
@given(st.data())
def test_parsing_raises_nothing_but_its_own_errors_when_bytes_are_cut_or_changed(data: st.DataObject) -> None:
    body = bytearray(json.dumps(FULL).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check_any_outcome(bytes(body[: data.draw(st.integers(0, len(body)))]))


def test_the_full_request_is_taken() -> None:
    check_any_outcome(json.dumps(FULL).encode())
    assert parse_chat_request(json.dumps(FULL).encode()).include_usage
