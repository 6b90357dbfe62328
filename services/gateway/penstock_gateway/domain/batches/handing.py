"""Hands lines of batches to providers that answer many at once, later, at their price; who answers them is told by the life of each.

A line's job goes through its life up to the moment where a model would be asked. Then what it would be asked is kept, its place
and its reservation are given back, and the job waits. Parts of what waits are handed over by who carries the batch on. What comes back wakes the
job, whose life begins anew and is given the answer that is there: guards, limits, budgets and the bill are those of any request.
What no provider answered is asked by itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec
import structlog

from penstock_common.contract.inference import RunnableModel
from penstock_common.contract.upstream_batches import (
    BegunUpstreamBatch,
    KeptAnswer,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchLine,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
    UpstreamBatchState,
)
from penstock_common.errors import InvalidRequest, PenstockError, ResourceNotFound, UnsupportedParameter
from penstock_common.llm.types import Candidate, GenerationInput, UnsupportedFields
from penstock_gateway.domain.batches.batch import Batch, BatchState
from penstock_gateway.domain.jobs.job import Job

_ID_BYTES = 12
_MODELS_SECONDS = 30.0
_MOST_POLL_DOUBLINGS = 5
# A provider that ends a batch has this long, so that what it has answered is told within the batch's window.
BEFORE_THE_END = timedelta(minutes=15)
# Whoever finds a part that cannot be begun so often asks its lines one by one.
_MOST_TRIES = 5
MOST_LINE_BYTES = 4 * 1024 * 1024
"""Of what a line asks; a longer one is asked by itself."""

_log = structlog.get_logger(__name__)


class LineState(StrEnum):
    """How a line stands that was to be handed over."""

    WAITING = "waiting"
    HANDED = "handed"
    """It is in a part."""
    ANSWERED = "answered"
    ALONE = "alone"
    """It is asked by itself."""


class HandedLine(msgspec.Struct, frozen=True):
    """A line that was to be handed over; ``kept`` where it was answered."""

    state: LineState
    candidate: Candidate
    kept: KeptAnswer | None = None


class AskedLine(msgspec.Struct, frozen=True):
    """What a line asks of whom, as it is kept."""

    candidate: Candidate
    input: GenerationInput
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines of a batch that a provider is handed together. ``upstream_id`` is the provider's own; empty until it is known.

    ``tries`` is how often the provider was asked to begin it, from ``prepared_at`` on.
    """

    id: str
    candidate: Candidate
    unsupported: UnsupportedFields
    prepared_at: datetime
    next_at: datetime
    upstream_id: str = ""
    tries: int = 0
    looks: int = 0
    is_cancelled: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """What of a batch's lines waits: ``ready`` for a part, of all that are ``parked``; the oldest of those since then."""

    ready: int = 0
    parked: int = 0
    since: datetime | None = None


class HandedStore(Protocol):
    """Where it is kept which lines were handed over. What changes parts is refused as in ``BatchStore``, by ``CarriedElsewhere``."""

    async def find(self, job: Job) -> HandedLine | None:
        """Return how the line of a job stands; None where it was not to be handed over."""
        ...

    async def park(self, job: Job, asked: AskedLine, now: datetime) -> None:
        """Keep what a line asks, for a part."""
        ...

    async def leave_alone(self, job: Job) -> None:
        """Have a line be asked by itself from now on."""
        ...

    async def waiting(self, batch: Batch) -> Waiting:
        """Return what waits."""
        ...

    async def parts(self, batch: Batch) -> Sequence[Part]:
        """Return the parts that have not ended."""
        ...

    async def prepare(self, batch: Batch, part_id: str, most: tuple[int, int], now: datetime) -> Part | None:
        """Make a part of lines that wait, at most so many and of so many bytes, all for one model; None where none wait."""
        ...

    async def tried(self, batch: Batch, part: Part) -> None:
        """Note that the provider is about to be asked to begin a part."""
        ...

    async def lines(self, batch: Batch, part: Part) -> Sequence[UpstreamBatchLine]:
        """Return what the lines of a part ask, by the ids of their jobs."""
        ...

    async def begun(self, batch: Batch, part: Part, upstream_id: str, refused: Sequence[str], now: datetime) -> None:
        """Note under which id the provider has a part, without the lines that it does not take."""
        ...

    async def looked(self, batch: Batch, part: Part, next_at: datetime, *, is_cancelled: bool) -> None:
        """Note when a part is looked at again, and whether its end was asked for."""
        ...

    async def answered(self, batch: Batch, answers: Sequence[UpstreamBatchAnswer]) -> None:
        """Keep answers of lines that were handed over; of two for one line the first."""
        ...

    async def end(self, batch: Batch, part: Part, now: datetime) -> tuple[int, int]:
        """Have all lines of a part go on, and return how many were answered, and how many are asked by themselves."""
        ...


class BatchAnswers(Protocol):
    """Answers as they come. Whoever opens them closes them."""

    def __aiter__(self) -> AsyncIterator[tuple[UpstreamBatchAnswer, ...]]:
        """Iterate once."""
        ...

    async def aclose(self) -> None:
        """End it."""
        ...


class BatchProviders(Protocol):
    """The inference service, as far as batches of upstreams go; see ``UpstreamBatchService``."""

    async def models(self) -> Sequence[RunnableModel]:
        """Return every model of every upstream."""
        ...

    async def begin_batch(self, order: UpstreamBatchOrder) -> BegunUpstreamBatch:
        """Hand requests over."""
        ...

    async def batch(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Return how a batch stands."""
        ...

    async def cancel_batch(self, place: UpstreamBatchPlace) -> UpstreamBatch:
        """Ask for a batch's end."""
        ...

    def read_batch(self, place: UpstreamBatchPlace) -> BatchAnswers:
        """Yield what a batch was answered with."""
        ...


class HandingObserver(Protocol):
    """Counts; never raises, and returns at once."""

    def handed(self, upstream: str, lines: int) -> None:
        """See lines be handed over."""
        ...

    def came_back(self, upstream: str, answered: int, alone: int) -> None:
        """See a part end: how many of its lines were answered, and how many are asked by themselves."""
        ...


class HandingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How lines are handed over."""

    most_lines: int = 2_000
    """Of one part."""
    most_bytes: int = 8 * 1024 * 1024
    """Of what the lines of one part ask."""
    wait: timedelta = timedelta(minutes=1)
    """How long a line waits for others at most."""
    poll: timedelta = timedelta(seconds=15)
    """Until a part is looked at; twice as long before each further look, up to 32 times."""


class Handing:
    """Hands lines over, and brings back what was answered."""

    def __init__(self, store: HandedStore, providers: BatchProviders, terms: HandingTerms) -> None:
        self.store = store
        self.observer: HandingObserver | None = None
        """Who counts."""
        self._providers = providers
        self._terms = terms
        self._known: frozenset[Candidate] = frozenset()
        self._known_until = 0.0

    async def takes(self, candidate: Candidate) -> bool:
        """Return whether a model's upstream takes batches, as it was half a minute ago; False while nobody says so."""
        if time.monotonic() >= self._known_until:
            try:
                models = await self._providers.models()
            except PenstockError:
                return False
            self._known = frozenset([model.candidate for model in models if model.takes_batches])
            self._known_until = time.monotonic() + _MODELS_SECONDS
        return candidate in self._known

    async def carry(self, batch: Batch, still_open: int, now: datetime) -> int:
        """Do what there is to do now for a batch that has so many jobs that have not ended; return how many wait for providers.

        Raises:
            CarriedElsewhere: as ``BatchStore``.
            PenstockError: why a provider was not asked; it is asked again later.
        """
        is_ending = batch.state is BatchState.CANCELLING or now >= batch.expires_at - BEFORE_THE_END
        for part in await self.store.parts(batch):
            if part.next_at <= now or (is_ending and not part.is_cancelled):
                await self._go_on(batch, part, now, is_ending=is_ending)
        waiting = await self.store.waiting(batch)
        while not is_ending and self._is_time(batch, waiting, still_open, now):
            most = self._terms.most_lines, self._terms.most_bytes
            part = await self.store.prepare(batch, f"part_{secrets.token_hex(_ID_BYTES)}", most, now)
            if part is None:
                break
            await self._go_on(batch, part, now, is_ending=False)
            waiting = await self.store.waiting(batch)
        if is_ending and waiting.ready:
            await self._let_go(batch, now)
        return waiting.parked

    def _is_time(self, batch: Batch, waiting: Waiting, still_open: int, now: datetime) -> bool:
        if not waiting.ready or waiting.since is None:
            return False
        is_all = batch.submitted >= batch.total and waiting.parked >= still_open
        return is_all or waiting.ready >= self._terms.most_lines or now - waiting.since >= self._terms.wait

    async def _let_go(self, batch: Batch, now: datetime) -> None:
        """Have what waits for a part be asked by itself: no provider would be done in time."""
        most = self._terms.most_lines, self._terms.most_bytes
        while (part := await self.store.prepare(batch, f"part_{secrets.token_hex(_ID_BYTES)}", most, now)) is not None:
            await self.store.end(batch, part, now)

    async def _go_on(self, batch: Batch, part: Part, now: datetime, *, is_ending: bool) -> None:
        if not part.upstream_id:
            begun = await self._begin(batch, part, now)
            if begun is None:
                return
            part = begun
        place = UpstreamBatchPlace(part.candidate, part.upstream_id)
        try:
            if is_ending and not part.is_cancelled:
                told = await self._providers.cancel_batch(place)
            else:
                told = await self._providers.batch(place)
        except ResourceNotFound as error:
            _log.error("provider_batch_gone", batch=batch.id, part=part.id, reason=error.message)
            await self._end(batch, part, now)
            return
        if told.state is UpstreamBatchState.OPEN:
            wait = self._terms.poll * 2 ** min(part.looks, _MOST_POLL_DOUBLINGS)
            await self.store.looked(batch, part, now + wait, is_cancelled=is_ending)
            return
        if told.state is UpstreamBatchState.ENDED:
            async with aclosing(self._providers.read_batch(place)) as several:
                async for answers in several:
                    await self.store.answered(batch, answers)
        else:
            _log.warning("provider_batch_refused", batch=batch.id, part=part.id, reason=told.reason)
        await self._end(batch, part, now)

    async def _begin(self, batch: Batch, part: Part, now: datetime) -> Part | None:
        """Have the provider begin a part, unless it did so before; None where its lines are asked by themselves."""
        await self.store.tried(batch, part)
        lines = await self.store.lines(batch, part)
        order = UpstreamBatchOrder(
            candidate=part.candidate,
            name=part.id,
            lines=tuple(lines),
            maybe_begun_since=part.prepared_at - timedelta(minutes=5) if part.tries else None,
            unsupported=part.unsupported,
        )
        try:
            begun = await self._providers.begin_batch(order)
        except (InvalidRequest, UnsupportedParameter) as error:
            _log.warning("provider_batch_not_begun", batch=batch.id, part=part.id, reason=error.message)
            await self._end(batch, part, now)
            return None
        except PenstockError as error:
            if part.tries + 1 < _MOST_TRIES:
                raise
            _log.warning("provider_batch_not_begun", batch=batch.id, part=part.id, reason=error.message)
            await self._end(batch, part, now)
            return None
        if begun.batch is None:
            await self._end(batch, part, now)
            return None
        await self.store.begun(batch, part, begun.batch.id, begun.refused_lines, now)
        if self.observer is not None:
            self.observer.handed(part.candidate.upstream, len(lines) - len(begun.refused_lines))
        return msgspec.structs.replace(part, upstream_id=begun.batch.id)

    async def _end(self, batch: Batch, part: Part, now: datetime) -> None:
        answered, alone = await self.store.end(batch, part, now)
        if self.observer is not None:
            self.observer.came_back(part.candidate.upstream, answered, alone)
