"""The cache's composition root."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from penstock_cache.adapters.metrics import CacheMetrics
from penstock_cache.app.exact import exact_cache_of, key_ring_of, redis_of, shared_tier_of
from penstock_cache.domain.cache import NoCache, ResponseCache
from penstock_cache.domain.entries import Entries, NoEntries
from penstock_cache.domain.secrecy import KeyRing, Shreddable
from penstock_cache.domain.shredding import Shredder
from penstock_cache.settings import Settings
from penstock_cache.surfaces.servicer import CacheServicer
from penstock_common.contract.cache import Scope
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import (
    DELETE_ENTRIES,
    DISPUTE,
    EXPLAIN,
    LIST_ENTRIES,
    ROTATE_KEYS,
    SHRED_TENANT,
)
from penstock_common.key_material import read_key_material
from penstock_common.rpc.client import Channel
from penstock_common.service import Commit, Role, Service


@asynccontextmanager
async def build(
    settings: Settings, embedding: Channel | None = None, points: Channel | None = None
) -> AsyncGenerator[Service, None]:
    """Yield the cache; Redis is asked only when a request comes, so it may be away at start.

    Raises:
        ConfigurationError: if the cache is on and its secret is missing or too short, or it matches by meaning and has
            no embedding service or no vector store.
    """
    async with AsyncExitStack() as stack:
        parts = await _parts_of(settings, (embedding, points), stack)
        cache = parts.cache
        # Whatever keeps something of a tenant.
        shreddables: list[Shreddable] = [lambda tenant: cache.invalidate(Scope(tenant, ""))]
        servicer = CacheServicer(cache, parts.entries, Shredder(parts.ring, shreddables))

        async def prepare(changed: Settings) -> Commit:
            return partial(cache.keep_stale, changed.longest_stale)

        yield Service(
            "cache",
            (
                LOOKUP.served_by(servicer.lookup),
                STORE.served_by(servicer.store),
                INVALIDATE.served_by(servicer.invalidate),
                GET_STATS.served_by(servicer.get_stats),
                LIST_ENTRIES.served_by(servicer.list_entries),
                DELETE_ENTRIES.served_by(servicer.delete_entries),
                EXPLAIN.served_by(servicer.explain),
                DISPUTE.served_by(servicer.dispute),
                SHRED_TENANT.served_by(servicer.shred_tenant),
                ROTATE_KEYS.served_by(servicer.rotate_keys),
            ),
            parts.collectors,
            prepare,
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    cache: ResponseCache
    entries: Entries
    ring: KeyRing | None
    collectors: Sequence[Any]


async def _parts_of(settings: Settings, others: tuple[Channel | None, Channel | None], stack: AsyncExitStack) -> _Parts:
    if settings.cache.mode == "off":
        return _Parts(NoCache(), NoEntries(), None, ())
    secret = read_key_material(settings.secrets.cache_key_file, "secrets.cache_key_file")
    connection = await redis_of(settings, stack)
    ring = key_ring_of(settings, secret, connection)
    exact = exact_cache_of(settings, secret, shared_tier_of(settings, ring, connection))
    if settings.cache.mode == "exact":
        return _Parts(exact, NoEntries(), ring, (CacheMetrics(exact),))
    # Loads the guard, which nobody else needs.
    from penstock_cache.app.meaning import Others, meaning_of

    meaning = await meaning_of(settings, exact, ring, Others(*others), stack)
    collectors = (CacheMetrics(meaning.cache, meaning.world.counts), meaning.meter)
    return _Parts(meaning.cache, meaning.administration, ring, collectors)


# ``points`` leads to the vectors' engine where another process has it; without, ``qdrant`` says where that is.
ROLE = Role(Settings, build, may_call=("embedding", "points"))
