"""A ring as it lies at rest: wrapped keys by version, in JSON, for people to look at."""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from penstock_cache.adapters.sealing import KEY_BYTES
from penstock_cache.adapters.tenant_keys import TenantKeys
from penstock_cache.domain.envelope import Kek, RingRefused

FORMAT = 1
MAX_VERSIONS = 64
"""Of a tenant's keys. A further rotation drops the oldest, and what that sealed is unreadable."""
_LASTING = 0


class Ring(msgspec.Struct, frozen=True):
    """The keys of a tenant; ``born_ms`` (Unix) tells it from one of the same name that was shredded.

    Versions count from it, so that no key has that of another, nor of one that is lost.
    """

    born_ms: int
    lasting: bytes
    sealing: dict[int, bytes]
    format: int = FORMAT

    @property
    def newest(self) -> int:
        """The version that seals."""
        return max(self.sealing)


class Root(msgspec.Struct, frozen=True):
    """What all rings have in common: the key that tenants' names are made with."""

    naming: bytes
    format: int = FORMAT


_Kind = TypeVar("_Kind", Ring, Root)


def encode(ring: Ring | Root) -> bytes:
    """Return what is kept."""
    return msgspec.json.encode(ring)


def decode(content: bytes, kind: type[_Kind]) -> _Kind:
    """Return what was kept.

    Raises:
        RingRefused: if it is damaged, or of a newer version of this program.
    """
    try:
        decoded = msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise RingRefused(f"a key ring of the cache is damaged: {error}") from None
    if decoded.format != FORMAT:
        raise RingRefused(f"a key ring of the cache has format {decoded.format}, and this version reads {FORMAT}")
    return decoded


async def draw(kek: Kek, name: str, born_ms: int) -> Ring:
    """Return a new ring with one key."""
    lasting = await kek.wrap(os.urandom(KEY_BYTES), _context(name, born_ms, _LASTING))
    return await with_new_key(kek, name, Ring(born_ms, lasting, {}))


async def with_new_key(kek: Kek, name: str, ring: Ring) -> Ring:
    """Return the ring with one more key, which seals from now on."""
    version = max(ring.sealing, default=ring.born_ms) + 1
    wrapped = await kek.wrap(os.urandom(KEY_BYTES), _context(name, ring.born_ms, version))
    kept = sorted(ring.sealing.items())[-(MAX_VERSIONS - 1) :]
    return msgspec.structs.replace(ring, sealing={**dict(kept), version: wrapped})


async def opened(kek: Kek, name: str, ring: Ring) -> TenantKeys:
    """Return the keys of a ring; raises what unwrapping raises."""
    lasting = await kek.unwrap(ring.lasting, _context(name, ring.born_ms, _LASTING))
    sealing = {
        version: await kek.unwrap(wrapped, _context(name, ring.born_ms, version))
        for version, wrapped in ring.sealing.items()
    }
    return TenantKeys(name, sealing, lasting)


async def wrapped_anew(kek: Kek, name: str, ring: Ring) -> Ring | None:
    """Return the ring under the present key of keys; None where it already is."""
    if all(map(kek.is_current, (ring.lasting, *ring.sealing.values()))):
        return None

    async def anew(wrapped: bytes, version: int) -> bytes:
        context = _context(name, ring.born_ms, version)
        return await kek.wrap(await kek.unwrap(wrapped, context), context)

    sealing = {version: await anew(wrapped, version) for version, wrapped in ring.sealing.items()}
    return msgspec.structs.replace(ring, lasting=await anew(ring.lasting, _LASTING), sealing=sealing)


def _context(name: str, born_ms: int, version: int) -> bytes:
    """Return what a wrapped key is bound to: no key of a ring serves in another, nor as another version."""
    return msgspec.msgpack.encode((name, born_ms, version))
