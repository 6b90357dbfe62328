"""Shreddings noted in a second place, which a backup of the first does not undo."""

from __future__ import annotations

from penstock_cache.domain.envelope import Kept, RingStore


class WitnessedRings:
    """A ``RingStore`` beside a witness that learns of every shredding the store knows of, and never forgets it."""

    def __init__(self, store: RingStore, witness: RingStore) -> None:
        self._store = store
        self._witness = witness

    async def read(self, name: str) -> Kept:
        """Return what lies under the name, with the later of both notes, as ``RingStore`` says."""
        kept = await self._store.read(name)
        noted_ms = (await self._witness.read(name)).shredded_ms
        if kept.shredded_ms > noted_ms:
            await self._witness.shred(name, kept.shredded_ms)
        return kept._replace(shredded_ms=max(kept.shredded_ms, noted_ms))

    async def replace(self, name: str, seen: bytes, ring: bytes) -> bool:
        """Put the ring where ``seen`` lies in the store, as ``RingStore`` says."""
        return await self._store.replace(name, seen, ring)

    async def shred(self, name: str, at_ms: int) -> None:
        """Delete the ring and note when in both places, as ``RingStore`` says."""
        await self._store.shred(name, at_ms)
        await self._witness.shred(name, at_ms)

    async def names(self) -> list[str]:
        """Return the names of all rings in the store, as ``RingStore`` says."""
        return await self._store.names()
