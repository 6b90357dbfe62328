from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_cache.domain.identity import Identity
from penstock_common.contract.cache import Scope, canonical_form, probe_of
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
)

SCOPE = Scope("acme", "fast")
IDENTITY = Identity(b"k" * 32)

# Every field of every struct is set, so that every one of them is varied.
FULL = GenerationInput(
    model="fast",
    messages=(
        Message(
            role=Role.SYSTEM,
            parts=(Text(text="Be brief.", cache_breakpoint=True, cache_ttl="1h", citations_json="[1]"),),
            name="operator",
        ),
        Message(
            role=Role.USER,
            parts=(
                Image(url="data:image/png;base64,AA", data=b"\x01", media_type="image/png", detail="low"),
                File(name="a.pdf", media_type="application/pdf", data=b"%PDF"),
                Reasoning(text="hm", signature=b"s", hidden=b"h", origin="a/b"),
                Opaque(format="anthropic", json="{}"),
            ),
        ),
        Message(
            role=Role.ASSISTANT,
            tool_calls=(ToolCall(id="c1", name="look_up", arguments_json='{"q": 1}', is_custom=True, parts_before=1),),
            tool_call_id="c1",
            is_error=True,
        ),
    ),
    tools=(
        Tool(
            name="look_up",
            description="Looks up.",
            parameters_json='{"type":"object"}',
            strict=True,
            custom_json="{}",
            cache_breakpoint=True,
            cache_ttl="1h",
            opaque=Opaque(format="anthropic", json="{}"),
        ),
    ),
    tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, tool_name="look_up", parallel=False, allowed_tools=("look_up",)),
    sampling=SamplingParams(
        temperature=0.25,
        top_p=0.5,
        top_k=3,
        max_output_tokens=64,
        stop=("END",),
        seed=7,
        frequency_penalty=0.125,
        presence_penalty=-0.5,
        reasoning_effort="low",
        top_logprobs=2,
        choices=3,
    ),
    response_format=JsonSchema(name="answer", schema_json='{"type":"object"}', strict=True, description="d"),
    extra_json='{"x":1}',
)


def variants(value: Any) -> Iterator[Any]:
    """Yield every value that differs from ``value`` in one leaf, or in one element of a sequence."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            for other in variants(getattr(value, name)):
                yield msgspec.structs.replace(value, **{name: other})
    elif isinstance(value, tuple):
        for index, element in enumerate(value):
            for other in variants(element):
                yield (*value[:index], other, *value[index + 1 :])
        if value:
            yield (*value, value[0])
            yield value[:-1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, Enum):
        yield next(member for member in type(value) if member is not value)
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield value + " "
    elif isinstance(value, bytes):
        yield value + b"\0"


def fields_within(value: Any) -> Iterator[tuple[type, str]]:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield type(value), name
            yield from fields_within(getattr(value, name))
    elif isinstance(value, tuple):
        for element in value:
            yield from fields_within(element)


def _strategy(info: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Return values of a type of the vocabulary, whatever fields it may get."""
    match info:
        case msgspec.inspect.StructType():
            return st.builds(info.cls, **{field.name: _strategy(field.type) for field in info.fields})
        case msgspec.inspect.VarTupleType():
            return st.lists(_strategy(info.item_type), max_size=2).map(tuple)
        case msgspec.inspect.UnionType():
            return st.one_of([_strategy(option) for option in info.types])
        case msgspec.inspect.EnumType():
            return st.sampled_from(list(info.cls))
        case msgspec.inspect.StrType():
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
        case msgspec.inspect.BytesType():
            return st.binary(max_size=3)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.IntType():
            return st.integers(-3, 3)
        case msgspec.inspect.FloatType():
            return st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0])
        case msgspec.inspect.NoneType():
            return st.none()
        case _:
            raise NotImplementedError(info)


REQUESTS = _strategy(msgspec.inspect.type_info(GenerationInput))


def test_the_key_changes_when_any_one_field_changes() -> None:
    others = [other for other in variants(FULL) if other.hints_json == FULL.hints_json]
    keys = {IDENTITY.key(SCOPE, probe_of(other)).digest for other in (FULL, *others)}
    assert len(keys) == len(others) + 1


def test_hints_change_nothing() -> None:
    """Who asks for it does not change an answer: a tenant's users share what is cached."""
    hinted = msgspec.structs.replace(FULL, hints_json='{"user":"u"}')
    assert probe_of(hinted) == probe_of(FULL)


def test_the_full_request_sets_every_field_of_the_vocabulary() -> None:
    defaults = {
        (type(value), name)
        for value in (*FULL.messages, *(part for turn in FULL.messages for part in turn.parts))
        for name in value.__struct_fields__
        if getattr(value, name) in ((), "", b"", False, None)
    }
    varied = set(fields_within(FULL)) - defaults
    structs = (GenerationInput, SamplingParams, Tool, ToolCall, ToolChoice, JsonSchema, Text)
    wanted = {(struct, name) for struct in structs for name in struct.__struct_fields__ if name != "hints_json"}
    assert wanted <= varied


@given(REQUESTS)
def test_equal_requests_have_equal_keys_however_they_were_made(request: GenerationInput) -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=GenerationInput)
    assert again == request
    assert IDENTITY.key(SCOPE, probe_of(again)) == IDENTITY.key(SCOPE, probe_of(request))


@given(REQUESTS, REQUESTS)
def test_keys_are_equal_exactly_when_requests_are(left: GenerationInput, right: GenerationInput) -> None:
    assert (IDENTITY.key(SCOPE, probe_of(left)) == IDENTITY.key(SCOPE, probe_of(right))) == (
        _asked(left) == _asked(right)
    )


def _asked(request: GenerationInput) -> GenerationInput:
    return msgspec.structs.replace(request, hints_json="")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (SamplingParams(), SamplingParams(stop=())),
        (SamplingParams(temperature=0), SamplingParams(temperature=-0.0)),
        (SamplingParams(temperature=1), SamplingParams(temperature=1.0)),
    ],
)
def test_equal_sampling_means_equal_bytes(left: SamplingParams, right: SamplingParams) -> None:
    base = GenerationInput(model="m", messages=())
    forms = [canonical_form(msgspec.structs.replace(base, sampling=sampling)) for sampling in (left, right)]
    assert forms[0] == forms[1]


def test_a_default_that_is_spelled_out_changes_nothing() -> None:
    assert canonical_form(GenerationInput(model="m", messages=())) == canonical_form(
        GenerationInput(model="m", messages=(), sampling=SamplingParams())
    )


def test_white_space_in_a_schema_is_part_of_the_request() -> None:
    forms = {
        canonical_form(msgspec.structs.replace(FULL, response_format=JsonSchema(name="answer", schema_json=schema)))
        for schema in ('{"a":1}', '{"a": 1}')
    }
    assert len(forms) == 2


def test_any_json_object_is_not_no_format() -> None:
    formats = (None, JsonObject())
    forms = {canonical_form(msgspec.structs.replace(FULL, response_format=each)) for each in formats}
    assert len(forms) == 2


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_scopes_never_share_a_key(tenant: str, model: str, other_tenant: str, other_model: str) -> None:
    request = GenerationInput(model="m", messages=())
    left, right = Scope(tenant, model), Scope(other_tenant, other_model)
    assert (IDENTITY.key(left, probe_of(request)).digest == IDENTITY.key(right, probe_of(request)).digest) == (
        left == right
    )


def test_another_route_or_region_makes_another_key() -> None:
    made = [
        probe_of(FULL, *more).digest
        for more in ((), (b"1",), (b"2",), (b"1", ("eu",)), (b"1", ("eu", "us")), (b"1", ("euus",)))
    ]
    assert len(set(made)) == len(made)


def test_large_data_counts_by_every_byte_and_by_its_place() -> None:
    one, other = bytes(200_000), bytes(199_999) + b"\x01"

    def asked(*data: bytes) -> bytes:
        parts = tuple(Image(data=each, media_type="image/png") for each in data)
        return probe_of(GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=parts),))).digest

    digests = {
        asked(),
        asked(one),
        asked(other),
        asked(one, other),
        asked(other, one),
        asked(b"", one),
        asked(one, b""),
    }
    assert len(digests) == 7
    assert asked(one, other) == asked(bytes(bytearray(one)), other)


def test_another_secret_makes_other_keys() -> None:
    assert Identity(b"a" * 32).key(SCOPE, probe_of(FULL)) != Identity(b"b" * 32).key(SCOPE, probe_of(FULL))
