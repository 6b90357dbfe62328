"""Taking requests in: a message is read once its caller is known, so many at a time, and decoded within bounds.

gRPC itself reads a unary request before it asks anybody. Here every method is
served as one that takes a stream: until the first read, a caller can make us hold
no more than the flow-control window of its stream.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from penstock_common.errors import DeadlineExceeded, InvalidRequest, RateLimited
from penstock_common.free_memory import give_back
from penstock_common.rpc.message_bounds import MessageBounds, TooMuchError, check_bounds, count_elements
from penstock_common.rpc.method import Codec
from penstock_common.rpc.protobuf import ProtobufCodec
from penstock_common.rpc.server_call import ServerCall

# Below this, no message can hold enough to be felt by others.
_SMALL_BYTES = 16 * 1024
# Above either, a message is decoded in a thread: the loop goes on meanwhile.
_LARGE_BYTES = 1024 * 1024
_FEW_ELEMENTS = 4_000


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What callers can make a listener hold and do before their request is admitted.

    ``at_once`` messages are read at a time, of one caller ``at_once_per_caller``;
    a message and its turn take ``timeout`` at most.
    """

    at_once: int = 1024
    at_once_per_caller: int = 1024
    timeout: timedelta = timedelta(seconds=60)
    bounds: MessageBounds = field(default_factory=MessageBounds)


class MessageReader:
    """Reads and decodes the requests of one listener."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self._timeout_seconds = limits.timeout.total_seconds()
        self._few = replace(limits.bounds, max_elements=min(_FEW_ELEMENTS, limits.bounds.max_elements))
        self._turns = asyncio.Semaphore(limits.at_once)
        self._turns_of: dict[str, _Turns] = {}
        # Where one may have all turns at once, their own are never over before everybody's.
        self._shares = limits.at_once_per_caller < limits.at_once
        # One large message at a time is decoded: more would only take the processor from the loop.
        self._decoding = asyncio.Lock()

    async def read(self, codec: Codec[Any], call: ServerCall) -> Any:
        """Return the call's request.

        Raises:
            RateLimited: its turn did not come.
            DeadlineExceeded: its message did not.
            InvalidRequest: it brought none, or one that cannot be read or holds too much.
        """
        if not self._shares:
            return await self._read_in_turn(codec, call)
        own = self._turns_of.get(call.reader)
        if own is None:
            own = self._turns_of[call.reader] = _Turns(self._limits.at_once_per_caller)
        own.wanted += 1
        try:
            await self._take(own.turns)
            try:
                return await self._read_in_turn(codec, call)
            finally:
                own.turns.release()
        finally:
            own.wanted -= 1
            if not own.wanted:
                del self._turns_of[call.reader]

    def each(self, codec: Codec[Any], call: ServerCall) -> ArrivingRequests:
        """Return the requests of a call that streams them; the call's deadline bounds the wait for one."""
        return ArrivingRequests(codec, call.context)

    async def _read_in_turn(self, codec: Codec[Any], call: ServerCall) -> Any:
        await self._take(self._turns)
        try:
            message = await self._message(call)
            if len(message) <= _SMALL_BYTES:
                return codec.decode(message)
            return await self._decode(codec, message)
        finally:
            self._turns.release()

    async def _take(self, turns: asyncio.Semaphore) -> None:
        if not turns.locked():
            await turns.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await turns.acquire()
        except TimeoutError:
            raise RateLimited("Too many requests are being sent at once. Try again.", limit="requests_read") from None

    async def _message(self, call: ServerCall) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                message: Any = await call.context.read()
        except TimeoutError:
            raise DeadlineExceeded("The request's message did not arrive in time.") from None
        if not isinstance(message, bytes):
            # grpcio's word for the end.
            raise InvalidRequest("The call brought no message.")
        return message

    async def _decode(self, codec: Codec[Any], message: bytes) -> Any:
        if not isinstance(codec, ProtobufCodec):
            return codec.decode(message)
        if len(message) <= _LARGE_BYTES and self._is_few(codec, message):
            return codec.decode(message)
        async with self._decoding:
            return await asyncio.to_thread(self._decode_bounded, codec, message)

    def _is_few(self, codec: ProtobufCodec[Any, Any], message: bytes) -> bool:
        try:
            count_elements(message, codec.descriptor, self._few)
        except TooMuchError:
            return False
        return True

    def _decode_bounded(self, codec: ProtobufCodec[Any, Any], message: bytes) -> Any:
        if len(message) > _LARGE_BYTES:
            # It came in pieces, and twice: they are free now, and glibc would keep them beside the next message's.
            give_back()
        check_bounds(message, codec.descriptor, self._limits.bounds)
        return codec.decode(message)


class ArrivingRequests:
    """The requests of a call that streams them, as they are asked for.

    Who asks may be cancelled and another ask after them: gRPC has one read at a time, which nothing takes back.
    """

    __slots__ = ("_codec", "_context", "_reading", "is_over")

    def __init__(self, codec: Codec[Any], context: Any) -> None:
        self._codec = codec
        self._context = context
        self._reading: asyncio.Task[Any] | None = None
        self.is_over = False
        """Whether the caller has said that there are no more."""

    def __aiter__(self) -> ArrivingRequests:
        return self

    async def __anext__(self) -> Any:
        """Return the next.

        Raises:
            InvalidRequest: if it cannot be read.
        """
        message = await self._read()
        if message is None:
            raise StopAsyncIteration
        return self._codec.decode(message)

    async def drop(self) -> None:
        """Read what still comes, to the end, and keep nothing."""
        while await self._read() is not None:
            pass

    def close(self) -> None:
        """Wait for no more."""
        reading = self._reading
        if reading is not None and not reading.cancel() and not reading.cancelled():
            # Nobody waits for what became of it.
            reading.exception()

    async def _read(self) -> bytes | None:
        if self.is_over:
            return None
        reading = self._reading
        if reading is None:
            reading = self._reading = asyncio.get_running_loop().create_task(self._context.read())
        await asyncio.wait((reading,))
        self._reading = None
        message = reading.result()
        if isinstance(message, bytes):
            return message
        # grpcio's word for the end.
        self.is_over = True
        return None


class _Turns:
    """One caller's turns, kept for as long as somebody has or waits for one."""

    __slots__ = ("turns", "wanted")

    def __init__(self, at_once: int) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.wanted = 0
