"""The keys of all tenants: drawn once, wrapped by a key of keys, read anew within a second.

A ring in memory is not used for longer than half a second before it is compared
with what is kept: so a shredding holds in every process, also in one that
cannot reach the store. Processes that draw or change a ring at once
agree, as the store lets only the first replace what both have seen.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import NamedTuple

from penstock_cache.adapters import rings
from penstock_cache.adapters.rings import Ring, Root
from penstock_cache.adapters.tenant_keys import TenantKeys
from penstock_cache.domain.envelope import ROOT, Kek, Kept, RingRefused, RingStore
from penstock_cache.domain.secrecy import KeysUnavailable

CHECK_SECONDS = 0.5
_REFUSED_SECONDS = 1.0
MAX_TENANTS = 4096
"""Whose keys a process holds at once."""
_MAX_RACES = 16
_NAME_HEX = 24
_ROOT_CONTEXT = b"naming"

Names = Callable[[str], str]
"""Makes the name that stores call a tenant: a keyed hash."""

_LOG = logging.getLogger(__name__)


class _Held(NamedTuple):
    keys: TenantKeys
    kept: Kept
    read_at: float


class _Refused(NamedTuple):
    error: RingRefused
    until: float


class EnvelopeKeyRing:
    """A ``KeyRing`` over a store of rings and a key of keys."""

    def __init__(
        self,
        store: RingStore,
        kek: Kek,
        first_naming_key: bytes,
        clocks: tuple[Callable[[], float], Callable[[], float]],
    ) -> None:
        """``first_naming_key`` names tenants where no root is kept yet; ``clocks`` are wall and monotonic clock."""
        self._store = store
        self._kek = kek
        self._first_naming_key = first_naming_key
        self._now, self._monotonic = clocks
        self._names: Names | None = None
        self._held: dict[str, _Held] = {}
        self._under_way: dict[str, asyncio.Task[TenantKeys]] = {}
        self._refused: dict[str, _Refused] = {}
        self._changes = 0

    @property
    def names(self) -> Names | None:
        """What names tenants; None until it was read once."""
        return self._names

    def known(self, tenant: str) -> TenantKeys | None:
        """Return the tenant's keys where they need not be read now."""
        held = self._held.get(tenant)
        return None if held is None or self._monotonic() - held.read_at >= CHECK_SECONDS else held.keys

    def last_known(self, tenant: str) -> TenantKeys | None:
        """Return keys to seal with, for who cannot wait: should they be gone by now, then so is what they seal."""
        held = self._held.get(tenant)
        return None if held is None else held.keys

    async def of(self, tenant: str) -> TenantKeys:
        """Return a tenant's keys, as ``KeyRing`` says."""
        keys = self.known(tenant)
        if keys is not None:
            return keys
        self._raise_what_was_refused(tenant)
        # One read serves all who wait for it, and outlives whoever leaves.
        reading = self._under_way.get(tenant)
        if reading is None:
            reading = self._under_way[tenant] = asyncio.get_running_loop().create_task(self._read(tenant))
            reading.add_done_callback(lambda done: self._read_ended(tenant, done))
        return await asyncio.shield(reading)

    async def every(self) -> AsyncIterator[TenantKeys]:
        """Yield the keys of all tenants that have some, as ``KeyRing`` says."""
        await self.read_names()
        for name in await self._store.names():
            try:
                ring = _living(name, await self._store.read(name))
                if ring is not None:
                    yield await rings.opened(self._kek, name, ring)
            except RingRefused as error:
                _LOG.error("a key ring is passed over, and what it sealed stays unreadable: %s", error)

    async def read_names(self) -> Names:
        """Return what names tenants.

        Raises:
            KeysUnavailable: if the root cannot be read or kept, or was wrapped by an unknown key.
        """
        if self._names is None:
            self._raise_what_was_refused(ROOT)
            try:
                naming_key = await self._naming_key()
            except RingRefused as error:
                self._refuse(ROOT, error)
                raise

            @lru_cache(maxsize=MAX_TENANTS)
            def name(tenant: str) -> str:
                return hmac.digest(naming_key, tenant.encode(), hashlib.sha256).hex()[:_NAME_HEX]

            self._names = name
            self._refused.pop(ROOT, None)
        return self._names

    async def rotate(self, tenant: str) -> int:
        """Give a tenant, or every one, a new key, as ``KeyRing`` says."""
        names = await self.read_names()
        rotated = [await self._rotate(name) for name in ([names(tenant)] if tenant else await self._store.names())]
        self._changes += 1
        self._held.clear()
        return sum(rotated)

    async def shred(self, tenant: str) -> None:
        """Destroy a tenant's keys, as ``KeyRing`` says."""
        name = (await self.read_names())(tenant)
        kept = await self._store.read(name)
        at_ms = self._now_ms()
        if kept.ring:
            at_ms = max(at_ms, _latest_ms(kept.ring))
        await self._store.shred(name, at_ms)
        # What is being read now may be what was destroyed.
        self._changes += 1
        self._held.pop(tenant, None)

    async def _naming_key(self) -> bytes:
        for _ in range(_MAX_RACES):
            kept = (await self._store.read(ROOT)).ring
            if not kept:
                _LOG.info("no keys are kept yet where the cache keeps them; they are drawn now")
                root = Root(await self._kek.wrap(self._first_naming_key, _ROOT_CONTEXT))
            else:
                root = rings.decode(kept, Root)
                naming_key = await self._kek.unwrap(root.naming, _ROOT_CONTEXT)
                if self._kek.is_current(root.naming):
                    return naming_key
                root = Root(await self._kek.wrap(naming_key, _ROOT_CONTEXT))
            await self._store.replace(ROOT, kept, rings.encode(root))
        raise KeysUnavailable("others keep changing the cache's keys")

    async def _read(self, tenant: str) -> TenantKeys:
        name = (await self.read_names())(tenant)
        for _ in range(_MAX_RACES):
            began_at, changes = self._monotonic(), self._changes
            kept = await self._store.read(name)
            held = self._held.get(tenant)
            keys = held.keys if held is not None and held.kept == kept else await self._opened(name, kept)
            if keys is not None and changes == self._changes:
                self._hold(tenant, _Held(keys, kept, began_at))
                return keys
            if held is not None and not kept.ring and held.kept.shredded_ms == kept.shredded_ms:
                _LOG.warning("the keys of tenant %s are gone from their store: what they sealed is unreadable", name)
        raise KeysUnavailable("others keep changing the cache's keys")

    async def _opened(self, name: str, kept: Kept) -> TenantKeys | None:
        """Return the keys of a ring; None where it had to be drawn or wrapped anew, and is to be read again."""
        ring = _living(name, kept)
        changed = (
            await rings.draw(self._kek, name, max(self._now_ms(), kept.shredded_ms + 1))
            if ring is None
            else await rings.wrapped_anew(self._kek, name, ring)
        )
        if ring is not None and changed is None:
            return await rings.opened(self._kek, name, ring)
        if changed is not None:
            await self._store.replace(name, kept.ring, rings.encode(changed))
        return None

    async def _rotate(self, name: str) -> int:
        """Give a ring one more key, under the present key of keys; return 0 where there is none."""
        for _ in range(_MAX_RACES):
            kept = await self._store.read(name)
            ring = _living(name, kept)
            if ring is None:
                return 0
            present = await rings.wrapped_anew(self._kek, name, ring) or ring
            changed = rings.encode(await rings.with_new_key(self._kek, name, present))
            if await self._store.replace(name, kept.ring, changed):
                return 1
        raise KeysUnavailable("others keep changing the cache's keys")

    def _hold(self, tenant: str, held: _Held) -> None:
        self._held.pop(tenant, None)
        while len(self._held) >= MAX_TENANTS:
            del self._held[next(iter(self._held))]
        self._held[tenant] = held

    def _read_ended(self, tenant: str, reading: asyncio.Task[TenantKeys]) -> None:
        if self._under_way.get(tenant) is reading:
            del self._under_way[tenant]
        # Who waited has the error, too; nobody may wait any more.
        error = None if reading.cancelled() else reading.exception()
        if error is None:
            self._refused.pop(tenant, None)
        elif isinstance(error, RingRefused) and ROOT not in self._refused:
            self._refuse(tenant, error)

    def _refuse(self, tenant: str, error: RingRefused) -> None:
        """Leave a ring alone for a moment, and say so the first time."""
        is_new = tenant not in self._refused
        while is_new and len(self._refused) >= MAX_TENANTS:
            del self._refused[next(iter(self._refused))]
        if is_new:
            _LOG.error("a key ring is set aside, and what it sealed is not found: %s", error)
        self._refused[tenant] = _Refused(error, self._monotonic() + _REFUSED_SECONDS)

    def _raise_what_was_refused(self, tenant: str) -> None:
        refused = self._refused.get(tenant)
        if refused is not None and self._monotonic() < refused.until:
            raise refused.error

    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _living(name: str, kept: Kept) -> Ring | None:
    """Return the ring; None where there is none, or where it came back after its tenant was shredded."""
    if not kept.ring:
        return None
    ring = rings.decode(kept.ring, Ring)
    if ring.born_ms > kept.shredded_ms:
        return ring
    _LOG.warning("a key ring of tenant %s came back after its shredding, as from a backup, and is not used", name)
    return None


def _latest_ms(ring: bytes) -> int:
    """Return a time after which a ring has no version of this one."""
    try:
        return rings.decode(ring, Ring).newest
    except KeysUnavailable:
        # Damaged: to be destroyed all the same.
        return 0
