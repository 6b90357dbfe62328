"""Calls that carry an idempotency key, around the servicers that make them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from penstock_common.rpc.method import Handler, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.access.policy import POLICIES
from penstock_gateway.domain.idempotency.calls import AskedCall, KeptCalls
from penstock_gateway.domain.idempotency.keys import KEY_HEADER, Marks
from penstock_gateway.surfaces.arrival import replay_headers
from penstock_gateway.surfaces.grpc.arrival import admitted, remaining
from penstock_gateway.surfaces.grpc.chat_messages import CHAT
from penstock_gateway.surfaces.grpc.embedding_messages import EMBED

# They keep what they answer by themselves: as jobs, and as feedback.
_BY_THEMSELVES = frozenset(
    (
        CHAT.path,
        EMBED.path,
        "/penstock.gateway.v1.FeedbackService/GiveFeedback",
        "/penstock.gateway.v1.JobService/SubmitJob",
    )
)


class _Asked(NamedTuple):
    """A request, and the bytes that it came as."""

    message: bytes
    value: Any


class _WithBytes(ProtobufCodec[Any, Any]):
    """Reads what another codec reads, and keeps the bytes beside it."""

    __slots__ = ("_codec",)

    def __init__(self, codec: ProtobufCodec[Any, Any]) -> None:
        self._codec = codec

    @property
    def descriptor(self) -> Any:
        return self._codec.descriptor

    def canonical(self, message: bytes) -> bytes:
        return self._codec.canonical(message)

    def encode(self, value: Any, /) -> bytes:
        return self._codec.encode(value)

    def decode(self, message: bytes, /) -> _Asked:
        return _Asked(message, self._codec.decode(message))


class _OrBytes(ProtobufCodec[Any, Any]):
    """Writes what another codec writes, and what is written already as it is."""

    __slots__ = ("_codec",)

    def __init__(self, codec: ProtobufCodec[Any, Any]) -> None:
        self._codec = codec

    @property
    def descriptor(self) -> Any:
        return self._codec.descriptor

    def encode(self, value: Any, /) -> bytes:
        return value if isinstance(value, bytes) else self._codec.encode(value)

    def decode(self, message: bytes, /) -> Any:
        return self._codec.decode(message)


class IdempotentCalls(NamedTuple):
    """Makes calls once. ``patience``: how long one waits for another whose caller has set no deadline."""

    calls: KeptCalls
    marks: Marks
    patience: timedelta

    def around(self, handlers: Iterable[Handler]) -> list[Handler]:
        """Return the handlers, those of calls that change something with their answers kept where a key is sent."""
        return [self._around(handler) if _takes_key(handler) else handler for handler in handlers]

    def _around(self, handler: Handler) -> Handler:
        method, behaviour = handler.method, handler.behaviour
        read, write = _WithBytes(_protobuf(method.request)), _OrBytes(_protobuf(method.response))
        path = method.path.encode()

        async def once(asked: _Asked, call: ServerCall) -> Any:
            arrival = admitted(call).arrival
            if KEY_HEADER not in arrival.headers:
                return await behaviour(asked.value, call)
            caller = admitted(call).caller
            wanted = AskedCall(
                marked=self.marks.of(caller, arrival.headers, path, read.canonical(asked.message)),
                tenant=caller.tenant.name,
                request_id=arrival.request_id,
                patience=remaining(call) or self.patience,
            )

            async def make() -> bytes:
                return write.encode(await behaviour(asked.value, call))

            content, before = await self.calls.once(wanted, make)
            if before is not None:
                await begun(call.context, replay_headers(before.request_id))
            return content

        return UnaryMethod(method.path, read, write).served_by(once)


def _takes_key(handler: Handler) -> bool:
    policy = POLICIES.get(handler.method.path)
    return (
        policy is not None
        and policy.takes_idempotency_key
        and not handler.streams
        and handler.method.path not in _BY_THEMSELVES
    )


def _protobuf(codec: Any) -> ProtobufCodec[Any, Any]:
    assert isinstance(codec, ProtobufCodec), "every public method's messages are protobuf"
    return codec
