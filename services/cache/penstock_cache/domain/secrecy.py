"""The keys of a tenant, as far as the cache needs them: what is of one tenant, nobody else can read or name."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from penstock_common.secrecy import KeyGone, Unreadable

__all__ = ["KeyGone", "KeyRing", "KeysUnavailable", "Shreddable", "TenantSecrets", "Unreadable"]


class TenantSecrets(Protocol):
    """What the keys of one tenant do."""

    name: str
    """What stores call the tenant: a keyed hash, so that a listing names nobody."""

    def seal(self, kind: str, entry_id: str, content: bytes) -> bytes:
        """Return the content encrypted, bound to tenant, kind and id."""
        ...

    def unseal(self, kind: str, entry_id: str, sealed: bytes) -> bytes:
        """Return the content.

        Raises:
            Unreadable: if it is not this tenant's, or not of this kind and id.
        """
        ...

    def digest(self, purpose: str, content: bytes) -> str:
        """Return a keyed hash, 64 characters of hex: equal for equal contents of one tenant and purpose alone."""
        ...

    def turned(self, vector: array[float]) -> array[float]:
        """Return the vector turned by the tenant's key: cosines among turned vectors of one tenant are as they were."""
        ...


class KeyRing(Protocol):
    """The keys of all tenants."""

    async def of(self, tenant: str) -> TenantSecrets:
        """Return a tenant's keys, drawn now where there were none.

        Raises:
            KeysUnavailable: if they cannot be read, or not be kept.
        """
        ...

    def every(self) -> AsyncIterator[TenantSecrets]:
        """Yield the keys of all tenants that have some, but for those that nobody can use.

        Raises:
            KeysUnavailable: if they cannot be read, or not all be found.
        """
        ...

    async def rotate(self, tenant: str) -> int:
        """Give a tenant, or every one where none is named, a new key for what is sealed from now on; return how many.

        What was sealed before stays readable.

        Raises:
            KeysUnavailable: if they cannot be read, or not be kept.
        """
        ...

    async def shred(self, tenant: str) -> None:
        """Destroy a tenant's keys: whatever they have sealed is unreadable from now on, in every process within a second.

        Raises:
            KeysUnavailable: if they may still be read somewhere.
        """
        ...


class KeysUnavailable(Exception):
    """Whatever holds the keys does not answer, or has no room."""


Shreddable = Callable[[str], Awaitable[int]]
"""Deletes what somebody keeps of a tenant; returns how many entries that were."""
