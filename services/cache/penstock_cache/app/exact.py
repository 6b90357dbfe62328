"""The exact tiers and the keys, as the settings say."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

from penstock_cache.adapters.file_rings import FileRings, MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis import RedisTier
from penstock_cache.adapters.redis_rings import RedisRings
from penstock_cache.adapters.sealing import derive_key
from penstock_cache.adapters.witnessed_rings import WitnessedRings
from penstock_cache.domain.cache import ExactCache, Lifetimes, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.envelope import RingStore
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.shared import NoSharedTier, SharedTier
from penstock_cache.settings import Settings
from penstock_common.configuration import ConfigurationError
from penstock_common.key_material import read_key_material
from penstock_common.redis_connection import RedisConnection


async def redis_of(settings: Settings, stack: AsyncExitStack) -> RedisConnection | None:
    """Return the connection to Redis, if there is one."""
    if not settings.redis.cache:
        return None
    try:
        connection = RedisConnection(settings.redis.cache, settings.cache.redis_timeout)
    except ValueError as error:
        raise ConfigurationError(f"'redis.cache': {error}") from None
    return await stack.enter_async_context(connection)


def key_ring_of(settings: Settings, secret: bytes, connection: RedisConnection | None) -> EnvelopeKeyRing:
    """Return the keys of all tenants."""
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


def exact_cache_of(settings: Settings, secret: bytes, shared: SharedTier) -> ExactCache:
    """Return the exact tiers."""
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


def shared_tier_of(settings: Settings, ring: EnvelopeKeyRing, connection: RedisConnection | None) -> SharedTier:
    """Return the tier in Redis, or that there is none."""
    if connection is None:
        return NoSharedTier()
    return RedisTier(connection, ring, index_life=settings.cache.redis_ttl + settings.longest_stale)
