"""What a key ring is made of, as the cache sees it: a key that wraps keys, and where wrapped keys lie."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from penstock_cache.domain.secrecy import KeysUnavailable


class RingRefused(KeysUnavailable):
    """A ring is there and cannot be used: it stays as it is, for a person to look at."""


class WrongKek(RingRefused):
    """What was wrapped was wrapped by another key, or for another place, or was changed."""


class Kek(Protocol):
    """The key that encrypts keys: of a file, or of a service that never gives it away."""

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return the key encrypted, bound to ``context``.

        Raises:
            KeysUnavailable: if whatever holds the key does not answer.
        """
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped.

        Raises:
            WrongKek: if this key did not wrap it, or not with this context.
            KeysUnavailable: if whatever holds the key does not answer.
        """
        ...

    def is_current(self, wrapped: bytes) -> bool:
        """Return whether it was wrapped by the key that wraps now, rather than by an older one."""
        ...


class Kept(NamedTuple):
    """What lies under a name: the ring, empty if there is none; and when one was last shredded there (Unix ms, or 0)."""

    ring: bytes
    shredded_ms: int


ROOT = ""
"""The name that no tenant has: what lies under it is common to all."""


class RingStore(Protocol):
    """Keeps rings by name. Each method raises ``KeysUnavailable`` where the store does not answer."""

    async def read(self, name: str) -> Kept:
        """Return what lies under the name."""
        ...

    async def replace(self, name: str, seen: bytes, ring: bytes) -> bool:
        """Put the ring where ``seen`` lies, empty for nothing; return False where something else does."""
        ...

    async def shred(self, name: str, at_ms: int) -> None:
        """Delete the ring and note when; an earlier note never stands in for a later one."""
        ...

    async def names(self) -> list[str]:
        """Return the names of all rings but ``ROOT``."""
        ...
