"""Building an index version beside the one that serves, no faster than it may."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import NamedTuple

import structlog

from penstock_common.errors import InvalidRequest, ModelNotFound, PenstockError, ResourceState
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.preparing import Preparing, Whose
from penstock_embedding.domain.knowledge.records import Garbage, Unbuilt
from penstock_embedding.domain.knowledge.stores import GarbageHeap, Versions
from penstock_embedding.domain.knowledge.sweeping import Sweeper

_SOME = 8
_LOOK_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_COLLECT_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class BuildPace(NamedTuple):
    """Chunks a second, seconds that a version is held, and what is kept of old ones."""

    rate: float
    lease: float
    kept: int
    kept_for: timedelta


class Builder:
    """Builds whatever is to be built, for as long as it runs; one that is killed goes on where it was."""

    def __init__(
        self,
        versions: Versions,
        heap: GarbageHeap,
        preparing: Preparing,
        sweeper: Sweeper,
        pace: BuildPace,
    ) -> None:
        self._versions = versions
        self._heap = heap
        self._preparing = preparing
        self._sweeper = sweeper
        self._pace = pace
        self._waiting = asyncio.Event()
        self._free_at = 0.0

    def awaken(self) -> None:
        """Look at once whether something is to be built."""
        self._waiting.set()

    async def run(self) -> None:
        """Build what is to be built, and collect what is old, for ever."""
        collected = 0.0
        while True:
            try:
                while await self.build_one():
                    pass
                if time.monotonic() - collected > _COLLECT_SECONDS:
                    await self._versions.collect(self._pace.kept, self._pace.kept_for)
                    collected = time.monotonic()
                    self._sweeper.leave()
            except Exception as error:  # noqa: BLE001 - whatever is away comes back
                _log.warning("building_waits", reason=str(error) or type(error).__name__)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._waiting.wait()
            except TimeoutError:
                continue
            self._waiting.clear()

    async def build_one(self) -> bool:
        """Build one version to its end; return whether there was one."""
        index = await self._versions.take(self._pace.lease)
        if index is None:
            return False
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                if await self._go_on(index):
                    return True
            except (ModelNotFound, ResourceState, InvalidRequest) as error:
                await self._versions.fail(index, error.message)
                return True
            except PenstockError as error:
                # A provider that says 429, or a store that is away: slower, and again.
                _log.warning("building_waits", index=index.version, base=index.base, reason=error.message)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                pause = _FIRST_PAUSE_SECONDS

    async def _go_on(self, index: IndexRef) -> bool:
        """Add some documents; return whether the building has ended."""
        found = await self._versions.missing(index, _SOME)
        for unbuilt in found:
            if not await self._add(index, unbuilt):
                await self._heap.add(Garbage(0, "index", index, "", 0))
                self._sweeper.leave()
                return True
        self._preparing.checkpoint("finish")
        return not found and await self._versions.finish(index)

    async def _add(self, index: IndexRef, unbuilt: Unbuilt) -> bool:
        document = unbuilt.document
        of_version = type(document)(
            id=document.id,
            knowledge_base=document.knowledge_base,
            version=unbuilt.version,
            labels=document.labels,
            attributes=document.attributes,
            filename=document.filename,
        )
        whose = Whose(of_version, unbuilt.fingerprint)
        made = await self._preparing.prepare(index, whose, unbuilt.readout, self._slow_down)
        self._preparing.checkpoint("build commit")
        return await self._versions.add(unbuilt, made)

    async def _slow_down(self, chunks: int) -> None:
        """Return when so many more may be embedded."""
        moment = time.monotonic()
        self._free_at = max(self._free_at, moment) + chunks / self._pace.rate
        await asyncio.sleep(self._free_at - moment)
