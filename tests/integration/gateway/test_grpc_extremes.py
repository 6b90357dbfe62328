"""Every number, duration and instant of the public contract at its extremes: an answer, or an error that names the field."""

from __future__ import annotations

import math

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from penstock.gateway.v1 import (
    admin_service_pb2,
    chat_service_pb2,
    chat_service_pb2_grpc,
    embedding_service_pb2,
    model_service_pb2,
    status_service_pb2,
)
from penstock.llm.v1 import message_pb2

MODULES = (admin_service_pb2, chat_service_pb2, embedding_service_pb2, model_service_pb2, status_service_pb2)
METHODS = {
    method.full_name: method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OURS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE)
MOST_DEPTH = 6

_INT32, _INT64 = (-(2**31), -1, 2**31 - 1), (-(2**63), -1, 2**63 - 1)
_REAL = (math.nan, math.inf, -math.inf, 1e308, -1e-308)
_KINDS = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_UINT32: (2**32 - 1,),
    FieldDescriptor.TYPE_UINT64: (2**64 - 1,),
    FieldDescriptor.TYPE_DOUBLE: _REAL,
    FieldDescriptor.TYPE_FLOAT: _REAL[:3],
    FieldDescriptor.TYPE_ENUM: (-1, 2**31 - 1),
    FieldDescriptor.TYPE_STRING: ("\x00", "\U0010ffff" * 20_000),
    FieldDescriptor.TYPE_BYTES: (b"\xff" * 20_000,),
}
_NEVER_VALID = [(-(2**63), 0), (2**63 - 1, 0), (-1, 0), (0, -1), (1, -1), (1, 10**9), (1, 2**31 - 1), (0, -(2**31))]
_INSTANTS = [*_NEVER_VALID, (315_576_000_001, 0), (253_402_300_800, 0)]


def extremes(message, depth=0):
    """Yield what sets one field below ``message`` to one extreme value each."""
    if depth == MOST_DEPTH:
        return
    for field in message.fields:
        if field.message_type is not None:
            if field.message_type in (Duration.DESCRIPTOR, Timestamp.DESCRIPTOR):
                for seconds, nanos in _INSTANTS:
                    yield field.name, _instant(field, seconds, nanos)
            elif not field.message_type.GetOptions().map_entry:
                for name, change in extremes(field.message_type, depth + 1):
                    yield f"{field.name}.{name}", _below(field, change)
            continue
        for value in _KINDS.get(field.type, ()):
            yield field.name, _value(field, value)


def _value(field, value):
    def change(message):
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    return change


def _instant(field, seconds, nanos):
    def change(message):
        inner = getattr(message, field.name)
        inner.seconds, inner.nanos = seconds, nanos

    return change


def _below(field, inner):
    def change(message):
        if field.is_repeated:
            repeated = getattr(message, field.name)
            inner(repeated[0] if repeated else repeated.add())
        else:
            inner(getattr(message, field.name))

    return change


def plain(method):
    """Return a request of the method that is as good as it can be without knowing anybody."""
    request = method.input_type._concrete_class()
    if "input" in method.input_type.fields_by_name:
        request.input.model = "fast"
        request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    elif "inputs" in method.input_type.fields_by_name:
        request.model = "fast"
        request.inputs.append("Hi")
    return request


@pytest.fixture
def call(suite):
    """A function that calls a method and returns the error that ended it, or None."""

    async def make(method, request):
        path = f"/{method.containing_service.full_name}/{method.name}"
        kind = suite.channel.unary_stream if method.server_streaming else suite.channel.unary_unary
        key = suite.KEY if method.containing_service.name in ("ChatService", "EmbeddingService", "ModelService") else ""
        call = kind(path, type(request).SerializeToString, method.output_type._concrete_class.FromString)(
            request, metadata=(("authorization", f"Bearer {key or suite.OPERATOR_KEY}"),), timeout=60
        )
        try:
            if method.server_streaming:
                async for _ in call:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError as error:
            return error
        return None

    return make


def faults(error):
    """Return the fields that an error names."""
    status = rpc_status.from_call(error)
    found = []
    for detail in status.details if status else ():
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            found += [violation.field for violation in bad.field_violations]
    return found


@pytest.mark.parametrize("name", METHODS)
async def test_no_extreme_of_any_field_is_our_failure(call, name):
    method, broken = METHODS[name], []
    for field, change in extremes(method.input_type):
        request = plain(method)
        change(request)
        error = await call(method, request)
        if error is not None and error.code() in OURS:
            broken.append((field, str(request)[:200], error.code().name, error.details()))
    assert broken == []


_DURATIONS = [
    (name, field.name) for name, method in METHODS.items() for field in method.input_type.fields
    if field.message_type is Duration.DESCRIPTOR
]  # fmt: skip


@pytest.mark.parametrize("instant", _NEVER_VALID)
@pytest.mark.parametrize(("name", "field"), [*_DURATIONS, ("penstock.gateway.v1.ChatService.Chat", "max_age")])
async def test_a_duration_that_cannot_be_one_is_refused_by_its_name_and_bounds(call, name, field, instant):
    request = plain(METHODS[name])
    holder = request.cache_control if field == "max_age" else request
    getattr(holder, field).seconds, getattr(holder, field).nanos = instant
    error = await call(METHODS[name], request)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    (fault,) = faults(error)
    assert fault.endswith(field)
    assert "between 0 and " in error.details()


async def test_the_longest_age_reaches_the_cache_over_both_transports(serve, transport):
    suite = await serve(transport)
    request = plain(METHODS["penstock.gateway.v1.ChatService.Chat"])
    request.cache_control.max_age.seconds = 999_999_999
    answered = await chat_service_pb2_grpc.ChatServiceStub(suite.channel).Chat(
        request, metadata=(("authorization", f"Bearer {suite.KEY}"),), timeout=60
    )
    assert answered.cache.status == chat_service_pb2.CacheResult.STATUS_MISS
    request.cache_control.max_age.seconds += 1
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await chat_service_pb2_grpc.ChatServiceStub(suite.channel).Chat(
            request, metadata=(("authorization", f"Bearer {suite.KEY}"),), timeout=60
        )
    assert (failed.value.code(), faults(failed.value)) == (grpc.StatusCode.INVALID_ARGUMENT, ["cache_control.max_age"])
