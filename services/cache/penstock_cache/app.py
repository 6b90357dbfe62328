"""The cache's composition root."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from penstock_cache.adapters.redis import RedisTier
from penstock_cache.adapters.sealing import derive_key
from penstock_cache.domain.cache import ExactCache, Lifetimes, NoCache, ResponseCache, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_cache.domain.shared import NoSharedTier, SharedTier
from penstock_cache.settings import Settings
from penstock_cache.surfaces.servicer import CacheServicer
from penstock_common.configuration import ConfigurationError
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
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
        cache = await _response_cache(settings, stack)
        servicer = CacheServicer(cache)

        async def prepare(changed: Settings) -> Commit:
            return partial(cache.keep_stale, changed.longest_stale)

        yield Service(
            "cache",
            (
                LOOKUP.served_by(servicer.lookup),
                STORE.served_by(servicer.store),
                INVALIDATE.served_by(servicer.invalidate),
                GET_STATS.served_by(servicer.get_stats),
            ),
            prepare=prepare,
        )


async def _response_cache(settings: Settings, stack: AsyncExitStack) -> ResponseCache:
    if settings.cache.mode == "off":
        return NoCache()
    secret = read_key_material(settings.secrets.cache_key_file, "secrets.cache_key_file")
    return ExactCache(
        identity=Identity(derive_key(secret, b"identity")),
        eligibility=Eligibility(
            settings.cache.max_temperature, caches_unset_temperature=settings.cache.unset_temperature == "cache"
        ),
        tiers=Tiers(
            memory=MemoryTier(settings.cache.memory_entries, settings.cache.memory_bytes),
            shared=await _shared_tier(settings, secret, stack),
        ),
        lifetimes=Lifetimes(
            default=settings.cache.redis_ttl, memory=settings.cache.memory_ttl, stale=settings.longest_stale
        ),
        clocks=(time.time, time.monotonic),
    )


async def _shared_tier(settings: Settings, secret: bytes, stack: AsyncExitStack) -> SharedTier:
    if not settings.redis.cache:
        return NoSharedTier()
    try:
        connection = RedisConnection(settings.redis.cache, settings.cache.redis_timeout)
    except ValueError as error:
        raise ConfigurationError(f"'redis.cache': {error}") from None
    longest = settings.cache.redis_ttl + settings.longest_stale
    return RedisTier(await stack.enter_async_context(connection), secret, index_life=longest)


ROLE = Role(Settings, build)
