"""What an attempt tells while it runs: gathered for a moment and kept as one event, so that a token is not a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import Batch, GenerationEvent, ReasoningDelta, TextDelta, Usage
from penstock_gateway.domain.jobs.events import AttemptStarted, Generated, JobEvent, Progressed
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.embeddings import EmbeddingExchange

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = 0.5

Keep = Callable[[Sequence[JobEvent], tuple[int, int]], Awaitable[bool]]
"""Keeps events, and how far the job is, once however often it is asked to; returns whether the job is still held."""


class Owner(Protocol):
    """Whoever has a job run at once, in this process, and listens to it without the database between."""

    @property
    def readers(self) -> int:
        """How many wait for it; where nobody does any more, what fails for now is tried again later."""
        ...

    def began(self, exchange: ChatExchange | EmbeddingExchange) -> None:
        """See the request begin, before anything of it has happened."""
        ...

    def given(self, batch: Batch) -> None:
        """See a part of its answer, at once, and before it is kept."""
        ...

    def ended(self, error: BaseException | None, *, is_kept: bool) -> None:
        """See the attempt end, well or by ``error``; ``is_kept``: the job has ended so, and others see that as well."""
        ...


class Report:
    """What one attempt tells. ``AttemptStarted`` goes before all else; ``is_quiet``: with it, as nobody waits for it."""

    def __init__(self, started: AttemptStarted, keep: Keep, interval: float, *, is_quiet: bool = False) -> None:
        self.done, self.total = 0, 0
        """How far it is, in the job's own units."""
        self.is_lost = False
        """Whether what is told is not wanted any more."""
        self._keep = keep
        self._interval = interval
        self._told: list[JobEvent] = [started]
        self._generated: list[GenerationEvent] = []
        self._closing, self._news = asyncio.Event(), asyncio.Event()
        if not is_quiet:
            self._news.set()

    def generated(self, batch: Batch) -> None:
        """Tell a part of an answer; how far it is follows from it, in tokens, as far as those are known."""
        self._generated += batch
        for event in batch:
            if isinstance(event, TextDelta | ReasoningDelta):
                self.done += estimated_tokens(event.text)
            elif isinstance(event, Usage):
                self.done = self.total = event.output_tokens
        self._news.set()

    def progressed(self, done: int, total: int) -> None:
        """Tell how far it is."""
        if (done, total) != (self.done, self.total):
            self.done, self.total = done, total
            self._told.append(Progressed(done, total))
            self._news.set()

    def untold(self) -> Sequence[JobEvent]:
        """Return what is not kept, for whoever keeps it now."""
        told, self._told = self._told, []
        if self._generated:
            told.append(Generated(tuple(merge_deltas(self._generated))))
            self._generated = []
        return told

    def close(self) -> None:
        """Have ``run`` return once what it has in hand is kept; what is told from now on is left to who keeps the end."""
        self._closing.set()
        self._news.set()

    async def run(self) -> None:
        """Keep what is told, every so often, until it is closed or the job is lost.

        What cannot be kept for another reason than that the database is away is kept with the end.
        """
        while not self._closing.is_set():
            await self._news.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._interval)
            if self._closing.is_set():
                return
            self._news.clear()
            told = self.untold()
            try:
                is_kept = await self._kept(told)
            except Exception as error:  # noqa: BLE001 - whatever it is: who keeps the end keeps these before it
                _log.error("job_events_not_kept", events=len(told), exc_info=error)
                self._told[:0] = told
                return
            if not is_kept:
                self.is_lost = True
                return

    async def _kept(self, told: Sequence[JobEvent]) -> bool:
        while True:
            try:
                return await self._keep(told, (self.done, self.total))
            except ServiceUnavailable:
                # It may be there already, so it is neither left out nor told twice: who keeps it sees which.
                await asyncio.sleep(_RETRY_SECONDS)
