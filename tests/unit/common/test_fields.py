"""Values and messages of equal field names."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.embedding.v1 import knowledge_service_pb2 as pb
from penstock.knowledge.v1 import knowledge_pb2 as vocabulary
from penstock_common.contract import knowledge, knowledge_calls
from penstock_common.contract.wire import knowledge as wire
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.fields import fields_codec, read, write
from penstock_common.rpc.method import Method

METHODS = [method for method in vars(wire).values() if isinstance(method, Method)]
_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_NUMBERS = st.integers(0, 2**31)
_REALS = st.floats(allow_nan=False, width=32)
_TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
_OF_KIND: dict[Any, Any] = {str: _TEXT, int: _NUMBERS, float: _REALS, bool: st.booleans(), bytes: st.binary(max_size=8)}
_OF_KIND[datetime] = _TIMES


_ONE_KIND = st.one_of(
    st.builds(knowledge.AttributeValue, text=_TEXT),
    st.builds(knowledge.AttributeValue, number=_REALS),
    st.builds(knowledge.AttributeValue, flag=st.booleans()),
)


@cache
def _values(kind: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Return any values of a struct, recursive ones to a depth."""
    if kind is knowledge.AttributeValue:
        return _ONE_KIND
    made: dict[str, st.SearchStrategy[Any]] = {}
    for name, hint in get_type_hints(kind).items():
        made[name] = _of(hint, depth)
    return st.builds(kind, **made)


def _of(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    if hint in _OF_KIND:
        return _OF_KIND[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _values(hint, depth - 1)
    arguments = getattr(hint, "__args__", ())
    if type(None) in arguments:
        (inner,) = (one for one in arguments if one is not type(None))
        return st.none() if depth <= 0 else st.none() | _of(inner, depth)
    if all(isinstance(one, str) for one in arguments):
        return st.sampled_from(arguments)
    if depth <= 0:
        return st.just(())
    return st.lists(_of(arguments[0], depth), max_size=1).map(tuple)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path.rpartition("/")[2])
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_every_method_keeps_what_it_is_told(method: Method[Any, Any], data: st.DataObject) -> None:
    name = method.path.rpartition("/")[2]
    for codec, ending in ((method.request, "Request"), (method.response, "Response")):
        value = data.draw(_values(getattr(knowledge_calls, name + ending)))
        assert codec.decode(codec.encode(value)) == value


def test_the_service_has_no_method_that_is_not_declared() -> None:
    declared = {method.path.rpartition("/")[2] for method in METHODS}
    assert declared == set(pb.DESCRIPTOR.services_by_name["KnowledgeService"].methods_by_name)


def test_what_is_absent_is_none_and_what_is_empty_is_not() -> None:
    absent = read(vocabulary.HitScores(), knowledge.HitScores)
    assert absent == knowledge.HitScores()
    assert read(vocabulary.HitScores(dense=0.0), knowledge.HitScores).dense == 0.0
    assert not write(knowledge.HitScores(sparse=0.0), vocabulary.HitScores()).HasField("dense")
    empty = read(vocabulary.Attribute(name="a", value=vocabulary.AttributeValue(text="")), knowledge.Attribute)
    assert empty.value == knowledge.AttributeValue(text="")


def test_an_enum_of_a_later_version_is_refused_by_its_field() -> None:
    codec = fields_codec(vocabulary.SearchOptions, knowledge.SearchOptions)
    with pytest.raises(InvalidRequest) as refused:
        codec.decode(bytes([0x08, 99]))  # field 1, a varint
    assert refused.value.field == "mode"
