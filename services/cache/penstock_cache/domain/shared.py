"""The tier that processes share, as the cache sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from penstock_cache.domain.entry import Entry, EntryKey
from penstock_common.contract.cache import Scope

MAX_SCOPES = 10_000


class SharedTier(Protocol):
    """Keeps entries for every process of the role; only ``invalidate`` ever raises."""

    async def get(self, key: EntryKey) -> Entry | None:
        """Return the entry, or None where there is none, or where the tier does not answer in time."""
        ...

    def put(self, key: EntryKey, entry: Entry, time_to_live: timedelta) -> None:
        """Have the entry kept, if the tier can take it now, and wait for nothing: what is asked later comes after."""
        ...

    def keep_for(self, longest: timedelta) -> None:
        """Expect entries that live for at most so long."""
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
    """Stands where there is no Redis: memory is the whole cache, and generations are this process's."""

    def __init__(self) -> None:
        self._changed: dict[Scope, int] = {}
        self._changes = 0

    async def get(self, key: EntryKey) -> Entry | None:
        """Return None."""

    def put(self, key: EntryKey, entry: Entry, time_to_live: timedelta) -> None:
        """Keep nothing."""

    def keep_for(self, longest: timedelta) -> None:
        """Change nothing."""

    async def generation(self, scope: Scope) -> str:
        """Return when something was last invalidated that the scope lies in."""
        tenant, model = scope
        within = (scope, Scope(tenant, ""), Scope("", model), Scope("", ""))
        return str(max(self._changed.get(each, 0) for each in within))

    async def invalidate(self, scope: Scope) -> int:
        """Return 0: entries are in memory alone."""
        self._changes += 1
        if len(self._changed) >= MAX_SCOPES:
            # What has been voided stays so.
            self._changed = {Scope("", ""): self._changes}
        self._changed[scope] = self._changes
        return 0
