"""Destroying what is of a tenant, and giving it new keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock_cache.domain.secrecy import KeyRing, KeysUnavailable, Shreddable
from penstock_common.errors import InvalidRequest, ServiceUnavailable


class Shredder:
    """Destroys a tenant's keys first, so that what is not deleted then is unreadable."""

    def __init__(self, ring: KeyRing | None, shreddables: Sequence[Shreddable]) -> None:
        """``ring`` is None where the cache is off."""
        self._ring = ring
        self._shreddables = shreddables

    async def shred(self, tenant: str) -> int:
        """Destroy keys and entries of a tenant; return how many entries were deleted. It may be said again.

        Raises:
            InvalidRequest: if the cache is off.
            ServiceUnavailable: if keys may still be there, or entries may still be served from memory.
        """
        ring = self._ring_at_hand()
        try:
            await ring.shred(tenant)
        except KeysUnavailable as error:
            raise ServiceUnavailable(
                f"The tenant's keys may still be there ({error}). Shred again.", service="cache"
            ) from error
        deletions = await asyncio.gather(*[delete(tenant) for delete in self._shreddables], return_exceptions=True)
        for failure in deletions:
            if isinstance(failure, BaseException):
                raise failure
        return sum(deleted for deleted in deletions if isinstance(deleted, int))

    async def rotate(self, tenant: str) -> int:
        """Give a tenant, or every one where none is named, a new key; return how many.

        Raises:
            InvalidRequest: if the cache is off.
            ServiceUnavailable: if not every one has one.
        """
        ring = self._ring_at_hand()
        try:
            return await ring.rotate(tenant)
        except KeysUnavailable as error:
            raise ServiceUnavailable(f"Not every key was rotated ({error}). Rotate again.", service="cache") from error

    def _ring_at_hand(self) -> KeyRing:
        if self._ring is None:
            raise InvalidRequest("The cache is off, and its keys are not at hand: turn it on first ('cache.mode').")
        return self._ring
