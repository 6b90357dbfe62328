"""A ``Parser`` whose documents are read in processes apart: what one does there harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from penstock_common.errors import Overloaded
from penstock_embedding.adapters.parsing.messages import Job
from penstock_embedding.adapters.parsing.reading_process import ProcessLost, ReadingProcess, why_lost
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed

_NAME_CHARACTERS = 1024


class SandboxedParser:
    """Keeps a few reading processes, started when documents come."""

    def __init__(self, limits: ParsingLimits) -> None:
        self._limits = limits
        self._idle: list[ReadingProcess] = []
        self._busy: list[ReadingProcess] = []
        self._free = asyncio.Semaphore(limits.workers)
        self._waiting = 0
        self._is_closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, limits: ParsingLimits) -> AsyncGenerator[SandboxedParser, None]:
        """Yield a parser, whose processes end with it; what is being read then is refused."""
        parser = cls(limits)
        try:
            yield parser
        finally:
            parser._is_closed = True
            for process in (*parser._idle, *parser._busy):
                await process.end()

    @property
    def idle_pids(self) -> list[int]:
        """The processes that wait for documents."""
        return [process.pid for process in self._idle]

    @property
    def busy_pids(self) -> list[int]:
        """The processes that read."""
        return [process.pid for process in self._busy]

    async def parse(self, content: bytes, *, filename: str = "", media_type: str = "") -> Parsed:
        """Return the text, as ``Parser`` says."""
        limits = self._limits
        if not content:
            raise DocumentRefused("no_text", "It is empty. Leave it out, or give it a text.")
        if len(content) > limits.input_bytes:
            raise DocumentRefused(
                "too_large", f"It has {len(content)} bytes, more than {limits.input_bytes}. Split it."
            )
        job = Job(content, filename[-_NAME_CHARACTERS:], media_type[:_NAME_CHARACTERS])
        await self._wait_for_turn()
        try:
            return await self._read(job)
        finally:
            self._free.release()

    async def _wait_for_turn(self) -> None:
        if self._free.locked() and self._waiting >= self._limits.waiting:
            raise Overloaded(f"{self._limits.waiting} documents wait to be read already.")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    async def _read(self, job: Job) -> Parsed:
        process = await self._idle_or_new()
        if process.documents == 0:
            return await self._read_in(process, job)
        try:
            return await self._read_in(process, job)
        except DocumentRefused as refused:
            # A process has memory left of what it read before: only a fresh one can say that it is this document's.
            if refused.reason not in {"out_of_memory", "crashed"}:
                raise
        return await self._read_in(await ReadingProcess.start(self._limits), job)

    async def _idle_or_new(self) -> ReadingProcess:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
        return await ReadingProcess.start(self._limits)

    async def _read_in(self, process: ReadingProcess, job: Job) -> Parsed:
        is_whole = False
        self._busy.append(process)
        try:
            parsed = await process.read(job)
            is_whole = True
            return parsed
        except DocumentRefused as refused:
            is_whole = refused.reason != "out_of_memory" and process.is_alive
            raise
        except ProcessLost as lost:
            raise why_lost(lost, self._limits) from None
        finally:
            self._busy.remove(process)
            if is_whole and not process.is_worn and not self._is_closed:
                self._idle.append(process)
            else:
                await process.end()
