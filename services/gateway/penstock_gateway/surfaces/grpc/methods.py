"""The public RPCs: which servicer serves them, by the contract's own descriptors."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from penstock_common.rpc.method import Handler, StreamMethod, UnaryMethod
from penstock_common.rpc.protobuf import same


def handlers_of(service: ServiceDescriptor, servicer: Any) -> list[Handler]:
    """Return a handler for each method of ``service``, which the servicer has by the contract's name."""
    handlers: list[Handler] = []
    for method in service.methods:
        path = f"/{service.full_name}/{method.name}"
        request, response = same(GetMessageClass(method.input_type)), same(GetMessageClass(method.output_type))
        behaviour = getattr(servicer, method.name)
        if method.server_streaming:
            handlers.append(StreamMethod(path, request, response).served_by(behaviour))
        else:
            handlers.append(UnaryMethod(path, request, response).served_by(behaviour))
    return handlers
