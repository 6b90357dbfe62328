"""What keeps the entries in bounds: hits are written to them, expired ones go, and the least worth go first."""

from __future__ import annotations

import asyncio
import heapq
from datetime import timedelta

from penstock_cache.domain.meaning.entry import worth
from penstock_cache.domain.meaning.keeping import Keeper
from penstock_cache.domain.meaning.policy import Bounds
from penstock_cache.domain.meaning.shelf import BACKGROUND_SECONDS, Shelf
from penstock_cache.domain.meaning.tier import FAILURES, World

INTERVAL = timedelta(seconds=5)
_KEPT_OF_FULL = 0.9
"""What is left after an eviction, so that not every store evicts."""


class Upkeep:
    """Runs beside the requests; what fails is tried again at the next turn."""

    def __init__(self, world: World, keeper: Keeper, bounds: Bounds) -> None:
        self._world = world
        self._keeper = keeper
        self._bounds = bounds
        self._now = world.clocks[0]

    async def run(self) -> None:
        """Take a turn every ``INTERVAL``, for ever."""
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            await self.turn()

    async def turn(self) -> None:
        """Write hits, sweep, and evict where tenants have stored."""
        maker = self._world.vectors.maker
        if maker is None:
            return
        try:
            await self._world.library.register(maker)
            for tenant, hits in self._world.hits.take().items():
                await self._write_hits(await self._world.library.shelf(tenant, maker), hits)
            for points in self._world.library.every_points():
                await points.sweep("kept_until", self._now())
            size = await self._world.library.points(maker).size()
            self._world.counts.entries = size
            for tenant in sorted(self._keeper.stored_since):
                shelf = await self._world.library.shelf(tenant, maker)
                self._keeper.stored_since.discard(tenant)
                size -= await self._evict(shelf, size)
            await self._end_trouble()
        except FAILURES as error:
            self._world.counts.entries = None
            self._world.troubles.note(error)

    async def _end_trouble(self) -> None:
        """Forget a failure that is over, also where nobody looks any more."""
        if self._world.troubles.latest:
            await self._world.vectors.check(BACKGROUND_SECONDS)
            self._world.troubles.clear()

    async def _write_hits(self, shelf: Shelf, hits: dict[str, int]) -> None:
        # Replicas that write at the same moment lose some: the number says what an entry is worth, and is no account.
        for entry_id, entry in (await shelf.get(sorted(hits))).items():
            await shelf.change(entry_id, {"hits": entry.card.hits + hits[entry_id]})

    async def _evict(self, shelf: Shelf, size: int) -> int:
        """Delete the least worth of a tenant's entries where it, or all together, have too many; return how many."""
        count = await shelf.count(shelf.where())
        least = max(
            count - int(self._bounds.max_entries_of_a_tenant * _KEPT_OF_FULL)
            if count > self._bounds.max_entries_of_a_tenant
            else 0,
            # Whoever fills the store pays for it.
            min(count, size - int(self._bounds.max_entries * _KEPT_OF_FULL)) if size > self._bounds.max_entries else 0,
        )
        if least <= 0:
            return 0
        now = self._now()
        valued = [
            (worth(entry.card, now), entry.card.root) async for entry in shelf.all(shelf.where()) if not entry.is_alias
        ]
        evicted = 0
        for _, root in heapq.nsmallest(least, valued):
            evicted += await shelf.delete(shelf.where(root=root))
            if evicted >= least:
                break
        self._world.counts.evicted += evicted
        return evicted
