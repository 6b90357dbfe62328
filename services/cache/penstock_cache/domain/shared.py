"""The tier that processes share, as the cache sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from penstock_cache.domain.entry import Entry, EntryKey
from penstock_common.contract.cache import Scope


class SharedTier(Protocol):
    """Keeps entries for every process of the role; only ``invalidate`` ever raises."""

    async def get(self, key: EntryKey) -> Entry | None:
        """Return the entry, or None where there is none, or where the tier does not answer in time."""
        ...

    def put(self, key: EntryKey, entry: Entry, time_to_live: timedelta) -> None:
        """Have the entry kept, if the tier can be reached, and wait for nothing: what is asked later comes after."""
        ...

    async def generation(self, scope: Scope) -> str:
        """Return the scope's generation, new after every invalidation; empty if the tier does not answer in time."""
        ...

    async def invalidate(self, scope: Scope) -> int:
        """Give the scope a new generation, delete its entries, return how many those were.

        Raises:
            ServiceUnavailable: if the generation could not be changed, so that old entries may still serve.
        """
        ...


class NoSharedTier:
    """Stands where there is no Redis: memory is the whole cache."""

    async def get(self, key: EntryKey) -> Entry | None:
        """Return None."""

    def put(self, key: EntryKey, entry: Entry, time_to_live: timedelta) -> None:
        """Keep nothing."""

    async def generation(self, scope: Scope) -> str:
        """Return the one generation: memory is invalidated by dropping entries."""
        return ""

    async def invalidate(self, scope: Scope) -> int:
        """Return 0."""
        return 0
