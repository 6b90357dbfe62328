"""A TCP proxy that makes a network bad: slow, narrow, in slices, or suddenly gone.

    async with FaultProxy("127.0.0.1:8001", down=Faults(latency_seconds=0.2)) as proxy:
        ...  # connect to proxy.address

Each direction has its faults: ``up`` is what clients send, ``down`` what they get. Both can be
set while it runs, and hold from the next bytes on. It knows nothing of what passes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

import msgspec

from penstock_faults.record import Record
from penstock_faults.sockets import Listener, reset

Ending = Literal["reset", "close", "half_close", "black_hole"]
"""``reset`` and ``close`` end the connection on both sides. ``half_close`` ends this direction alone. ``black_hole`` takes
what comes, passes nothing on, and says nothing."""

_READ_BYTES = 64 * 1024
_SEED = 20


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What happens to the bytes of one direction."""

    latency_seconds: float = 0.0
    """Bytes come so much later; their order stays."""
    jitter_seconds: float = 0.0
    """And up to so much later again, by chance."""
    bytes_per_second: int = 0
    """0: as fast as it goes."""
    slice_bytes: int = 0
    """No more at once; 0: as they come."""
    cut_after_bytes: int | None = None
    """Of one connection; after them it ends by ``cut_by``. 0: before the first."""
    cut_by: Ending = "reset"


class FaultProxy:
    """Passes connections on while it is entered; ``address`` is host:port."""

    def __init__(
        self,
        target: str,
        *,
        up: Faults | None = None,
        down: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Take ``host:port`` of whom to pass connections on to; port 0 takes a free one."""
        self.target = target
        self.up = up or Faults()
        self.down = down or Faults()
        self.record = Record()
        """Of connections alone: requests it does not know."""
        self._host = host
        self._listener = Listener(self._accept, host, port)
        self._chance = random.Random(_SEED)  # noqa: S311 - the same network every time
        self._links: set[_Link] = set()
        self.port = 0

    @property
    def address(self) -> str:
        """Where clients connect to."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    async def __aenter__(self) -> Self:
        self.port = await self._listener.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._listener.close()

    def cut(self) -> int:
        """Reset every connection that is open now, as a machine that restarts does; return how many."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self.record.opened()
        host, _, port = self.target.rpartition(":")
        try:
            there_reader, there_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            # As if nobody listened here either.
            reset(writer)
            self.record.closed(connection)
            return
        link = _Link(writer, there_writer)
        self._links.add(link)
        try:
            await link.run(
                _Direction(reader, there_writer, lambda: self.up, self._chance),
                _Direction(there_reader, writer, lambda: self.down, self._chance),
            )
        finally:
            self._links.discard(link)
            self.record.closed(connection)


class _Link:
    """Two connections that are one."""

    def __init__(self, here: asyncio.StreamWriter, there: asyncio.StreamWriter) -> None:
        self._writers = (here, there)
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, *directions: _Direction) -> None:
        self._tasks = [asyncio.create_task(direction.run(self)) for direction in directions]
        try:
            await asyncio.wait(self._tasks)
        finally:
            self.end()
            for writer in self._writers:
                writer.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()

    def reset(self) -> None:
        for writer in self._writers:
            reset(writer)
        self.end()


class _Direction:
    """Passes bytes on, one way."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: Callable[[], Faults],
        chance: random.Random,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._faults = faults
        self._chance = chance
        self._passed = 0
        self._waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

    async def run(self, link: _Link) -> None:
        """Return when the sender has ended and all of it has been passed on."""
        reading = asyncio.create_task(self._read())
        try:
            while (item := await self._waiting.get())[1]:
                due, data = item
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not await self._pass_on(data, link):
                    return
            self._half_close()
        except ConnectionError:
            link.end()
        finally:
            reading.cancel()

    async def _read(self) -> None:
        data = b"-"
        while data:
            try:
                data = await self._reader.read(_READ_BYTES)
            except ConnectionError:
                data = b""
            faults = self._faults()
            late = faults.latency_seconds + faults.jitter_seconds * self._chance.random()
            await self._waiting.put((time.monotonic() + late, data))

    async def _pass_on(self, data: bytes, link: _Link) -> bool:
        """Write the bytes; return whether more may follow."""
        while data:
            faults = self._faults()
            left = None if faults.cut_after_bytes is None else max(0, faults.cut_after_bytes - self._passed)
            if left == 0:
                return await self._cut(faults.cut_by, link)
            size = min(len(data), faults.slice_bytes or _READ_BYTES, left or _READ_BYTES)
            if faults.bytes_per_second:
                size = min(size, max(1, faults.bytes_per_second // 10))
                await asyncio.sleep(size / faults.bytes_per_second)
            self._writer.write(data[:size])
            await self._writer.drain()
            if faults.slice_bytes:
                # Else the next slice would leave in the same packet.
                await asyncio.sleep(0)
            self._passed += size
            data = data[size:]
        faults = self._faults()
        if faults.cut_after_bytes is not None and self._passed >= faults.cut_after_bytes:
            return await self._cut(faults.cut_by, link)
        return True

    async def _cut(self, by: Ending, link: _Link) -> bool:
        if by == "reset":
            link.reset()
        elif by == "close":
            link.end()
        elif by == "half_close":
            self._half_close()
        else:
            while True:
                await self._waiting.get()
        return False

    def _half_close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._writer.write_eof()
