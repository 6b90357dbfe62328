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
_MOST_UNFORESEEN = 5
"""Failures in a row, for reasons that nobody has foreseen, after which a version has failed."""

_log = structlog.get_logger(__name__)


class BuildPace(NamedTuple):
    """Chunks a second, seconds that a version is held, and what is kept of old ones."""

    rate: float
    lease: float
    kept: int
    kept_for: timedelta


class _Trouble(NamedTuple):
    """What a version has had without a break: pauses, in seconds, and failures for reasons that nobody has foreseen."""

    pause: float = 0.0
    unforeseen: int = 0

    def once_more(self, *, is_unforeseen: bool = False) -> _Trouble:
        pause = min(max(2 * self.pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        return _Trouble(pause, self.unforeseen + is_unforeseen)


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
        self._troubles: dict[tuple[str, str, int], _Trouble] = {}

    def awaken(self) -> None:
        """Look at once whether something is to be built."""
        self._waiting.set()

    async def run(self) -> None:
        """Build what is to be built, and collect what is old, for ever."""
        collected = 0.0
        while True:
            try:
                while await self.build_some():
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

    async def build_some(self) -> bool:
        """Add some documents to the version whose turn it is; return whether there was one.

        One that has to wait, such as for its provider, holds no other up.
        """
        index = await self._versions.take(self._pace.lease)
        if index is None:
            return False
        name = index.tenant, index.base, index.version
        try:
            await self._go_on(index)
        except (ModelNotFound, ResourceState, InvalidRequest) as error:
            await self._versions.fail(index, error.message)
        except (PenstockError, OSError) as error:
            # A provider that says 429, or a store that is away: slower, and again.
            _log.warning("building_waits", index=index.version, base=index.base, reason=str(error))
            await self._put_back(index, self._troubles.get(name, _Trouble()).once_more())
        except Exception as error:  # noqa: BLE001 - nobody has foreseen it: a version must not be built for ever
            _log.error("building_failed", index=index.version, base=index.base, exc_info=error)
            trouble = self._troubles.get(name, _Trouble()).once_more(is_unforeseen=True)
            if trouble.unforeseen < _MOST_UNFORESEEN:
                await self._put_back(index, trouble)
            else:
                await self._versions.fail(
                    index, f"It failed {trouble.unforeseen} times: {error or type(error).__name__}"
                )
        else:
            self._troubles.pop(name, None)
        return True

    async def _put_back(self, index: IndexRef, trouble: _Trouble) -> None:
        self._troubles[index.tenant, index.base, index.version] = trouble
        await self._versions.put_back(index, trouble.pause)

    async def _go_on(self, index: IndexRef) -> None:
        """Add some documents, or end the building where there are no more."""
        found = await self._versions.missing(index, _SOME)
        for unbuilt in found:
            if not await self._add(index, unbuilt):
                await self._heap.add(Garbage(0, "index", index, "", 0))
                self._sweeper.leave()
                return
        self._preparing.checkpoint("finish")
        if not found:
            await self._versions.finish(index)

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
