"""Values and messages whose fields have the same names, turned into one another field by field.

A literal such as ``"serving"`` stands for the enum value ``INDEX_STATE_SERVING``, an empty one for
``INDEX_STATE_UNSPECIFIED``; None for a field that is absent; a ``datetime`` for a ``Timestamp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from penstock_common.errors import InvalidRequest
from penstock_common.rpc.protobuf import ProtobufCodec

ValueT = TypeVar("ValueT")
MessageT = TypeVar("MessageT")


def fields_codec(message: type[MessageT], value: type[ValueT]) -> ProtobufCodec[ValueT, MessageT]:
    """Return the codec of a message that has the fields of a value."""
    made: Any = message
    return ProtobufCodec(message, lambda given: write(given, made()), lambda given: read(given, value))


def write(value: Any, message: Any) -> Any:
    """Return the message with the value's fields in it; those of an earlier one stay."""
    for name, field, _ in _fields_of(type(value), message.DESCRIPTOR):
        given = getattr(value, name)
        if given is not None:
            _write_field(message, name, field, given)
    return message


def read(message: Any, value: type[ValueT]) -> ValueT:
    """Return the value that the message's fields make.

    Raises:
        InvalidRequest: if an enum has a value that this version does not know.
    """
    made: dict[str, Any] = {}
    for name, field, inner in _fields_of(value, message.DESCRIPTOR):
        if not field.is_repeated and field.has_presence and not message.HasField(name):
            # Of what cannot be absent, the empty one.
            if inner is not None and not _may_be_absent(value, name):
                made[name] = read(getattr(message, name), inner)
            continue
        given = getattr(message, name)
        made[name] = (
            tuple(_read_one(field, one, inner) for one in given)
            if field.is_repeated
            else _read_one(field, given, inner)
        )
    return value(**made)


def _write_field(message: Any, name: str, field: FieldDescriptor, given: Any) -> None:
    if field.is_repeated:
        into = getattr(message, name)
        for one in given:
            if field.message_type is not None:
                write(one, into.add())
            else:
                into.append(_scalar(field, one))
    elif field.message_type is None:
        setattr(message, name, _scalar(field, given))
    elif isinstance(given, datetime):
        getattr(message, name).FromDatetime(given)
    else:
        into = getattr(message, name)
        # A message without a field that is set is there all the same.
        into.SetInParent()
        write(given, into)


def _scalar(field: FieldDescriptor, given: Any) -> Any:
    if field.enum_type is None:
        return given
    return field.enum_type.values_by_name[_prefix(field.enum_type) + (given or "unspecified").upper()].number


def _read_one(field: FieldDescriptor, given: Any, inner: type[Any] | None) -> Any:
    if isinstance(given, Timestamp):
        return given.ToDatetime(UTC)
    if inner is not None:
        return read(given, inner)
    if field.enum_type is None:
        return given
    known = field.enum_type.values_by_number.get(given)
    if known is None:
        raise InvalidRequest(f"{field.name} has no value {given}.", field=field.name)
    word = known.name.removeprefix(_prefix(field.enum_type)).lower()
    return "" if word == "unspecified" else word


def _prefix(kind: EnumDescriptor) -> str:
    return kind.values[0].name.removesuffix("UNSPECIFIED")


@cache
def _fields_of(value: type[Any], message: Descriptor) -> Sequence[tuple[str, FieldDescriptor, type[Any] | None]]:
    kinds = get_type_hints(value)
    return [(name, message.fields_by_name[name], _struct_in(kinds[name])) for name in value.__struct_fields__]


@cache
def _may_be_absent(value: type[Any], name: str) -> bool:
    return type(None) in get_args(get_type_hints(value)[name])


def _struct_in(kind: Any) -> type[Any] | None:
    """Return the struct that a field is made of, or a sequence of, or None."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for one in get_args(kind) if (found := _struct_in(one)) is not None), None)
