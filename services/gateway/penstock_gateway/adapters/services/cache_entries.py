"""The cache's entries as a port; who administers them is told of failures."""

from __future__ import annotations

from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryPage,
    EntryQuery,
    ExplainRequest,
    Explanation,
    LookupRequest,
    LookupResponse,
    StoreRequest,
)
from penstock_common.contract.wire.cache import LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import (
    DELETE_ENTRIES,
    DISPUTE,
    EXPLAIN,
    LIST_ENTRIES,
    ROTATE_KEYS,
    SHRED_TENANT,
)
from penstock_common.rpc.client import Channel

_SECONDS = 20.0


class CacheEntriesClient:
    """Implements ``KeptEntries``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, query: EntryQuery) -> EntryPage:
        """Return a page of a tenant's entries."""
        return await self._channel.call(LIST_ENTRIES, query, timeout=_SECONDS)

    async def delete(self, deletion: Deletion) -> int:
        """Return how many entries were deleted, or would be."""
        return await self._channel.call(DELETE_ENTRIES, deletion, timeout=_SECONDS)

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Return whether an answer to one text would be given to another."""
        return await self._channel.call(EXPLAIN, request, timeout=_SECONDS)

    async def dispute(self, dispute: Dispute) -> bool:
        """Remove an entry that was wrong; return whether there was one."""
        return await self._channel.call(DISPUTE, dispute, timeout=_SECONDS)

    async def shred(self, tenant: str) -> int:
        """Destroy a tenant's keys; return how many entries were deleted beside them."""
        return await self._channel.call(SHRED_TENANT, tenant, timeout=_SECONDS)

    async def rotate_keys(self, tenant: str) -> int:
        """Give a tenant, or every one, a new key; return how many have one."""
        return await self._channel.call(ROTATE_KEYS, tenant, timeout=_SECONDS)

    async def find(self, request: LookupRequest) -> LookupResponse:
        """Return what a request would be answered with."""
        return await self._channel.call(LOOKUP, request, timeout=_SECONDS)

    async def put(self, request: StoreRequest) -> str:
        """Keep an answer; return why it was refused, nothing where it is kept."""
        return await self._channel.call(STORE, request, timeout=_SECONDS)
