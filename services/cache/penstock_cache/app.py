"""The cache's composition root."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from penstock_cache.adapters.file_rings import FileRings, MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis import RedisTier
from penstock_cache.adapters.redis_rings import RedisRings
from penstock_cache.adapters.sealing import derive_key
from penstock_cache.adapters.witnessed_rings import WitnessedRings
from penstock_cache.domain.cache import ExactCache, Lifetimes, NoCache, ResponseCache, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.envelope import RingStore
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.secrecy import KeyRing, Shreddable
from penstock_cache.domain.shared import NoSharedTier, SharedTier
from penstock_cache.domain.shredding import Shredder
from penstock_cache.settings import Settings
from penstock_cache.surfaces.servicer import CacheServicer
from penstock_common.configuration import ConfigurationError
from penstock_common.contract.cache import Scope
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import ROTATE_KEYS, SHRED_TENANT
from penstock_common.key_material import read_key_material
from penstock_common.redis_connection import RedisConnection
from penstock_common.service import Commit, Role, Service


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the cache; Redis is asked only when a request comes, so it may be away at start.

    Raises:
        ConfigurationError: if the cache is on and its secret is missing or too short.
    """
    async with AsyncExitStack() as stack:
        cache: ResponseCache = NoCache()
        ring: KeyRing | None = None
        if settings.cache.mode != "off":
            secret = read_key_material(settings.secrets.cache_key_file, "secrets.cache_key_file")
            connection = await _redis(settings, stack)
            ring = envelope = _key_ring(settings, secret, connection)
            cache = _exact_cache(settings, secret, _shared_tier(settings, envelope, connection))
        # Whatever keeps something of a tenant.
        shreddables: list[Shreddable] = [lambda tenant: cache.invalidate(Scope(tenant, ""))]
        servicer = CacheServicer(cache, Shredder(ring, shreddables))

        async def prepare(changed: Settings) -> Commit:
            return partial(cache.keep_stale, changed.longest_stale)

        yield Service(
            "cache",
            (
                LOOKUP.served_by(servicer.lookup),
                STORE.served_by(servicer.store),
                INVALIDATE.served_by(servicer.invalidate),
                GET_STATS.served_by(servicer.get_stats),
                SHRED_TENANT.served_by(servicer.shred_tenant),
                ROTATE_KEYS.served_by(servicer.rotate_keys),
            ),
            prepare=prepare,
        )


async def _redis(settings: Settings, stack: AsyncExitStack) -> RedisConnection | None:
    if not settings.redis.cache:
        return None
    try:
        connection = RedisConnection(settings.redis.cache, settings.cache.redis_timeout)
    except ValueError as error:
        raise ConfigurationError(f"'redis.cache': {error}") from None
    return await stack.enter_async_context(connection)


def _key_ring(settings: Settings, secret: bytes, connection: RedisConnection | None) -> EnvelopeKeyRing:
    older = [
        read_key_material(path, f"secrets.old_cache_key_files[{number}]")
        for number, path in enumerate(settings.secrets.old_cache_key_files)
    ]
    return EnvelopeKeyRing(
        _ring_store(settings.cache.key_dir, connection),
        FileKek(secret, older),
        derive_key(secret, b"tenant hash"),
        (time.time, time.monotonic),
    )


def _ring_store(folder: Path | None, connection: RedisConnection | None) -> RingStore:
    in_folder = None if folder is None else FileRings(folder)
    if connection is None:
        return in_folder or MemoryRings()
    in_redis = RedisRings(connection)
    return in_redis if in_folder is None else WitnessedRings(in_redis, in_folder)


def _exact_cache(settings: Settings, secret: bytes, shared: SharedTier) -> ExactCache:
    return ExactCache(
        identity=Identity(derive_key(secret, b"identity")),
        eligibility=Eligibility(
            settings.cache.max_temperature, caches_unset_temperature=settings.cache.unset_temperature == "cache"
        ),
        tiers=Tiers(memory=MemoryTier(settings.cache.memory_entries, settings.cache.memory_bytes), shared=shared),
        lifetimes=Lifetimes(
            default=settings.cache.redis_ttl, memory=settings.cache.memory_ttl, stale=settings.longest_stale
        ),
        clocks=(time.time, time.monotonic),
    )


def _shared_tier(settings: Settings, ring: EnvelopeKeyRing, connection: RedisConnection | None) -> SharedTier:
    if connection is None:
        return NoSharedTier()
    return RedisTier(connection, ring, index_life=settings.cache.redis_ttl + settings.longest_stale)


ROLE = Role(Settings, build)
