"""Taking documents in: each is read, cut, embedded and put, and then found, whole and at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from penstock_common.contract.knowledge import Document, DocumentFailure
from penstock_common.errors import (
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PenstockError,
    RateLimited,
    ResourceState,
)
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parser
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.preparing import Preparing, Whose
from penstock_embedding.domain.knowledge.records import Garbage, Key, Made, Readout, Taken
from penstock_embedding.domain.knowledge.stores import Bases, GarbageHeap, Taking, Versions
from penstock_embedding.domain.knowledge.sweeping import Sweeper

_LONGEST_PAUSE_SECONDS = 60.0
_LOOK_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """How documents are taken in: at once, times that each is tried, and seconds.

    ``small_bytes`` is the most of a small document: there is one worker more for these, so that they need not wait until
    large ones end; 0 for none.
    """

    workers: int
    attempts: int
    first_pause: float
    lease: float
    small_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Stores:
    """Where what is taken in stands."""

    taking: Taking
    versions: Versions
    bases: Bases
    heap: GarbageHeap


class Ingest:
    """Takes in whatever waits, for as long as it runs; one that is killed has left nothing half."""

    def __init__(self, stores: Stores, parser: Parser, preparing: Preparing, sweeper: Sweeper, pace: Pace) -> None:
        self._stores = stores
        self._parser = parser
        self._preparing = preparing
        self._sweeper = sweeper
        self._pace = pace
        self._waiting = asyncio.Event()
        self._at_work: set[Key] = set()
        self._put: dict[Key, int] = {}
        self.vectors_under_way: dict[tuple[str, str], int] = {}
        """Vectors that were put of documents that are not found yet, by tenant and knowledge base."""

    def awaken(self) -> None:
        """Look at once whether something waits."""
        self._waiting.set()

    async def run(self) -> None:
        """Take in what comes, for ever."""
        await self._freed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold())
            for _ in range(self._pace.workers):
                group.create_task(self._work())
            if self._pace.small_bytes:
                group.create_task(self._work(self._pace.small_bytes))

    async def take_one(self, most_bytes: int = 0) -> bool:
        """Take in the one that has waited longest, of those of so many bytes; return whether there was one."""
        taken = await self._stores.taking.take(self._pace.lease, self._pace.attempts, most_bytes)
        if taken is None:
            return False
        self._at_work.add(taken.key)
        try:
            await self._take_in(taken)
        except asyncio.CancelledError:
            # Whoever ends in order has others go on at once.
            with contextlib.suppress(Exception):
                await asyncio.shield(self._stores.taking.put_back(taken, 0.0, tried=False))
            raise
        except Exception as error:  # noqa: BLE001 - a document's trouble is its own
            await self._end_badly(taken, error)
        finally:
            self._at_work.discard(taken.key)
            self._count(taken, -self._put.pop(taken.key, 0))
        return True

    async def _freed(self) -> None:
        while True:
            try:
                await self._stores.taking.free_all()
                await self._stores.versions.free_all()
            except PenstockError as error:
                _log.warning("ingest_waits", reason=str(error))
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def _work(self, most_bytes: int = 0) -> None:
        while True:
            try:
                if await self.take_one(most_bytes):
                    continue
                left = await self._stores.taking.seconds_to_next(most_bytes)
            except Exception as error:  # noqa: BLE001 - whatever is away comes back
                _log.warning("ingest_waits", reason=str(error) or type(error).__name__)
                left = _LOOK_SECONDS
                await asyncio.sleep(self._pace.first_pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_SECONDS, _LOOK_SECONDS if left is None else left + 0.01)):
                    await self._waiting.wait()
                    self._waiting.clear()

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(self._pace.lease / 3)
            try:
                await self.renew()
            except Exception as error:  # noqa: BLE001 - whatever is away comes back
                _log.warning("leases_not_renewed", reason=str(error) or type(error).__name__)

    async def renew(self) -> None:
        """Hold for longer what is worked on here: of what was taken and is not, such as by a lost word, the lease ends."""
        if self._at_work:
            await self._stores.taking.renew(self._pace.lease, tuple(self._at_work))
        await self._stores.versions.renew(self._pace.lease)

    async def _take_in(self, taken: Taken) -> None:
        self._preparing.checkpoint("take")
        content = await self._stores.taking.content(taken)
        if content is None:
            return
        self._preparing.checkpoint("parse")
        parsed = await self._parser.parse(content, filename=taken.filename, media_type=taken.media_type)
        del content
        title = taken.title or parsed.title or taken.filename
        readout = Readout(parsed, title, taken.language or parsed.language)
        made: list[Made] = []
        lacking: Sequence[IndexRef] | None = await self._stores.taking.live_indexes(taken.key.tenant, taken.key.base)
        whose = Whose(await self._document(taken), taken.fingerprint)
        while lacking:
            for index in lacking:
                made += await self._made(index, whose, readout, taken)
            self._preparing.checkpoint("commit")
            lacking = await self._stores.taking.make_current(taken, made, readout)
            self._preparing.checkpoint("committed")
        if lacking is None:
            await self._clean_up_after(taken, made)
        # What this one has replaced is not found any more; its vectors go, too.
        await self._sweeper.sweep_soon()
        self._preparing.checkpoint("cleaned")

    async def _document(self, taken: Taken) -> Document:
        key = taken.key
        found = await self._stores.heap.document(key.tenant, key.base, key.document)
        known = found or Document(id=key.document, knowledge_base=key.base)
        return Document(
            id=key.document,
            knowledge_base=key.base,
            version=taken.version,
            labels=known.labels,
            attributes=known.attributes,
            filename=taken.filename,
        )

    async def _made(self, index: IndexRef, whose: Whose, readout: Readout, taken: Taken) -> list[Made]:
        """Return the document as it is in an index; nothing if the index has to go on without it, and ends thereby."""

        async def count(vectors: int) -> None:
            self._put[taken.key] = self._put.get(taken.key, 0) + vectors
            self._count(taken, vectors)

        try:
            return [await self._preparing.prepare(index, whose, readout, count)]
        except (ModelNotFound, ResourceState) as error:
            serving, _ = await self._stores.versions.previous(taken.key.tenant, taken.key.base)
            if serving == index.version:
                raise
            await self._stores.versions.fail(index, error.message)
            return []

    def _count(self, taken: Taken, vectors: int) -> None:
        place = taken.key.tenant, taken.key.base
        left = self.vectors_under_way.get(place, 0) + vectors
        if left:
            self.vectors_under_way[place] = left
        else:
            self.vectors_under_way.pop(place, None)

    async def _clean_up_after(self, taken: Taken, made: Sequence[Made]) -> None:
        """Have the vectors go of a version that is wanted no more, where a later one is found, or none at all."""
        key = taken.key
        document = await self._stores.heap.document(key.tenant, key.base, key.document)
        if document is None or (document.state == "ready" and document.version > taken.version):
            for one in made:
                await self._stores.heap.add(Garbage(0, "drop", one.index, key.document, taken.version + 1))

    async def _end_badly(self, taken: Taken, error: Exception) -> None:
        failure = _failure_of(error)
        if failure is not None:
            await self._stores.taking.fail(taken, failure)
            return
        if not isinstance(error, PenstockError | OSError):
            _log.error("ingest_failed", document=taken.key.document, exc_info=error)
        # What is only busy is no attempt.
        tried = not isinstance(error, Overloaded | RateLimited)
        if tried and taken.attempts >= self._pace.attempts:
            message = f"It was tried {taken.attempts} times: {error or type(error).__name__}. Put it again later."
            await self._stores.taking.fail(taken, DocumentFailure("unavailable", message))
            return
        pause = min(self._pace.first_pause * 2 ** (taken.attempts - 1), _LONGEST_PAUSE_SECONDS)
        await self._stores.taking.put_back(taken, pause, tried=tried)


def _failure_of(error: Exception) -> DocumentFailure | None:
    """Return why a document can never be taken in; None if another attempt may do it."""
    if isinstance(error, DocumentRefused):
        return DocumentFailure(error.reason, error.message, error.place)
    if isinstance(error, ModelNotFound | ResourceState):
        return DocumentFailure("model", error.message)
    if isinstance(error, InvalidRequest):
        return DocumentFailure("unsupported", error.message)
    return None
