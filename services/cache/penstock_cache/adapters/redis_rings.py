"""Key rings in Redis: shared by every process, and without an expiry.

``{t:<tenant hash>}:cache:keys``       the tenant's ring
``{t:<tenant hash>}:cache:shredded``   when the last one was shredded, Unix ms
``cache:keys``                         what is common to all

A Redis that evicts them (``maxmemory-policy allkeys-…``) costs what they have
sealed: misses, and new keys.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import structlog
from redis.exceptions import RedisError

from penstock_cache.domain.envelope import ROOT, Kept
from penstock_cache.domain.secrecy import KeysUnavailable
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script

_log = structlog.get_logger(__name__)

# A walk over a million keys, the cache's or not.
_MAX_SCAN_ROUNDS, _SCAN_COUNT = 1000, 1000

# KEYS: ring. ARGV: what was seen there, what comes there.
_REPLACE = Script("""
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
""")

# KEYS: ring, note. ARGV: Unix ms.
_SHRED = Script("""
if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], ARGV[1]) end
return redis.call('DEL', KEYS[1])
""")


class RedisRings:
    """A ``RingStore`` in Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def read(self, name: str) -> Kept:
        """Return what lies under the name, as ``RingStore`` says."""
        ring, shredded_ms = await _answered(self._connection.execute("MGET", _ring(name), _note(name)))
        return Kept(ring or b"", int(shredded_ms or 0))

    async def replace(self, name: str, seen: bytes, ring: bytes) -> bool:
        """Put the ring where ``seen`` lies, as ``RingStore`` says."""
        return bool(await _answered(self._connection.run(_REPLACE, (_ring(name),), seen, ring)))

    async def shred(self, name: str, at_ms: int) -> None:
        """Delete the ring and note when, as ``RingStore`` says."""
        await _answered(self._connection.run(_SHRED, (_ring(name), _note(name)), at_ms))
        await self._forget()

    async def _forget(self) -> None:
        """Have an append-only file written anew, in which a ring that was deleted stands until then."""
        try:
            if b"aof_enabled:1" in await self._connection.execute("INFO", "persistence"):
                await self._connection.execute("BGREWRITEAOF")
        except (RedisUnavailable, RedisError) as error:
            _log.warning("redis_file_not_rewritten", details=str(error), remedy="run BGREWRITEAOF at that Redis")

    async def names(self) -> list[str]:
        """Return the names of all rings, as ``RingStore`` says: of a walk over the whole Redis, within its bound."""
        cursor, found = b"0", set[bytes]()
        for _ in range(_MAX_SCAN_ROUNDS):
            cursor, keys = await _answered(
                self._connection.execute("SCAN", cursor, "MATCH", _ring("*"), "COUNT", _SCAN_COUNT)
            )
            found.update(keys)
            if cursor == b"0":
                return sorted(key.decode()[len("{t:") : -len("}:cache:keys")] for key in found)
        raise KeysUnavailable(
            f"Redis holds more than {_MAX_SCAN_ROUNDS * _SCAN_COUNT:,} keys, too many to find every tenant: "
            "name the tenants"
        )


def _ring(name: str) -> str:
    return _prefix(name) + "cache:keys"


def _note(name: str) -> str:
    return _prefix(name) + "cache:shredded"


def _prefix(name: str) -> str:
    return "" if name == ROOT else "{t:" + name + "}:"


async def _answered(reply: Awaitable[Any]) -> Any:
    try:
        return await reply
    except (RedisUnavailable, RedisError) as error:
        raise KeysUnavailable(f"the Redis that holds the cache's keys: {error}") from error
