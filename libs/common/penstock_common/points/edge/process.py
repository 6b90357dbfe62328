"""The owner's end of the engine's process: starts it, asks it, and starts it again where it dies."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog

from penstock_common.background import running
from penstock_common.contract.points import Question
from penstock_common.faults import ConfigurationError
from penstock_common.points.edge.messages import ANSWER_TO, ANSWERS, TEXT, Asked, Settings, framed, frames_of
from penstock_common.points.store import PointsLate, PointsUnavailable

_MODULE = "penstock_common.points.edge.host"
_START_SECONDS = 30.0
_END_SECONDS = 20.0

_log = structlog.get_logger(__name__)


class EdgeProcess:
    """The engine's process on one folder. At most ``most_waiting`` questions wait; each has its time."""

    def __init__(self, folder: Path, settings: Settings, *, most_waiting: int, restart_after: float) -> None:
        """``restart_after`` is a pause in seconds."""
        self._folder = folder
        self._settings = settings
        self._most_waiting = most_waiting
        self._restart_after = restart_after
        self._connection: _Connection | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = 0
        self._up = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The engine's process, while there is one."""
        return None if self._process is None else self._process.pid

    async def ask(self, question: Question, timeout: float, /) -> Any:  # noqa: ASYNC109 - as in Points
        """Return the answer; implements ``TimedAsk``."""
        connection = self._connection
        if connection is None or connection.lost.done():
            raise _unavailable("is starting again")
        if len(connection.waiting) >= self._most_waiting:
            raise _unavailable(f"has {self._most_waiting} questions waiting")
        self._numbers += 1
        number = self._numbers
        answer = connection.send(Asked(number, time.monotonic() + timeout, question))
        try:
            async with asyncio.timeout(timeout):
                told = await answer
        except TimeoutError:
            raise PointsLate(
                f"The embedded vector store did not answer within {round(timeout * 1000)} ms.", service="qdrant"
            ) from None
        finally:
            connection.waiting.pop(number, None)
        return ANSWER_TO[type(question)].decode(told)

    async def start(self) -> None:
        """Start the engine.

        Raises:
            ConfigurationError: if another process has the folder, or it cannot be used.
            OSError: if the system has no room for a process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", _MODULE, str(self._folder), str(os.getpid())),
                    msgspec.json.encode(self._settings).decode(),
                    stdin=theirs.fileno(),
                    # A Ctrl-C at the terminal is its owner's to hear.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, sock=ours)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await connection.ready
        except (TimeoutError, PointsUnavailable):
            await self._end(connection)
            raise ConfigurationError(f"'qdrant.path': the vector store in {self._folder} does not start") from None
        except FolderRefused as error:
            await self._end(connection)
            raise ConfigurationError(self._words(error)) from None
        except asyncio.CancelledError:
            # Nobody else knows of it.
            await self._end(connection)
            raise
        self._connection = connection
        self._up.set()
        connection.lost.add_done_callback(lambda _: self._up.clear())

    async def until_up(self) -> None:
        """Return when questions are taken, again or still."""
        await self._up.wait()

    async def keep_running(self) -> None:
        """Start it again whenever it dies."""
        while True:
            if self._connection is not None:
                await self._connection.lost
                self._connection = None
            if self._process is not None:
                _log.warning("vector_store_ended", folder=str(self._folder), status=await self._process.wait())
                self._process = None
            await asyncio.sleep(self._restart_after)
            try:
                await self.start()
            except (ConfigurationError, OSError) as error:
                _log.warning("vector_store_does_not_start", error=str(error))

    async def stop(self) -> None:
        """Have it write all down and end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._end(connection)

    async def _end(self, connection: _Connection) -> None:
        connection.close()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _words(self, error: FolderRefused) -> str:
        if error.kind == "held":
            holder = f"process {error.reason}" if error.reason else "another process"
            return (
                f"'qdrant.path': {self._folder} is in use by {holder}: stop it, name another folder, "
                "or name a server with 'qdrant.url'"
            )
        return f"'qdrant.path': {error.reason}"


class FolderRefused(Exception):
    """The engine cannot have the folder; ``kind`` is ``held`` or ``refused``."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class _Connection(asyncio.Protocol):
    """What travels to one process, and the answers that are due."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for frame in frames_of(self._buffer):
            told = ANSWERS.decode(frame)
            if told.number:
                self._answered(told.number, told.kind, told.answer)
            else:
                self._heard(told.kind, told.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        # Whoever waits for an answer finds it lost, once told.
        if not self.lost.done():
            self.lost.set_result(None)
        for future in (*self.waiting.values(), self.ready):
            if not future.done():
                future.set_exception(_unavailable("has ended"))
                # Nobody may be waiting for the start any more.
                future.exception()

    def send(self, asked: Asked) -> asyncio.Future[msgspec.Raw]:
        """Return what the answer will be."""
        assert self._transport is not None
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self.waiting[asked.number] = future
        self._transport.write(framed(asked))
        return future

    def close(self) -> None:
        """Tell the process to end."""
        if self._transport is not None:
            self._transport.close()

    def _answered(self, number: int, kind: str, answer: msgspec.Raw) -> None:
        future = self.waiting.get(number)
        if future is None or future.done():
            return
        if kind:
            future.set_exception(_unavailable(f"refused: {TEXT.decode(answer)}"))
        else:
            future.set_result(answer)

    def _heard(self, kind: str, news: msgspec.Raw) -> None:
        if kind == "note":
            _log.warning("vector_store_note", note=TEXT.decode(news))
        elif kind == "ready":
            self.ready.set_result(None)
        else:
            self.ready.set_exception(FolderRefused(kind, TEXT.decode(news)))


@asynccontextmanager
async def running_engine(process: EdgeProcess) -> AsyncGenerator[None]:
    """Have the engine run.

    Raises:
        ConfigurationError: if it cannot, or its package is missing.
    """
    if find_spec("qdrant_edge") is None:
        raise ConfigurationError(
            "'qdrant.path': the embedded vector store needs the package qdrant-edge-py, which is missing: install it "
            "with `pip install 'penstock-common[qdrant]'`, or name a server with 'qdrant.url'"
        )
    await process.start()
    try:
        async with running(process.keep_running()):
            yield
    finally:
        await process.stop()


def _unavailable(what: str) -> PointsUnavailable:
    return PointsUnavailable(f"The embedded vector store {what}.", service="qdrant")
