"""One reading process, as the service sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import assert_never

import msgspec

from penstock_common.errors import Overloaded
from penstock_embedding.adapters.parsing.messages import LENGTH, Job, Read, Ready, Refused, Reply
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed

_MODULE = "penstock_embedding.adapters.parsing.worker"
_ENVIRONMENT = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Where code is. What else stands there, keys above all, is not for a reader of documents."""
_START_SECONDS = 60
_REPLY_BYTES_BESIDE = 1024 * 1024
_BYTES_PER_CHARACTER = 4
_BYTES_PER_BLOCK = 32


class ProcessLost(Exception):
    """The process has ended; ``status`` is as of ``Process.returncode``, or None if what it said was nonsense."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"a reading process ended: {status}")
        self.status = status


class ReadingProcess:
    """A confined interpreter that reads one document at a time."""

    def __init__(self, process: Process, limits: ParsingLimits) -> None:
        self._process = process
        self._limits = limits
        self._decoder = msgspec.msgpack.Decoder(Reply)
        self._most_bytes = (
            limits.output_characters * _BYTES_PER_CHARACTER + limits.blocks * _BYTES_PER_BLOCK + _REPLY_BYTES_BESIDE
        )
        self.documents = 0
        self.peak_bytes = 0

    @classmethod
    async def start(cls, limits: ParsingLimits) -> ReadingProcess:
        """Return one that waits for documents.

        Raises:
            Overloaded: if none starts.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-B", "-m", _MODULE, msgspec.json.encode(limits).decode(), str(os.getpid())),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT} | {"LC_ALL": "C.UTF-8"},
                # A Ctrl-C at the terminal is its owner's to hear.
                start_new_session=True,
            )
        except OSError as error:
            raise Overloaded(f"No process can be started to read documents: {error}") from error
        started = cls(process, limits)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await started._receive()
        except (TimeoutError, ProcessLost) as error:
            raise Overloaded("The process that reads documents does not start.") from error
        except asyncio.CancelledError:
            # Nobody else knows of it.
            await started.end()
            raise
        return started

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    @property
    def is_worn(self) -> bool:
        """Whether a fresh one should take over."""
        limits = self._limits
        return self.documents >= limits.documents_per_worker or self.peak_bytes >= limits.worker_bytes

    async def read(self, job: Job) -> Parsed:
        """Return what is in a document.

        Raises:
            DocumentRefused: if there is nothing to be had; for one that took too long, the process has been ended.
            ProcessLost: if the process has ended meanwhile.
        """
        self.documents += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._send(job)
                reply = await self._receive()
        except TimeoutError:
            await self.end()
            raise too_slow(self._limits) from None
        match reply:
            case Read():
                self.peak_bytes = reply.peak_bytes
                return _parsed(reply)
            case Refused():
                self.peak_bytes = reply.peak_bytes
                raise DocumentRefused(reply.reason, reply.message, reply.place)
            case Ready():
                raise ProcessLost(None)
            case _:
                assert_never(reply)

    async def end(self) -> None:
        """End it, and wait until it has."""
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _send(self, job: Job) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        message = msgspec.msgpack.encode(job)
        # What breaks here is heard as the end of what it says.
        with suppress(ConnectionError):
            stdin.write(LENGTH.pack(len(message)))
            stdin.write(message)
            await stdin.drain()

    async def _receive(self) -> Reply:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            if length <= self._most_bytes:
                return self._decoder.decode(await stdout.readexactly(length))
        except asyncio.IncompleteReadError:
            raise ProcessLost(await self._process.wait()) from None
        except msgspec.MsgspecError:
            # It no longer does what our code says.
            pass
        await self.end()
        raise ProcessLost(None)


def too_slow(limits: ParsingLimits) -> DocumentRefused:
    """Return why a document is refused that takes too long."""
    return DocumentRefused("timeout", f"It was not read within {limits.seconds:g} seconds. Split it, or save it anew.")


def why_lost(lost: ProcessLost, limits: ParsingLimits) -> DocumentRefused:
    """Return what the end of its process says of the document that it read."""
    if lost.status == -signal.SIGXCPU:
        return too_slow(limits)
    if lost.status == -signal.SIGKILL:
        # Not by us: it is the system that ends what takes the last memory.
        return DocumentRefused("out_of_memory", "Reading it took more memory than there is. Split it.")
    return DocumentRefused("crashed", "Reading it ended the reader. Save it anew, or in another format.")


def _parsed(reply: Read) -> Parsed:
    end = 0
    for block in reply.blocks:
        if not end <= block.start < block.end:
            raise ProcessLost(None)
        end = block.end
    if end > len(reply.text):
        raise ProcessLost(None)
    return Parsed(reply.text, reply.media_type, reply.title, reply.language, reply.blocks, reply.pages)
